/* A route that somebody wishes for, beside what the kernel has. */
#include "runtime/route_wish.h"

#include "lib/base/error.h"
#include "runtime/requests.h"
#include "runtime/runtime.h"

static int look_at_device(struct runtime *rt, struct ip4_prefix cluster, struct route_wish *wish)
{
    const struct link_info *link;
    int r = batch_find_device(rt, wish->route.via, &link);

    if (r == -ENODEV)
        return err_fail(ENODEV, "via_interface: '%s' does not exist on this host", wish->route.via);
    if (r < 0)
        return r;
    wish->want = route_to_entry(&wish->route, cluster, link->ifindex);
    wish->is_device_up = link->is_up;
    return 0;
}

static int look_at_routes(struct runtime *rt, struct route_wish *wish)
{
    const struct route_entry *have, *foreign;
    size_t count;
    int r = batch_find_routes(rt, wish->want.dst, &have, &count);

    if (r < 0)
        return r;
    foreign = kernel_foreign_route(have, count);
    if (foreign)
        return kernel_fail_foreign_route(foreign);
    wish->is_in_kernel = routes_have(have, count, &wish->want);
    return 0;
}

int route_wish_read(struct runtime *rt, const struct state *state,
                    const Quilt__InjectRouteRequest *request, struct route_wish *ret_wish)
{
    struct route_wish wish = {.destination = request->destination};
    const struct route *before;
    int r = request_read_route(state, request->destination, request->via_interface,
                               request->gateway, &wish.route);

    if (r == 0)
        r = request_read_mtu(request->mtu, &wish.route.mtu_bytes);
    if (r == 0)
        r = look_at_device(rt, state->cluster, &wish);
    if (r == 0)
        r = look_at_routes(rt, &wish);
    if (r < 0)
        return r;
    before = route_table_find(&state->routes, wish.route.dst);
    wish.had_before = before;
    if (before)
        wish.before = *before;
    *ret_wish = wish;
    return 0;
}

bool route_wish_is_due(const struct route_wish *wish)
{
    return !wish->is_in_kernel && wish->is_device_up;
}

bool route_wish_can_wait(int r)
{
    return r == -ENETDOWN || r == -ENODEV;
}

bool route_wish_is_change(const struct route_wish *wish)
{
    return !wish->had_before || !route_equal(&wish->before, &wish->route);
}

void route_wish_undo(struct runtime *rt, const struct route_wish *wish)
{
    if (wish->had_before)
        (void)route_table_put(&rt->state.routes, &wish->before);
    else
        (void)route_table_remove(&rt->state.routes, wish->route.dst);
}
