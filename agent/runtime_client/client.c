/* The runtime: whether it is there, whose network it has, leaving it. */
#include <string.h>

#include "agent/runtime_client/internal.h"
#include "lib/base/log.h"
#include "lib/base/random.h"
#include "proto/quilt.pb-c.h"

#define CALL_TIMEOUT_MS 5000
#define PROBE_MS 5000

/* ---- state and its problems ---------------------------------------------------------------- */

static void store_problem(struct runtime_client *c, const char *text)
{
    char *copy = text ? mem_strdup(text) : NULL;

    free(c->problem);
    c->problem = copy;
}

/* Said once for each change; text NULL: all is well. */
static void set_problem(struct runtime_client *c, const char *text)
{
    if (text && (!c->problem || strcmp(c->problem, text) != 0))
        log_warn("runtime", LOG_S("url", c->config.target), LOG_S("problem", text));
    if (!text && c->problem)
        log_info("runtime is back", LOG_S("url", c->config.target), LOG_S("was", c->problem));
    store_problem(c, text);
}

void runtime_client_be_away(struct runtime_client *c, const char *detail)
{
    if (c->state == STATE_LEAVING || c->state == STATE_IDLE)
        return;
    /* The words differ from attempt to attempt; that nobody answers is news only once. */
    if (c->state == STATE_AWAY)
        store_problem(c, detail);
    else
        set_problem(c, detail);
    runtime_client_drop_routes(c);
    if (c->state == STATE_AWAY && loop_timer_is_armed(c->timer))
        return;
    c->state = STATE_AWAY;
    loop_timer_set_in(c->timer, backoff_next_ms(&c->away, random_u64()));
}

bool runtime_client_is_nobody_there(int status)
{
    return status == STATUS_UNAVAILABLE || status == STATUS_DEADLINE_EXCEEDED ||
           status == STATUS_CANCELLED;
}

void runtime_client_call(struct runtime_client *c, const char *path,
                         const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply,
                         rpc_done_fn done, void *data)
{
    c->calls++;
    rpc_client_call(c->rpc, path, request, reply, CALL_TIMEOUT_MS, done, data);
}

/* ---- the node's network -------------------------------------------------------------------- */

static void configure(struct runtime_client *c);

static void be_ready(struct runtime_client *c)
{
    set_problem(c, NULL);
    backoff_reset(&c->away);
    backoff_reset(&c->refused);
    if (c->state != STATE_READY)
        log_info("runtime is configured", LOG_S("url", c->config.target));
    c->is_one_by_one = c->is_one_by_one && c->state == STATE_READY; /* it may be another one */
    c->state = STATE_READY;
    loop_timer_set_in(c->timer, PROBE_MS);
    c->config.look(c->config.data);
}

static void be_refused(struct runtime_client *c, const char *why)
{
    AUTO_FREE char *problem = mem_printf("the runtime refuses this node's network: %s", why);

    set_problem(c, problem);
    c->state = STATE_REFUSED;
    loop_timer_set_in(c->timer, backoff_next_ms(&c->refused, random_u64()));
}

static void on_configured(const struct rpc_result *result, void *data)
{
    struct runtime_client *c = data;
    const Quilt__ConfigureNodeSubnetReply *reply = (const void *)result->reply;

    c->is_configuring = false;
    if (c->state == STATE_LEAVING)
        return;
    if (result->status != 0) {
        c->calls_failed++;
        runtime_client_be_away(c, result->detail);
    } else if (c->is_subnet_new) {
        configure(c);
    } else if (reply->success) {
        be_ready(c);
    } else {
        c->calls_failed++;
        be_refused(c, reply->error);
    }
}

static void configure(struct runtime_client *c)
{
    Quilt__ConfigureNodeSubnetRequest request = QUILT__CONFIGURE_NODE_SUBNET_REQUEST__INIT;
    char subnet[IP4_PREFIX_TEXT_SIZE], cidr[IP4_PREFIX_TEXT_SIZE];

    if (c->is_configuring)
        return;
    c->is_subnet_new = false;
    c->is_configuring = true;
    if (c->state != STATE_AWAY)
        c->state = STATE_CONFIGURING;
    request.subnet = ip4_prefix_format(c->subnet, subnet);
    request.cluster_cidr = ip4_prefix_format(c->cluster_cidr, cidr);
    runtime_client_call(c, SERVICE "ConfigureNodeSubnet", &request.base,
                        &quilt__configure_node_subnet_reply__descriptor, on_configured, c);
}

