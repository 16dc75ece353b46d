/* AttachEndpoint and DetachEndpoint: containers come and go. */
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/rpc/server.h"
#include "proto/quilt.pb-c.h"
#include "runtime/batch.h"
#include "runtime/requests.h"
#include "runtime/runtime.h"

static char *make_key(const char *id, const char *ifname)
{
    return mem_printf("endpoint %s/%s", id, ifname[0] ? ifname : ENDPOINT_IFNAME_DEFAULT);
}

/* ---- AttachEndpoint -------------------------------------------------------------------------- */

struct attach {
    struct op op;
    uint32_t addr;
    struct endpoint before; /* the endpoint as it was known; its addr is 0: it was not */
};

static char *attach_key(const ProtobufCMessage *request)
{
    const Quilt__AttachEndpointRequest *r = (const Quilt__AttachEndpointRequest *)request;

    return make_key(r->id, r->ifname);
}

/* The strings stay borrowed from the request. */
static int read_attach(const Quilt__AttachEndpointRequest *request, struct endpoint *ret)
{
    AUTO_CLOSE int netns_fd = -1;
    const char *ifname;
    int r = request_read_key(request->id, request->ifname, &ifname);

    if (r == 0)
        r = request_read_netns(request->netns);
    if (r == 0)
        r = request_read_ip(request->ip, &ret->addr);
    if (r < 0)
        return r;
    r = plug_open_netns(request->netns, &netns_fd, &ret->netns);
    if (r < 0)
        return err_wrap(r, "netns");
    ret->id = request->id;
    ret->netns_path = request->netns;
    (void)snprintf(ret->ifname, sizeof ret->ifname, "%s", ifname);
    ret->created_at_s = clock_unix_s();
    return 0;
}

static bool is_known_so(const struct endpoint *known, const struct endpoint *wanted)
{
    return known && endpoint_netns_equal(&known->netns, &wanted->netns) &&
           strcmp(known->netns_path, wanted->netns_path) == 0 &&
           (wanted->addr == 0 || wanted->addr == known->addr);
}

/* id stays borrowed from the request, netns_path is owned. */
static void remember(struct attach *attach, const struct endpoint *known, const char *id)
{
    attach->before = *known;
    attach->before.id = (char *)(uintptr_t)id;
    attach->before.netns_path = mem_strdup(known->netns_path);
}

static int attach_decide(struct op *op, struct runtime *rt, struct state *next)
{
    struct attach *attach = (struct attach *)op;
    struct endpoint wanted = {0};
    const struct endpoint *known, *endpoint;
    bool is_same;
    int r = read_attach((const Quilt__AttachEndpointRequest *)op->request, &wanted);

    if (r < 0)
        return err_wrap(r, "attach");
    known = endpoint_table_find(&next->endpoints, wanted.id, wanted.ifname);
    is_same = is_known_so(known, &wanted);
    if (known)
        remember(attach, known, wanted.id);
    r = state_attach(next, &wanted, op->arrived_ms, &endpoint);
    if (r < 0)
        return err_wrap(r, "attach");
    attach->addr = endpoint->addr;
    op->is_change = !is_same;
    return 0;
}

/* Its frames are judged from now on; its packets are anyway. */
static void open_door(struct runtime *rt, uint32_t addr)
{
    if (reconcile_door(&rt->reconcile, addr) == 0)
        return;
    log_debug("frames of an endpoint", LOG_ERR());
    reconcile_ask(&rt->reconcile, LOOK_FIREWALL);
}

static int attach_apply(struct op *op, struct runtime *rt)
{
    struct attach *attach = (struct attach *)op;
    const struct endpoint *endpoint = endpoint_table_find_addr(&rt->state.endpoints, attach->addr);
    uint64_t writes = rt->kernel.writes[KERNEL_ENDPOINT];
    char ip[IP4_TEXT_SIZE];
    int r = 0;

    if (attach->before.addr && attach->before.addr != attach->addr)
        r = plug_remove(&rt->kernel, attach->before.addr);
    if (r == 0)
        r = plug_build(&rt->kernel, endpoint, rt->reconcile.mtu_bytes);
    if (r == 0)
        r = reconcile_put_device(&rt->reconcile, attach->addr);
    if (r == 0)
        r = reconcile_admit(&rt->reconcile);
    if (r == 0 && rt->kernel.writes[KERNEL_ENDPOINT] != writes)
        open_door(rt, attach->addr);
    if (r == PLUG_GONE)
        r = err_fail(ENOENT, "netns: %s is gone", endpoint->netns_path);
    if (r < 0)
        return err_wrap(r, "attach");
    if (op->is_change)
        log_info("endpoint attached", LOG_S("id", endpoint->id), LOG_S("ifname", endpoint->ifname),
                 LOG_S("ip", ip4_format(endpoint->addr, ip)), LOG_S("netns", endpoint->netns_path));
    return 0;
}

