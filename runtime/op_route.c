/* InjectRoute and RemoveRoute: the ways to the other nodes. */
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/rpc/server.h"
#include "proto/quilt.pb-c.h"
#include "runtime/batch.h"
#include "runtime/requests.h"
#include "runtime/runtime.h"

/* ---- InjectRoute ----------------------------------------------------------------------------- */

struct inject {
    struct op op;
    struct route_entry want;
    bool is_in_kernel;
    bool is_device_up;
    bool had_before;
    struct route before;
    struct ip4_prefix dst;
};

static char *inject_key(const ProtobufCMessage *request)
{
    return mem_printf("route %s", ((const Quilt__InjectRouteRequest *)request)->destination);
}

static int look_at_device(struct inject *inject, struct runtime *rt, const struct route *route)
{
    struct link_info link;
    int r = link_get(rt->kernel.nl, route->via, &link);

    if (r == -ENODEV)
        return err_fail(ENODEV, "via_interface: '%s' does not exist on this host", route->via);
    if (r < 0)
        return r;
    inject->want = route_to_entry(route, link.ifindex);
    inject->is_device_up = link.is_up;
    return 0;
}

static int look_at_routes(struct inject *inject, struct runtime *rt)
{
    const struct route_entry *have, *foreign;
    size_t count;
    int r = batch_find_routes(rt, inject->want.dst, &have, &count);

    if (r < 0)
        return r;
    foreign = kernel_foreign_route(have, count);
    if (foreign)
        return kernel_fail_foreign_route(foreign);
    inject->is_in_kernel = routes_have(have, count, &inject->want);
    return 0;
}

static int inject_decide(struct op *op, struct runtime *rt, struct state *next)
{
    const Quilt__InjectRouteRequest *request = (const Quilt__InjectRouteRequest *)op->request;
    struct inject *inject = (struct inject *)op;
    const struct route *before;
    struct route route;
    int r = request_read_route(next, request->destination, request->via_interface, request->gateway,
                               &route);

    if (r == 0)
        r = look_at_device(inject, rt, &route);
    if (r == 0)
        r = look_at_routes(inject, rt);
    if (r < 0)
        return err_wrap(r, "inject route");
    before = route_table_find(&next->routes, route.dst);
    inject->had_before = before;
    if (before)
        inject->before = *before;
    inject->dst = route.dst;
    op->is_change = route_table_put(&next->routes, &route);
    return 0;
}

/* While the device is down the kernel takes no route over it. The wish is stored; the device's
 * coming up brings the route. */
static int inject_apply(struct op *op, struct runtime *rt)
{
    struct inject *inject = (struct inject *)op;
    const Quilt__InjectRouteRequest *request = (const Quilt__InjectRouteRequest *)op->request;
    int r;

    rt->reconcile.is_off = false;
    if (inject->is_in_kernel || !inject->is_device_up)
        return 0;
    rt->kernel.writes[KERNEL_ROUTE]++;
    r = route_replace(rt->kernel.nl, &inject->want);
    if (r == -ENETDOWN || r == -ENODEV) /* it went since we looked: as above */
        return 0;
    if (r < 0)
        return err_wrap(r, "inject route");
    log_info("route injected", LOG_S("destination", request->destination),
             LOG_S("device", request->via_interface), LOG_S("gateway", request->gateway));
    return 0;
}

static void inject_undo(struct op *op, struct runtime *rt)
{
    struct inject *inject = (struct inject *)op;

    if (inject->had_before)
        (void)route_table_put(&rt->state.routes, &inject->before);
    else
        (void)route_table_remove(&rt->state.routes, inject->dst);
}

static void inject_answer(const struct op *op, const struct runtime *rt)
{
    Quilt__InjectRouteReply reply = QUILT__INJECT_ROUTE_REPLY__INIT;

    reply.success = !op->error;
    if (op->error)
        reply.error = op->error;
    rpc_reply(op->call, &reply.base);
}

const struct op_kind op_inject = {.size = sizeof(struct inject),
                                  .key = inject_key,
                                  .decide = inject_decide,
                                  .apply = inject_apply,
                                  .undo = inject_undo,
                                  .answer = inject_answer};

/* ---- RemoveRoute ----------------------------------------------------------------------------- */

static char *remove_key(const ProtobufCMessage *request)
{
    return mem_printf("route %s", ((const Quilt__RemoveRouteRequest *)request)->destination);
}

/* One delete takes one route; ours of other metrics may stand behind it. */
static int remove_from_kernel(struct runtime *rt, struct ip4_prefix dst)
{
    const struct route_entry *have;
    size_t count;
    int r = batch_find_routes(rt, dst, &have, &count);

    for (size_t i = 0; r == 0 && i < count; i++) {
        if (have[i].protocol != QUILT_ROUTE_PROTOCOL)
            continue;
        rt->kernel.writes[KERNEL_ROUTE]++;
        r = route_delete(rt->kernel.nl, &have[i]);
    }
    return r;
}

/* The kernel first, then the state: cut off between the two, the route comes back, the caller had
 * no answer and asks again. The other way round it would stay for ever. */
static int remove_decide(struct op *op, struct runtime *rt, struct state *next)
{
    const Quilt__RemoveRouteRequest *request = (const Quilt__RemoveRouteRequest *)op->request;
    struct ip4_prefix dst;
    int r = request_read_destination(next, request->destination, &dst);

    if (r == 0)
        r = remove_from_kernel(rt, dst);
    if (r < 0)
        return err_wrap(r, "remove route");
    op->is_change = route_table_remove(&next->routes, dst);
    if (op->is_change)
        log_info("route removed", LOG_S("destination", request->destination));
    return 0;
}

static void remove_answer(const struct op *op, const struct runtime *rt)
{
    Quilt__RemoveRouteReply reply = QUILT__REMOVE_ROUTE_REPLY__INIT;

    reply.success = !op->error;
    if (op->error)
        reply.error = op->error;
    rpc_reply(op->call, &reply.base);
}

const struct op_kind op_remove = {
    .size = sizeof(struct op), .key = remove_key, .decide = remove_decide, .answer = remove_answer};
