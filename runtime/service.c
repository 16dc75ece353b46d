/* The gRPC service. */
#include "runtime/service.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/owner.h"
#include "lib/tls/pem_file.h"
#include "proto/quilt.pb-c.h"
#include "runtime/drops.h"
#include "runtime/runtime.h"
#include "runtime/status.h"
#include "runtime/visitor.h"

#define SERVICE_NAME "quilt.QuiltRuntime"
#define GRPC_UNAVAILABLE 14

/* ---- looking --------------------------------------------------------------------------------- */

/* Compares with the kernel as it is now; a kernel that cannot be read is an honest UNAVAILABLE. */
static bool load_view(struct rpc_call *call, struct runtime *rt, struct view *ret_view)
{
    if (view_load(rt->kernel.nl, &rt->state.endpoints, ret_view) == 0)
        return true;
    rpc_fail(call, GRPC_UNAVAILABLE, "%s", err_text());
    return false;
}

static void free_all(void *items[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(items[i]);
}

struct route_row {
    Quilt__Route message;
    char destination[IP4_PREFIX_TEXT_SIZE];
    char gateway[IP4_TEXT_SIZE];
};

static void fill_route(struct route_row *row, struct route *route, char *problem)
{
    quilt__route__init(&row->message);
    row->message.destination = ip4_prefix_format(route->dst, row->destination);
    row->message.via_interface = route->via;
    if (route->gateway)
        row->message.gateway = ip4_format(route->gateway, row->gateway);
    row->message.in_kernel = !problem;
    row->message.mtu = route->mtu_bytes;
    if (problem)
        row->message.problem = problem;
}

static bool list_routes(struct rpc_call *call, const ProtobufCMessage *request, struct runtime *rt)
{
    size_t count = rt->state.routes.count;
    AUTO_FREE struct route_row *rows = mem_array(count + 1, sizeof *rows);
    AUTO_FREE Quilt__Route **messages = mem_array(count + 1, sizeof(void *));
    AUTO_FREE char **problems = mem_array(count + 1, sizeof(char *));
    Quilt__ListRoutesReply reply = QUILT__LIST_ROUTES_REPLY__INIT;
    struct view view;

    if (!load_view(call, rt, &view))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct route *route = &rt->state.routes.items[i];

        problems[i] = status_route_problem(&rt->reconcile, &view, route);
        fill_route(&rows[i], route, problems[i]);
        messages[i] = &rows[i].message;
    }
    reply.n_routes = count;
    reply.routes = messages;
    rpc_reply(call, &reply.base);
    free_all((void **)problems, count);
    view_deinit(&view);
    return true;
}

struct endpoint_row {
    Quilt__Endpoint message;
    char ip[IP4_TEXT_SIZE];
    char mac[MAC_TEXT_SIZE];
    char host_ifname[IFNAMSIZ];
};

static void fill_endpoint(struct endpoint_row *row, struct endpoint *endpoint, char *problem)
{
    quilt__endpoint__init(&row->message);
    endpoint_host_ifname(endpoint->addr, row->host_ifname);
    row->message.id = endpoint->id;
    row->message.netns = endpoint->netns_path;
    row->message.ifname = endpoint->ifname;
    row->message.ip = ip4_format(endpoint->addr, row->ip);
    row->message.mac = mac_format(mac_from_ip4(endpoint->addr), row->mac);
    row->message.host_ifname = row->host_ifname;
    row->message.created_at = endpoint->created_at_s;
    if (problem)
        row->message.problem = problem;
}

static bool list_endpoints(struct rpc_call *call, const ProtobufCMessage *request,
                           struct runtime *rt)
{
    size_t count = rt->state.endpoints.count;
    AUTO_FREE struct endpoint_row *rows = mem_array(count + 1, sizeof *rows);
    AUTO_FREE Quilt__Endpoint **messages = mem_array(count + 1, sizeof(void *));
    AUTO_FREE char **problems = mem_array(count + 1, sizeof(char *));
    Quilt__ListEndpointsReply reply = QUILT__LIST_ENDPOINTS_REPLY__INIT;
    struct view view;

    if (!load_view(call, rt, &view))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct endpoint *endpoint = &rt->state.endpoints.items[i];

