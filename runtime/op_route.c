/* InjectRoute and RemoveRoute: the ways to the other nodes. */
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/rpc/server.h"
#include "proto/quilt.pb-c.h"
#include "runtime/batch.h"
#include "runtime/requests.h"
#include "runtime/route_wish.h"
#include "runtime/runtime.h"

/* ---- InjectRoute ----------------------------------------------------------------------------- */

struct inject {
    struct op op;
    struct route_wish wish;
};

static char *inject_key(const ProtobufCMessage *request)
{
    return mem_printf("route %s", ((const Quilt__InjectRouteRequest *)request)->destination);
}

static int inject_decide(struct op *op, struct runtime *rt, struct state *next)
{
    struct inject *inject = (struct inject *)op;
    int r =
        route_wish_read(rt, next, (const Quilt__InjectRouteRequest *)op->request, &inject->wish);

    if (r < 0)
        return err_wrap(r, "inject route");
    op->is_change = route_table_put(&next->routes, &inject->wish.route);
    return 0;
}

static int inject_apply(struct op *op, struct runtime *rt)
{
    struct inject *inject = (struct inject *)op;
    const Quilt__InjectRouteRequest *request = (const Quilt__InjectRouteRequest *)op->request;
    int r;

    rt->reconcile.is_off = false;
    if (!route_wish_is_due(&inject->wish))
        return 0;
    rt->kernel.writes[KERNEL_ROUTE]++;
    r = route_replace(rt->kernel.nl, &inject->wish.want);
    if (route_wish_can_wait(r))
        return 0;
    if (r < 0)
        return err_wrap(r, "inject route");
    log_info("route injected", LOG_S("destination", request->destination),
             LOG_S("device", request->via_interface), LOG_S("gateway", request->gateway));
    return 0;
}

static void inject_undo(struct op *op, struct runtime *rt)
{
    route_wish_undo(rt, &((struct inject *)op)->wish);
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

/* As many as are seen; 0, how many in *ret_count, or negative. */
static int remove_seen(struct runtime *rt, struct ip4_prefix dst, size_t *ret_count)
{
    const struct route_entry *have;
    size_t count;
    int r = batch_find_routes(rt, dst, &have, &count);

    *ret_count = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (have[i].protocol != QUILT_ROUTE_PROTOCOL)
            continue;
        rt->kernel.writes[KERNEL_ROUTE]++;
        (*ret_count)++;
        r = route_delete(rt->kernel.nl, &have[i]);
    }
    return r;
}

/* One delete takes one route; ours of other metrics may stand behind it. A listing has them all. */
static int remove_from_kernel(struct runtime *rt, struct ip4_prefix dst)
{
    size_t count;
    int r;

    do
        r = remove_seen(rt, dst, &count);
    while (r == 0 && count > 0 && !rt->batch.has_routes);
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