void runtime_client_configure(struct runtime_client *c, struct ip4_prefix subnet,
                              struct ip4_prefix cluster_cidr)
{
    if (c->state == STATE_LEAVING ||
        (c->state != STATE_IDLE && ip4_prefix_equal(c->subnet, subnet) &&
         ip4_prefix_equal(c->cluster_cidr, cluster_cidr)))
        return;
    c->subnet = subnet;
    c->cluster_cidr = cluster_cidr;
    c->is_subnet_new = true;
    if (c->state == STATE_IDLE || c->state == STATE_READY || c->state == STATE_REFUSED)
        c->state = STATE_CONFIGURING;
    configure(c);
}

/* ---- is it still there, and is it still ours ----------------------------------------------- */

static void on_probed(const struct rpc_result *result, void *data)
{
    struct runtime_client *c = data;
    const Quilt__GetStatusReply *reply = (const void *)result->reply;
    char subnet[IP4_PREFIX_TEXT_SIZE];

    if (c->state != STATE_READY)
        return;
    if (result->status != 0 && result->status != STATUS_UNIMPLEMENTED) {
        c->calls_failed++;
        runtime_client_be_away(c, result->detail);
        return;
    }
    /* One that has lost its memory gets its network again. */
    if (reply && strcmp(reply->subnet, ip4_prefix_format(c->subnet, subnet)) != 0) {
        configure(c);
        return;
    }
    if (reply)
        c->config.heard_routes(c->config.data, reply->routes);
    loop_timer_set_in(c->timer, PROBE_MS);
}

static void probe(struct runtime_client *c)
{
    Quilt__GetStatusRequest request = QUILT__GET_STATUS_REQUEST__INIT;

    request.is_brief = true;
    runtime_client_call(c, SERVICE "GetStatus", &request.base, &quilt__get_status_reply__descriptor,
                        on_probed, c);
}

static void on_timer(void *data)
{
    struct runtime_client *c = data;

    if (c->state == STATE_READY)
        probe(c);
    else if (c->state == STATE_AWAY || c->state == STATE_REFUSED)
        configure(c);
}

static void on_look_at(void *data)
{
    struct runtime_client *c = data;

    c->config.look(c->config.data);
}

bool runtime_client_is_ready(const struct runtime_client *c)
{
    return c->state == STATE_READY;
}

bool runtime_client_is_busy(const struct runtime_client *c)
{
    return c->running > 0;
}

/* ---- leaving ------------------------------------------------------------------------------- */

static void on_left(const struct rpc_result *result, void *data)
{
    struct runtime_client *c = data;
    const Quilt__LeaveMeshReply *reply = (const void *)result->reply;

    if (result->status != 0)
        c->left(result->detail, c->left_data);
    else
        c->left(reply->success ? NULL : reply->error, c->left_data);
}

void runtime_client_leave(struct runtime_client *c, int64_t timeout_ms, runtime_left_fn done,
                          void *data)
{
    Quilt__LeaveMeshRequest request = QUILT__LEAVE_MESH_REQUEST__INIT;

    c->state = STATE_LEAVING;
    runtime_client_drop_routes(c);
    loop_timer_disarm(c->timer);
    c->left = done;
    c->left_data = data;
    rpc_client_call(c->rpc, SERVICE "LeaveMesh", &request.base,
                    &quilt__leave_mesh_reply__descriptor, timeout_ms, on_left, c);
}

/* ---- life ---------------------------------------------------------------------------------- */

int runtime_client_new(const struct runtime_client_config *config,
                       struct runtime_client **ret_client)
{
    struct runtime_client *c = NEW(struct runtime_client);
    int r;

    c->config = *config;
    c->queue_end = &c->queue;
    c->away = (struct backoff){.min_ms = 100, .base_ms = 200, .max_ms = 2000};
    c->refused = (struct backoff){.min_ms = 1000, .base_ms = 1000, .max_ms = 10000};
    r = loop_add_timer(config->loop, on_timer, c, &c->timer);
    if (r == 0)
        r = loop_add_timer(config->loop, on_look_at, c, &c->look_at);
    if (r == 0)
        r = rpc_client_new(config->loop, config->target, config->tls, &c->rpc);
    if (r < 0) {
        runtime_client_free(c);
        return r;
    }
    *ret_client = c;
    return 0;
}

void runtime_client_free(struct runtime_client *c)
{
    if (!c)
        return;
    rpc_client_free(c->rpc);
    loop_source_free(c->look_at);
    loop_source_free(c->timer);
    runtime_client_forget_routes(c);
    free(c->problem);
    free(c);
}

void runtime_client_status(const struct runtime_client *c, struct runtime_client_status *ret)
{
    *ret = (struct runtime_client_status){
        .is_connected = c->state == STATE_READY || c->state == STATE_REFUSED,
        .is_ready = c->state == STATE_READY,
        .problem = c->problem ? c->problem : "",
        .calls = c->calls,
        .calls_failed = c->calls_failed,
    };
}