        problems[i] = status_endpoint_problem(&rt->reconcile, &view, endpoint);
        fill_endpoint(&rows[i], endpoint, problems[i]);
        messages[i] = &rows[i].message;
    }
    reply.n_endpoints = count;
    reply.endpoints = messages;
    rpc_reply(call, &reply.base);
    free_all((void **)problems, count);
    view_deinit(&view);
    return true;
}

struct drop_rows {
    Quilt__Drop messages[FIREWALL_REASON_COUNT];
    Quilt__Drop *pointers[FIREWALL_REASON_COUNT];
    char reasons[FIREWALL_REASON_COUNT][32];
};

/* Without its counters a status is still one. */
static void fill_drops(const struct runtime *rt, struct drop_rows *rows,
                       Quilt__GetStatusReply *reply)
{
    struct drops drops;

    if (drops_load(&rt->kernel, &drops) < 0)
        log_warn("cannot read what the firewall dropped", LOG_ERR());
    reply->dropped = rows->pointers;
    for (size_t i = 0; i < FIREWALL_REASON_COUNT; i++) {
        Quilt__Drop *message = &rows->messages[reply->n_dropped];
        char *reason = rows->reasons[reply->n_dropped];

        if (drops.packets[i] == 0)
            continue;
        (void)snprintf(reason, sizeof rows->reasons[0], "%s", firewall_reasons[i]);
        quilt__drop__init(message);
        message->reason = reason;
        message->packets = drops.packets[i];
        rows->pointers[reply->n_dropped++] = message;
    }
}

static int find_problems(struct runtime *rt, struct problems *ret)
{
    struct view view;
    int r = view_load(rt->kernel.nl, &rt->state.endpoints, &view);

    if (r < 0)
        return r;
    status_find_problems(&rt->reconcile, &view, ret);
    view_deinit(&view);
    return 0;
}

/* Borrows the reason. */
static void fill_short_cut(const struct runtime *rt, Quilt__GetStatusReply *reply)
{
    const char *reason = reconcile_why_no_short_cut(&rt->reconcile);

    reply->short_cut = !reason;
    if (reason)
        reply->short_cut_reason = (char *)(uintptr_t)reason;
}

static bool get_status(struct rpc_call *call, const ProtobufCMessage *message, struct runtime *rt)
{
    const Quilt__GetStatusRequest *request = (const Quilt__GetStatusRequest *)message;
    char version[] = QUILT_VERSION, subnet[IP4_PREFIX_TEXT_SIZE], cluster[IP4_PREFIX_TEXT_SIZE];
    Quilt__GetStatusReply reply = QUILT__GET_STATUS_REPLY__INIT;
    struct problems problems = {0};
    struct drop_rows drops;

    if (!request->is_brief && find_problems(rt, &problems) < 0) {
        rpc_fail(call, GRPC_UNAVAILABLE, "%s", err_text());
        return false;
    }
    reply.version = version;
    if (state_is_configured(&rt->state))
        reply.subnet = ip4_prefix_format(rt->state.subnet, subnet);
    reply.cluster_cidr = ip4_prefix_format(rt->state.cluster, cluster);
    reply.endpoints = (uint32_t)rt->state.endpoints.count;
    reply.addresses_free = ipam_free_count(&rt->state.ipam);
    reply.routes = (uint32_t)rt->state.routes.count;
    reply.n_problems = problems.count;
    reply.problems = problems.items;
    fill_short_cut(rt, &reply);
    if (!request->is_brief)
        fill_drops(rt, &drops, &reply);
    rpc_reply(call, &reply.base);
    problems_deinit(&problems);
    return true;
}

/* ---- the table ------------------------------------------------------------------------------- */

#define PATH(name) "/" SERVICE_NAME "/" name

/* A method either changes something, in a group, or only looks, at once, and says whether it could.
 * Without a rule nobody may call it. */
struct method {
    const char *path;
    const ProtobufCMessageDescriptor *request;
    enum rpc_role may;
    const struct op_kind *op;
    bool (*look)(struct rpc_call *call, const ProtobufCMessage *request, struct runtime *rt);
};

