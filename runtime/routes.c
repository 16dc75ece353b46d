/* Routes to the peers' networks. */
#include "runtime/routes.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/sorted.h"

void route_table_deinit(struct route_table *table)
{
    free(table->items);
    *table = (struct route_table){0};
}

void route_table_copy(struct route_table *table, const struct route_table *from)
{
    *table = (struct route_table){.count = from->count, .size = from->count};
    if (from->count > 0)
        table->items = mem_copy(from->items, from->count * sizeof *from->items);
}

int route_prefix_compare(struct ip4_prefix a, struct ip4_prefix b)
{
    if (a.addr != b.addr)
        return a.addr < b.addr ? -1 : 1;
    return (int)a.len - (int)b.len;
}

static int compare_routes(const void *a, const void *b)
{
    return route_prefix_compare(((const struct route *)a)->dst, ((const struct route *)b)->dst);
}

/* Where the destination is, or would be inserted. */
static size_t find_place(const struct route_table *table, struct ip4_prefix dst, bool *ret_found)
{
    const struct route key = {.dst = dst};
    size_t place = sorted_place(&key, table->items, table->count, sizeof key, compare_routes);

    *ret_found = place < table->count && ip4_prefix_equal(table->items[place].dst, dst);
    return place;
}

const struct route *route_table_find(const struct route_table *table, struct ip4_prefix dst)
{
    bool is_found;
    size_t place = find_place(table, dst, &is_found);

    return is_found ? &table->items[place] : NULL;
}

bool route_equal(const struct route *a, const struct route *b)
{
    return ip4_prefix_equal(a->dst, b->dst) && a->gateway == b->gateway &&
           a->mtu_bytes == b->mtu_bytes && strcmp(a->via, b->via) == 0;
}

static void insert_at(struct route_table *table, size_t place, const struct route *route)
{
    if (table->count == table->size) {
        table->size = table->size ? table->size * 2 : 64;
        table->items = mem_resize(table->items, table->size, sizeof *table->items);
    }
    memmove(&table->items[place + 1], &table->items[place],
            (table->count - place) * sizeof *table->items);
    table->items[place] = *route;
    table->count++;
}

bool route_table_put(struct route_table *table, const struct route *route)
{
    bool is_found;
    size_t place = find_place(table, route->dst, &is_found);

    if (!is_found) {
        insert_at(table, place, route);
        return true;
    }
    if (route_equal(&table->items[place], route))
        return false;
    table->items[place] = *route;
    return true;
}

/* In the order of destinations, those to one in the order given: their number tells. */
struct numbered {
    const struct route *route;
    size_t number;
};

static int compare_numbered(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    int order = route_prefix_compare(x->route->dst, y->route->dst);

    if (order != 0)
        return order;
    return (x->number > y->number) - (x->number < y->number);
}

static void append(struct route_table *table, const struct route *route)
{
    if (table->count > 0 && ip4_prefix_equal(table->items[table->count - 1].dst, route->dst))
        table->items[table->count - 1] = *route;
    else
        table->items[table->count++] = *route;
}

void route_table_put_all(struct route_table *table, const struct route *routes, size_t count)
{
    AUTO_FREE struct numbered *sorted = mem_array(count + 1, sizeof *sorted);
    struct route_table merged = {.size = table->count + count + 1};
    size_t i = 0;

    for (size_t k = 0; k < count; k++)
        sorted[k] = (struct numbered){&routes[k], k};
    sorted_sort(sorted, count, sizeof *sorted, compare_numbered);
    merged.items = mem_array(merged.size, sizeof *merged.items);
    for (size_t k = 0; k < count; k++) {
        while (i < table->count &&
               route_prefix_compare(table->items[i].dst, sorted[k].route->dst) <= 0)
            append(&merged, &table->items[i++]);
        append(&merged, sorted[k].route);
    }
    while (i < table->count)
        append(&merged, &table->items[i++]);
    route_table_deinit(table);
    *table = merged;
}

bool route_table_remove(struct route_table *table, struct ip4_prefix dst)
{
    bool is_found;
    size_t place = find_place(table, dst, &is_found);

    if (!is_found)
        return false;
    table->count--;
    memmove(&table->items[place], &table->items[place + 1],
            (table->count - place) * sizeof *table->items);
    return true;
}

static int compare_prefixes(const void *a, const void *b)
{
    return route_prefix_compare(*(const struct ip4_prefix *)a, *(const struct ip4_prefix *)b);
}

size_t route_table_remove_all(struct route_table *table, struct ip4_prefix *destinations,
                              size_t count)
{
    size_t kept = 0, removed, k = 0;

    sorted_sort(destinations, count, sizeof *destinations, compare_prefixes);
    for (size_t i = 0; i < table->count; i++) {
        while (k < count && route_prefix_compare(destinations[k], table->items[i].dst) < 0)
            k++;
        if (k == count || !ip4_prefix_equal(destinations[k], table->items[i].dst))
            table->items[kept++] = table->items[i];
    }
    removed = table->count - kept;
    table->count = kept;
    return removed;
}

/* RT_SCOPE_UNIVERSE for the cluster's first 256 networks, the next number for each 256 more; from
 * RT_SCOPE_SITE on the numbers have meanings. */
static uint8_t scope_of(struct ip4_prefix dst, struct ip4_prefix cluster)
{
    uint32_t number = (dst.addr & ~ip4_mask(cluster.len)) >> (32 - dst.len);

    return (uint8_t)((number >> 8) % RT_SCOPE_SITE);
}

struct route_entry route_to_entry(const struct route *route, struct ip4_prefix cluster, int ifindex)
{
    return (struct route_entry){
        .dst = route->dst,
        .gateway = route->gateway,
        .ifindex = ifindex,
        .is_onlink = route->gateway != 0,
        .scope = route->gateway != 0 ? scope_of(route->dst, cluster) : RT_SCOPE_LINK,
        .protocol = QUILT_ROUTE_PROTOCOL,
        .type = RTN_UNICAST,
        .mtu_bytes = route->mtu_bytes,
    };
}

bool route_entry_equal(const struct route_entry *want, const struct route_entry *have)
{
    return ip4_prefix_equal(want->dst, have->dst) && want->gateway == have->gateway &&
           want->ifindex == have->ifindex && want->is_onlink == have->is_onlink &&
           want->scope == have->scope && want->protocol == have->protocol &&
           want->type == have->type && want->metric == have->metric &&
           want->mtu_bytes == have->mtu_bytes && !have->is_multipath;
}

static int entry_compare(const void *a, const void *b)
{
    const struct route_entry *x = a, *y = b;
    int order = route_prefix_compare(x->dst, y->dst);

    if (order != 0)
        return order;
    return x->metric < y->metric ? -1 : x->metric > y->metric;
}

void routes_sort(struct route_entry *entries, size_t count)
{
    sorted_sort(entries, count, sizeof *entries, entry_compare);
}

size_t routes_begin(const struct route_entry *sorted, size_t count, struct ip4_prefix dst)
{
    const struct route_entry first = {.dst = dst};

    return sorted_place(&first, sorted, count, sizeof first, entry_compare);
}

bool routes_have(const struct route_entry *sorted, size_t count, const struct route_entry *want)
{
    const struct route_entry *found =
        sorted_find(want, sorted, count, sizeof *sorted, entry_compare);

    return found && route_entry_equal(want, found);
}
