/* What is wrong, in words. */
#include "runtime/status.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

static void add(struct problems *problems, char *text)
{
    problems->items = mem_resize(problems->items, problems->count + 1, sizeof *problems->items);
    problems->items[problems->count++] = text;
}

void problems_deinit(struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++)
        free(problems->items[i]);
    free(problems->items);
    *problems = (struct problems){0};
}

static char *repair_text(const struct reconcile *rc, const char *key, const char *what)
{
    const char *error = guard_error(&rc->guard, key);

    return mem_strdup(error ? error : what);
}

char *status_route_problem(const struct reconcile *rc, const struct view *view,
                           const struct route *route)
{
    char dst[IP4_PREFIX_TEXT_SIZE], key[64];
    struct route_entry want;

    (void)snprintf(key, sizeof key, "route %s", ip4_prefix_format(route->dst, dst));
    switch (view_check_route(view, route, rc->state->cluster, &want)) {
    case ROUTE_THERE:
        return NULL;
    case ROUTE_NO_DEVICE:
        return mem_printf("device %s does not exist", route->via);
    case ROUTE_DEVICE_DOWN:
        return mem_printf("device %s is down", route->via);
    case ROUTE_MISSING:
        break;
    }
    return repair_text(rc, key, "is not in the kernel, about to be repaired");
}

char *status_endpoint_problem(const struct reconcile *rc, const struct view *view,
                              const struct endpoint *endpoint)
{
    bool is_usual = strcmp(endpoint->ifname, ENDPOINT_IFNAME_DEFAULT) == 0;
    AUTO_FREE char *key = mem_printf("endpoint %s/%s", endpoint->id, endpoint->ifname);
    AUTO_FREE char *gone = NULL;
    struct link_info *link;

    switch (view_check_endpoint(view, endpoint, rc->mtu_bytes, &link)) {
    case ENDPOINT_WHOLE:
        return NULL;
    case ENDPOINT_MISSING:
        gone = mem_printf("its network namespace is gone; to free its address: quiltctl endpoint "
                          "detach %s%s%s",
                          endpoint->id, is_usual ? "" : " --ifname ",
                          is_usual ? "" : endpoint->ifname);
        return repair_text(rc, key, gone);
    case ENDPOINT_BROKEN:
    case ENDPOINT_MTU:
    case ENDPOINT_FOREIGN:
        break;
    }
    return repair_text(rc, key, "is not whole in the kernel, about to be repaired");
}

/* Routes with the same trouble, one after the other, are one problem: an overlay that is down is
 * one, not 253. */
static void find_route_problems(const struct reconcile *rc, const struct view *view,
                                struct problems *problems)
{
    const struct route_table *routes = &rc->state->routes;
    size_t i = 0;

    while (i < routes->count) {
        AUTO_FREE char *text = status_route_problem(rc, view, &routes->items[i]);
        char dst[IP4_PREFIX_TEXT_SIZE];
        size_t same = 1;

        for (; text && i + same < routes->count; same++) {
            AUTO_FREE char *next = status_route_problem(rc, view, &routes->items[i + same]);

            if (!next || strcmp(next, text) != 0)
                break;
        }
        ip4_prefix_format(routes->items[i].dst, dst);
        if (text && same == 1)
            add(problems, mem_printf("route %s: %s", dst, text));
        else if (text)
            add(problems, mem_printf("route %s and %zu more: %s", dst, same - 1, text));
        i += same;
    }
}

static void find_endpoint_problems(const struct reconcile *rc, const struct view *view,
                                   struct problems *problems)
{
    const struct endpoint_table *endpoints = &rc->state->endpoints;

    for (size_t i = 0; i < endpoints->count; i++) {
        const struct endpoint *e = &endpoints->items[i];
        AUTO_FREE char *text = status_endpoint_problem(rc, view, e);

        if (text)
            add(problems, mem_printf("endpoint %s/%s: %s", e->id, e->ifname, text));
    }
}

/* Those of endpoints and routes are told with them. */
static void add_other(const char *key, const char *error, void *data)
{
    if (strncmp(key, "endpoint ", 9) != 0 && strncmp(key, "route ", 6) != 0)
        add(data, mem_printf("%s: %s", key, error));
}

void status_find_problems(const struct reconcile *rc, const struct view *view,
                          struct problems *ret_problems)
{
    *ret_problems = (struct problems){0};
    if (!state_is_configured(rc->state))
        add(ret_problems, mem_strdup("this node has no subnet yet"));
    find_route_problems(rc, view, ret_problems);
    find_endpoint_problems(rc, view, ret_problems);
    guard_each_error(&rc->guard, add_other, ret_problems);
}
