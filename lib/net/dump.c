/* Dumps into arrays: what every kernel object's *_dump() has in common. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/message.h"

struct gathering {
    nl_item_fn parse;
    const void *filter;
    size_t item_size;
    char *items;
    size_t count;
    size_t room;
};

static void gathering_begin(void *data)
{
    struct gathering *g = data;

    g->count = 0;
}

static int gathering_add(const struct nlmsghdr *message, void *data)
{
    struct gathering *g = data;
    char *item;

    if (g->count == g->room) {
        g->room = g->room ? 2 * g->room : 16;
        g->items = mem_resize(g->items, g->room, g->item_size);
    }
    item = g->items + g->count * g->item_size;
    memset(item, 0, g->item_size);
    if (g->parse(message, g->filter, item))
        g->count++;
    return 0;
}

int nl_dump_items(struct nl *nl, struct nlmsghdr *request, nl_item_fn parse, const void *filter,
                  size_t item_size, void **ret_items, size_t *ret_count)
{
    struct gathering g = {.parse = parse, .filter = filter, .item_size = item_size};
    int r = nl_dump(nl, request, gathering_begin, gathering_add, &g);

    if (r < 0 || g.count == 0) {
        free(g.items);
        g.items = NULL;
    }
    if (r < 0)
        return r;
    *ret_items = g.items;
    *ret_count = g.count;
    return 0;
}
