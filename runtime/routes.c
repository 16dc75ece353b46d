/* Routes to the peers' networks. */
#include "runtime/routes.h"

#include <string.h>

#include "lib/base/mem.h"

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

static int prefix_compare(struct ip4_prefix a, struct ip4_prefix b)
{
    if (a.addr != b.addr)
        return a.addr < b.addr ? -1 : 1;
    return (int)a.len - (int)b.len;
}

/* Where the destination is, or would be inserted. */
static size_t find_place(const struct route_table *table, struct ip4_prefix dst, bool *ret_found)
{
    size_t low = 0, high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = prefix_compare(table->items[middle].dst, dst);

        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
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
           strcmp(a->via, b->via) == 0;
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

struct route_entry route_to_entry(const struct route *route, int ifindex)
{
    return (struct route_entry){
        .dst = route->dst,
        .gateway = route->gateway,
        .ifindex = ifindex,
        .is_onlink = route->gateway != 0,
        .scope = route->gateway != 0 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
        .protocol = QUILT_ROUTE_PROTOCOL,
        .type = RTN_UNICAST,
    };
}

bool route_entry_equal(const struct route_entry *want, const struct route_entry *have)
{
    return ip4_prefix_equal(want->dst, have->dst) && want->gateway == have->gateway &&
           want->ifindex == have->ifindex && want->is_onlink == have->is_onlink &&
           want->scope == have->scope && want->protocol == have->protocol &&
           want->type == have->type && want->metric == have->metric && !have->is_multipath;
}

static int entry_compare(const void *a, const void *b)
{
    const struct route_entry *x = a, *y = b;
    int order = prefix_compare(x->dst, y->dst);

    if (order != 0)
        return order;
    return x->metric < y->metric ? -1 : x->metric > y->metric;
}

void routes_sort(struct route_entry *entries, size_t count)
{
    if (count > 0)
        qsort(entries, count, sizeof *entries, entry_compare);
}

bool routes_have(const struct route_entry *sorted, size_t count, const struct route_entry *want)
{
    const struct route_entry *found;

    if (count == 0)
        return false;
    found = bsearch(want, sorted, count, sizeof *sorted, entry_compare);
    return found && route_entry_equal(want, found);
}
