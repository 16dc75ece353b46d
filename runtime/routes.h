/* Routes to the peers' networks: what was injected, and how it differs from what the kernel has.
 * Pure.
 */
#pragma once

#include <linux/if.h>
#include <stddef.h>

#include "lib/base/ip4.h"
#include "lib/net/route.h"

struct route {
    struct ip4_prefix dst;
    uint32_t gateway;   /* host order; 0: none */
    uint32_t mtu_bytes; /* 0: the device's */
    char via[IFNAMSIZ];
};

/* Sorted by destination; each destination once. A zeroed struct is an empty table. */
struct route_table {
    struct route *items;
    size_t count;
    size_t size;
};

void route_table_deinit(struct route_table *table);
void route_table_copy(struct route_table *table, const struct route_table *from);
const struct route *route_table_find(const struct route_table *table, struct ip4_prefix dst);
/* Adds the route or replaces the one to this destination. Whether that changed anything. */
bool route_table_put(struct route_table *table, const struct route *route);
/* Many at once, in any order; of two to one destination the later one counts. Costs what sorting
 * them and walking the table costs. */
void route_table_put_all(struct route_table *table, const struct route *routes, size_t count);
/* Whether there was one. */
bool route_table_remove(struct route_table *table, struct ip4_prefix dst);
/* How many there were. Sorts destinations. */
size_t route_table_remove_all(struct route_table *table, struct ip4_prefix *destinations,
                              size_t count);

/* < 0, 0, > 0: the order of tables. */
int route_prefix_compare(struct ip4_prefix a, struct ip4_prefix b);
bool route_equal(const struct route *a, const struct route *b);

/* The kernel's form of a route of this cluster whose device has this index. Of each 256 networks of
 * the cluster the routes have a scope of their own
 * (docs/decisions/routes-spread-over-scopes.md). */
struct route_entry route_to_entry(const struct route *route, struct ip4_prefix cluster,
                                  int ifindex);
/* Whether the kernel's route is, in all that we decide, what is wanted. */
bool route_entry_equal(const struct route_entry *want, const struct route_entry *have);

/* Sorts by destination and metric, for routes_have(). */
void routes_sort(struct route_entry *entries, size_t count);
/* Where the routes to this destination begin, or would. */
size_t routes_begin(const struct route_entry *sorted, size_t count, struct ip4_prefix dst);
/* Whether what is wanted is among the kernel's routes, sorted. */
bool routes_have(const struct route_entry *sorted, size_t count, const struct route_entry *want);
