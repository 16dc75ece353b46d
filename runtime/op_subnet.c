/* ConfigureNodeSubnet and LeaveMesh: the node comes and goes. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/rpc/server.h"
#include "proto/quilt.pb-c.h"
#include "runtime/batch.h"
#include "runtime/firewall.h"
#include "runtime/frames.h"
#include "runtime/requests.h"
#include "runtime/runtime.h"

/* ---- ConfigureNodeSubnet --------------------------------------------------------------------- */

struct configure {
    struct op op;
    struct state before; /* when op.is_change */
};

/* Routes that the new subnet has no place for leave the kernel before they are forgotten: cut off
 * between the two, they would come back and be removed again. */
static int remove_forgotten_routes(struct runtime *rt, const struct state *next)
{
    const struct route_table *old = &rt->state.routes;

    for (size_t i = 0; i < old->count; i++) {
        struct route_entry entry = route_to_entry(&old->items[i], rt->state.cluster, 0);
        int r;

        if (route_table_find(&next->routes, entry.dst))
            continue;
        rt->kernel.writes[KERNEL_ROUTE]++;
        r = route_delete(rt->kernel.nl, &entry);
        if (r < 0)
            return r;
    }
    return 0;
}

static int configure_decide(struct op *op, struct runtime *rt, struct state *next)
{
    const Quilt__ConfigureNodeSubnetRequest *request =
        (const Quilt__ConfigureNodeSubnetRequest *)op->request;
    struct configure *configure = (struct configure *)op;
    struct subnet_request wanted;
    int r = request_read_subnet(request->subnet, request->cluster_cidr, &wanted);

    if (r == 0)
        r = state_configure(next, wanted.subnet, wanted.cluster);
    if (r < 0)
        return err_wrap(r, "configure subnet");
    if (r == STATE_UNCHANGED)
        return 0;
    r = remove_forgotten_routes(rt, next);
    if (r < 0)
        return r;
    state_copy(&configure->before, &rt->state);
    op->is_change = true;
    return 0;
}

static int configure_apply(struct op *op, struct runtime *rt)
{
    char subnet[IP4_PREFIX_TEXT_SIZE], cluster[IP4_PREFIX_TEXT_SIZE];
    int r;

    if (!op->is_change) { /* the agent has started anew: what it has pinned may be new */
        reconcile_ask(&rt->reconcile, LOOK_NET);
        return 0;
    }
    rt->reconcile.is_off = false;
    reconcile_run(&rt->reconcile, LOOK_SYSCTL | LOOK_NET);
    r = reconcile_firewall_now(&rt->reconcile);
    if (r < 0)
        return err_wrap(r, "configure subnet");
    log_info("subnet configured", LOG_S("subnet", ip4_prefix_format(rt->state.subnet, subnet)),
             LOG_S("cluster", ip4_prefix_format(rt->state.cluster, cluster)));
    return 0;
}

static void configure_undo(struct op *op, struct runtime *rt)
{
    struct configure *configure = (struct configure *)op;

    state_deinit(&rt->state);
    state_copy(&rt->state, &configure->before);
    reconcile_ask(&rt->reconcile, LOOK_ALL);
}

static void configure_answer(const struct op *op, const struct runtime *rt)
{
    Quilt__ConfigureNodeSubnetReply reply = QUILT__CONFIGURE_NODE_SUBNET_REPLY__INIT;

    reply.success = !op->error;
    if (op->error)
        reply.error = op->error;
    rpc_reply(op->call, &reply.base);
}

static void configure_deinit(struct op *op)
{
    state_deinit(&((struct configure *)op)->before);
}

const struct op_kind op_configure = {.size = sizeof(struct configure),
                                     .is_alone = true,
                                     .decide = configure_decide,
                                     .apply = configure_apply,
                                     .undo = configure_undo,
                                     .answer = configure_answer,
                                     .deinit = configure_deinit};

/* ---- LeaveMesh ------------------------------------------------------------------------------- */

static int remove_all_routes(struct runtime *rt)
{
    AUTO_FREE struct route_entry *routes = NULL;
    size_t count;
    int r = route_dump(rt->kernel.nl, QUILT_ROUTE_PROTOCOL, 0, &routes, &count);

    for (size_t i = 0; r == 0 && i < count; i++) {
        rt->kernel.writes[KERNEL_ROUTE]++;
        r = route_delete(rt->kernel.nl, &routes[i]);
    }
    return r;
}

static int remove_all_endpoints(struct runtime *rt)
{
    AUTO_FREE struct link_info *links = NULL;
    size_t count;
    int r = link_dump(rt->kernel.nl, "veth", &links, &count);

    for (size_t i = 0; r == 0 && i < count; i++) {
        if (!plug_is_ours(&links[i]))
            continue;
        rt->kernel.writes[KERNEL_ENDPOINT]++;
        r = link_delete(rt->kernel.nl, links[i].ifindex);
    }
    return r;
}

/* From here on nothing is wanted, so nothing is repaired. Routes go before they are forgotten (see
 * above), endpoints after: devices without a record are found by their alias. */
static int leave_decide(struct op *op, struct runtime *rt, struct state *next)
{
    char boot_id[STATE_BOOT_ID_SIZE];
    int r = remove_all_routes(rt);

    if (r < 0)
        return err_wrap(r, "leave");
    memcpy(boot_id, next->boot_id, sizeof boot_id);
    state_deinit(next);
    state_init(next, boot_id);
    op->is_change = true;
    return 0;
}

static int leave_apply(struct op *op, struct runtime *rt)
{
    int r;

    rt->reconcile.is_off = true;
    rt->reconcile.is_firewall_known = rt->reconcile.is_frames_known = false;
    r = remove_all_endpoints(rt);
    rt->kernel.writes[KERNEL_FIREWALL]++;
    if (r == 0)
        r = nft_table_delete(rt->kernel.nft, FIREWALL_FAMILY, FIREWALL_TABLE);
    if (r == 0)
        r = nft_table_delete(rt->kernel.nft, FRAMES_FAMILY, FRAMES_TABLE);
    if (r == 0)
        r = state_file_erase(&rt->file);
    if (r < 0)
        return err_wrap(r, "leave");
    log_info("left the mesh, nothing of it remains here");
    return 0;
}

static void leave_answer(const struct op *op, const struct runtime *rt)
{
    Quilt__LeaveMeshReply reply = QUILT__LEAVE_MESH_REPLY__INIT;

    reply.success = !op->error;
    if (op->error)
        reply.error = op->error;
    rpc_reply(op->call, &reply.base);
}

/* Half left is left: there is no way back but to join again, and leaving again goes on where this
 * stopped. So there is no undo. */
const struct op_kind op_leave = {.size = sizeof(struct op),
                                 .is_alone = true,
                                 .decide = leave_decide,
                                 .apply = leave_apply,
                                 .answer = leave_answer};