static void attach_undo(struct op *op, struct runtime *rt)
{
    struct attach *attach = (struct attach *)op;
    const Quilt__AttachEndpointRequest *request = (const Quilt__AttachEndpointRequest *)op->request;
    const char *ifname = request->ifname[0] ? request->ifname : ENDPOINT_IFNAME_DEFAULT;
    const struct endpoint *restored;

    /* An endpoint that was to move stays where it was; the look brings its device back. Not when
     * another request of the group has taken its place meanwhile. */
    if (!attach->before.addr ||
        state_attach(&rt->state, &attach->before, clock_boot_ms(), &restored) < 0)
        state_detach(&rt->state, request->id, ifname, clock_boot_ms());
    /* What a failure leaves here is found at the next look: a device of ours without a record. */
    if (plug_remove(&rt->kernel, attach->addr) < 0)
        log_warn("cannot remove what a failed attach left, will try again", LOG_ERR());
    reconcile_ask(&rt->reconcile, LOOK_NET | LOOK_MEMBERS);
}

static void attach_answer(const struct op *op, const struct runtime *rt)
{
    const struct attach *attach = (const struct attach *)op;
    Quilt__AttachEndpointReply reply = QUILT__ATTACH_ENDPOINT_REPLY__INIT;
    char ip[IP4_PREFIX_TEXT_SIZE], mac[MAC_TEXT_SIZE], host_ifname[IFNAMSIZ];
    char gateway[] = ENDPOINT_GATEWAY_TEXT;

    reply.success = !op->error;
    if (op->error) {
        reply.error = op->error;
    } else {
        endpoint_host_ifname(attach->addr, host_ifname);
        reply.ip = ip4_prefix_format((struct ip4_prefix){.addr = attach->addr, .len = 32}, ip);
        reply.gateway = gateway;
        reply.mac = mac_format(mac_from_ip4(attach->addr), mac);
        reply.mtu = rt->reconcile.mtu_bytes;
        reply.host_ifname = host_ifname;
    }
    rpc_reply(op->call, &reply.base);
}

static void attach_deinit(struct op *op)
{
    free(((struct attach *)op)->before.netns_path);
}

const struct op_kind op_attach = {.size = sizeof(struct attach),
                                  .key = attach_key,
                                  .decide = attach_decide,
                                  .apply = attach_apply,
                                  .undo = attach_undo,
                                  .answer = attach_answer,
                                  .deinit = attach_deinit};

/* ---- DetachEndpoint -------------------------------------------------------------------------- */

struct detach {
    struct op op;
    uint32_t addr; /* 0: there was no such endpoint */
};

static char *detach_key(const ProtobufCMessage *request)
{
    const Quilt__DetachEndpointRequest *r = (const Quilt__DetachEndpointRequest *)request;

    return make_key(r->id, r->ifname);
}

static int detach_decide(struct op *op, struct runtime *rt, struct state *next)
{
    const Quilt__DetachEndpointRequest *request = (const Quilt__DetachEndpointRequest *)op->request;
    struct detach *detach = (struct detach *)op;
    const struct endpoint *known;
    const char *ifname;
    int r = request_read_key(request->id, request->ifname, &ifname);

    if (r < 0)
        return err_wrap(r, "detach");
    known = endpoint_table_find(&next->endpoints, request->id, ifname);
    if (!known)
        return 0;
    detach->addr = known->addr;
    state_detach(next, request->id, ifname, op->arrived_ms);
    op->is_change = true;
    return 0;
}

/* The endpoint is forgotten already; a device that resists is removed at the next look. */
static int detach_apply(struct op *op, struct runtime *rt)
{
    const Quilt__DetachEndpointRequest *request = (const Quilt__DetachEndpointRequest *)op->request;
    const struct detach *detach = (const struct detach *)op;
    char ip[IP4_TEXT_SIZE];

    if (!op->is_change)
        return 0;
    if (plug_remove(&rt->kernel, detach->addr) < 0) {
        log_warn("cannot remove the device of a detached endpoint, will try again",
                 LOG_S("id", request->id), LOG_ERR());
        reconcile_ask(&rt->reconcile, LOOK_NET);
    }
    reconcile_ask(&rt->reconcile, LOOK_MEMBERS | LOOK_FIREWALL);
    log_info("endpoint detached", LOG_S("id", request->id),
             LOG_S("ip", ip4_format(detach->addr, ip)));
    return 0;
}

static void detach_answer(const struct op *op, const struct runtime *rt)
{
    Quilt__DetachEndpointReply reply = QUILT__DETACH_ENDPOINT_REPLY__INIT;
    const struct detach *detach = (const struct detach *)op;

    reply.success = !op->error;
    reply.was_absent = !op->error && detach->addr == 0;
    if (op->error)
        reply.error = op->error;
    rpc_reply(op->call, &reply.base);
}

const struct op_kind op_detach = {.size = sizeof(struct detach),
                                  .key = detach_key,
                                  .decide = detach_decide,
                                  .apply = detach_apply,
                                  .answer = detach_answer};