static const struct method methods[] = {
    {.path = PATH("ConfigureNodeSubnet"),
     .request = &quilt__configure_node_subnet_request__descriptor,
     .may = RPC_MASTER,
     .op = &op_configure},
    {.path = PATH("InjectRoute"),
     .request = &quilt__inject_route_request__descriptor,
     .may = RPC_MASTER,
     .op = &op_inject},
    {.path = PATH("RemoveRoute"),
     .request = &quilt__remove_route_request__descriptor,
     .may = RPC_MASTER,
     .op = &op_remove},
    {.path = PATH("ChangeRoutes"),
     .request = &quilt__change_routes_request__descriptor,
     .may = RPC_MASTER,
     .op = &op_change_routes},
    {.path = PATH("ListRoutes"),
     .request = &quilt__list_routes_request__descriptor,
     .may = RPC_READER,
     .look = list_routes},
    {.path = PATH("AttachEndpoint"),
     .request = &quilt__attach_endpoint_request__descriptor,
     .may = RPC_MASTER,
     .op = &op_attach},
    {.path = PATH("DetachEndpoint"),
     .request = &quilt__detach_endpoint_request__descriptor,
     .may = RPC_MASTER,
     .op = &op_detach},
    {.path = PATH("ListEndpoints"),
     .request = &quilt__list_endpoints_request__descriptor,
     .may = RPC_READER,
     .look = list_endpoints},
    {.path = PATH("GetStatus"),
     .request = &quilt__get_status_request__descriptor,
     .may = RPC_READER,
     .look = get_status},
    {.path = PATH("LeaveMesh"),
     .request = &quilt__leave_mesh_request__descriptor,
     .may = RPC_MASTER,
     .op = &op_leave},
};
static_assert(ARRAY_LEN(methods) == SERVICE_METHOD_COUNT, "metrics count each method");

const char *service_method_name(size_t method)
{
    return methods[method].path + strlen(PATH(""));
}

static void handle(struct rpc_call *call, const ProtobufCMessage *request, struct runtime *rt)
{
    size_t i = 0;

    while (methods[i].request != request->descriptor)
        i++; /* the server hands over only what the table below names */
    if (methods[i].op) {
        batch_add(&rt->batch, methods[i].op, call, request, i);
        return;
    }
    metrics_count_call(&rt->metrics, i, methods[i].look(call, request, rt), 0);
}

static void on_call(struct rpc_call *call, const ProtobufCMessage *request, void *data)
{
    handle(call, request, data);
}

static int find_uid(const struct rpc_ends *ends, uint32_t *ret_uid, void *data)
{
    /* The client's socket: its own end is our far one. */
    const struct owner_question question = {.local_addr = ends->far_addr,
                                            .local_port = ends->far_port,
                                            .remote_addr = ends->near_addr,
                                            .remote_port = ends->near_port};

    return owner_find(&question, ret_uid);
}

static enum rpc_role judge(const struct tls_peer *peer, const struct tls_keyring *own, void *data)
{
    const struct sha256 own_key = tls_key_spki(own->key);

    return visitor_role(peer, &own->identity, &own_key);
}

int service_start(struct runtime *rt, const char *listen, const struct tls_keyring_files *files)
{
    const struct rpc_tls tls = {.files = files ? *files : (struct tls_keyring_files){0},
                                .judge = judge};
    struct rpc_method table[SERVICE_METHOD_COUNT];
    const struct rpc_server_config config = {.listen = listen,
                                             .service = SERVICE_NAME,
                                             .methods = table,
                                             .method_count = SERVICE_METHOD_COUNT,
                                             .find_uid = find_uid,
                                             .tls = files ? &tls : NULL,
                                             .data = rt};
    int r;

    if (files)
        pem_file_tell_open_key(files->key_file);
    for (size_t i = 0; i < SERVICE_METHOD_COUNT; i++)
        table[i] = (struct rpc_method){.path = methods[i].path,
                                       .request = methods[i].request,
                                       .fn = on_call,
                                       .may = methods[i].may};
    r = rpc_server_new(rt->daemon.loop, &config, &rt->rpc);
    return r < 0 ? err_wrap(r, "serve gRPC (--grpc-addr)") : 0;
}
