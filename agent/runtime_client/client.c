/* Calls the runtime: at most 64 calls at a time, one a route. */
#include "agent/runtime_client/client.h"

#include <string.h>

#include "agent/runtime_client/pace.h"
#include "lib/base/backoff.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/random.h"
#include "lib/rpc/client.h"
#include "proto/quilt.pb-c.h"

#define SERVICE "/quilt.QuiltRuntime/"
#define CALLS_MAX 64
#define CALL_TIMEOUT_MS 5000
#define PROBE_MS 5000
#define SLOT_QUIET_MS 60000
/* More route changes at once are not logged one by one. */
#define SAY_MAX 16
/* A route that is asked for more often in a row is not there, whatever the runtime says. */
#define BELIEVED_TRIES 3

/* gRPC statuses (grpc/status.h) that say that nobody answered. */
#define STATUS_CANCELLED 1
#define STATUS_DEADLINE_EXCEEDED 4
#define STATUS_UNIMPLEMENTED 12
#define STATUS_UNAVAILABLE 14

enum state { STATE_IDLE, STATE_CONFIGURING, STATE_READY, STATE_REFUSED, STATE_AWAY, STATE_LEAVING };

/* What is known of one route's calls. */
struct slot {
    uint64_t key;
    struct runtime_client *client;
    struct ip4_prefix dst;
    enum overlay_verb verb;
    bool is_queued;
    bool is_running;
    char *problem; /* owned; NULL: the latest call succeeded */
    struct pace pace;
    struct slot *next; /* in the queue */
    UT_hash_handle hh;
};

struct runtime_client {
    struct runtime_client_config config;
    struct rpc_client *rpc;
    struct loop_source *timer;   /* configure again, or probe */
    struct loop_source *look_at; /* look again for what had to wait */
    enum state state;
    struct ip4_prefix subnet, cluster_cidr;
    bool is_subnet_new; /* changed while a call for the old one is under way */
    bool is_configuring;
    struct backoff away, refused;
    char *problem; /* owned; NULL: none */

    struct slot *slots;
    struct slot *queue, **queue_end;
    size_t running;
    uint64_t calls, calls_failed;

    runtime_left_fn left;
    void *left_data;
};

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

static void drop_queue(struct runtime_client *c)
{
    while (c->queue) {
        c->queue->is_queued = false;
        c->queue = c->queue->next;
    }
    c->queue_end = &c->queue;
}

static void be_away(struct runtime_client *c, const char *detail)
{
    if (c->state == STATE_LEAVING || c->state == STATE_IDLE)
        return;
    /* The words differ from attempt to attempt; that nobody answers is news only once. */
    if (c->state == STATE_AWAY)
        store_problem(c, detail);
    else
        set_problem(c, detail);
    drop_queue(c);
    if (c->state == STATE_AWAY && loop_timer_is_armed(c->timer))
        return;
    c->state = STATE_AWAY;
    loop_timer_set_in(c->timer, backoff_next_ms(&c->away, random_u64()));
    c->config.changed(c->config.data);
}

static bool is_nobody_there(int status)
{
    return status == STATUS_UNAVAILABLE || status == STATUS_DEADLINE_EXCEEDED ||
           status == STATUS_CANCELLED;
}

static void call(struct runtime_client *c, const char *path, const ProtobufCMessage *request,
                 const ProtobufCMessageDescriptor *reply, rpc_done_fn done, void *data)
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
    c->state = STATE_READY;
    loop_timer_set_in(c->timer, PROBE_MS);
    c->config.changed(c->config.data);
    c->config.look(c->config.data);
}

static void be_refused(struct runtime_client *c, const char *why)
{
    AUTO_FREE char *problem = mem_printf("the runtime refuses this node's network: %s", why);

    set_problem(c, problem);
    c->state = STATE_REFUSED;
    loop_timer_set_in(c->timer, backoff_next_ms(&c->refused, random_u64()));
    c->config.changed(c->config.data);
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
        be_away(c, result->detail);
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
    call(c, SERVICE "ConfigureNodeSubnet", &request.base,
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
        be_away(c, result->detail);
        return;
    }
    /* One that has lost its memory gets its network again. */
    if (reply && strcmp(reply->subnet, ip4_prefix_format(c->subnet, subnet)) != 0) {
        configure(c);
        return;
    }
    loop_timer_set_in(c->timer, PROBE_MS);
}

static void probe(struct runtime_client *c)
{
    Quilt__GetStatusRequest request = QUILT__GET_STATUS_REQUEST__INIT;

    call(c, SERVICE "GetStatus", &request.base, &quilt__get_status_reply__descriptor, on_probed, c);
}

static void on_timer(void *data)
{
    struct runtime_client *c = data;

    if (c->state == STATE_READY)
        probe(c);
    else if (c->state == STATE_AWAY || c->state == STATE_REFUSED)
        configure(c);
}

/* ---- routes -------------------------------------------------------------------------------- */

static uint64_t key_of(struct ip4_prefix dst)
{
    return (uint64_t)dst.addr << 8 | dst.len;
}

static struct slot *find_slot(const struct runtime_client *c, struct ip4_prefix dst)
{
    uint64_t key = key_of(dst);
    struct slot *slot;

    HASH_FIND(hh, c->slots, &key, sizeof key, slot);
    return slot;
}

static struct slot *get_slot(struct runtime_client *c, struct ip4_prefix dst)
{
    struct slot *slot = find_slot(c, dst);

    if (slot)
        return slot;
    slot = NEW(struct slot);
    slot->key = key_of(dst);
    slot->client = c;
    slot->dst = dst;
    HASH_ADD(hh, c->slots, key, sizeof slot->key, slot);
    return slot;
}

static void forget_slot(struct runtime_client *c, struct slot *slot)
{
    HASH_DEL(c->slots, slot);
    free(slot->problem);
    free(slot);
}

static void prune_slots(struct runtime_client *c, int64_t now_ms)
{
    struct slot *slot, *next;

    HASH_ITER (hh, c->slots, slot, next)
        if (!slot->is_queued && !slot->is_running && now_ms - slot->pace.last_ms > SLOT_QUIET_MS)
            forget_slot(c, slot);
}

static void say_route(const struct slot *slot, const char *problem)
{
    char dst[IP4_PREFIX_TEXT_SIZE];
    const char *what = slot->verb == OVERLAY_REMOVE ? "remove" : "inject";
    bool is_news = problem && (!slot->problem || strcmp(slot->problem, problem) != 0);
    enum log_level level = is_news ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;

    if (!problem && HASH_COUNT(slot->client->slots) <= SAY_MAX)
        level = LOG_LEVEL_INFO;
    (void)ip4_prefix_format(slot->dst, dst);
    if (problem)
        log_at(level, "route", LOG_S("call", what), LOG_S("destination", dst),
               LOG_S("problem", problem));
    else
        log_at(level, "route", LOG_S("call", what), LOG_S("destination", dst));
}

static void pump(struct runtime_client *c);

/* problem NULL: it succeeded. */
static void route_ended(struct slot *slot, const char *problem)
{
    struct runtime_client *c = slot->client;
    int64_t now_ms = clock_boot_ms();

    slot->is_running = false;
    c->running--;
    c->calls_failed += problem != NULL;
    pace_ended(&slot->pace, !problem, now_ms);
    if (!problem && slot->pace.tries > BELIEVED_TRIES)
        problem = "the runtime says again and again that it is done, the kernel does not keep it";
    say_route(slot, problem);
    free(slot->problem);
    slot->problem = problem ? mem_strdup(problem) : NULL;
    pump(c);
    if (c->running == 0) {
        prune_slots(c, now_ms);
        c->config.look(c->config.data);
    }
}

static void on_route_result(struct slot *slot, const struct rpc_result *result, bool success,
                            const char *error)
{
    if (result->status == 0) {
        route_ended(slot, success ? NULL : error);
        return;
    }
    if (is_nobody_there(result->status))
        be_away(slot->client, result->detail);
    route_ended(slot, result->detail);
}

static void on_injected(const struct rpc_result *result, void *data)
{
    const Quilt__InjectRouteReply *reply = (const void *)result->reply;

    on_route_result(data, result, reply && reply->success, reply ? reply->error : "");
}

static void on_removed(const struct rpc_result *result, void *data)
{
    const Quilt__RemoveRouteReply *reply = (const void *)result->reply;

    on_route_result(data, result, reply && reply->success, reply ? reply->error : "");
}

static void inject(struct runtime_client *c, struct slot *slot)
{
    Quilt__InjectRouteRequest request = QUILT__INJECT_ROUTE_REQUEST__INIT;
    char dst[IP4_PREFIX_TEXT_SIZE], gateway[IP4_TEXT_SIZE];

    request.destination = ip4_prefix_format(slot->dst, dst);
    request.via_interface = (char *)(uintptr_t)c->config.via_interface;
    request.gateway = ip4_format(slot->dst.addr, gateway);
    call(c, SERVICE "InjectRoute", &request.base, &quilt__inject_route_reply__descriptor,
         on_injected, slot);
}

static void remove_route(struct runtime_client *c, struct slot *slot)
{
    Quilt__RemoveRouteRequest request = QUILT__REMOVE_ROUTE_REQUEST__INIT;
    char dst[IP4_PREFIX_TEXT_SIZE];

    request.destination = ip4_prefix_format(slot->dst, dst);
    call(c, SERVICE "RemoveRoute", &request.base, &quilt__remove_route_reply__descriptor,
         on_removed, slot);
}

static void pump(struct runtime_client *c)
{
    while (c->queue && c->running < CALLS_MAX && c->state == STATE_READY) {
        struct slot *slot = c->queue;

        c->queue = slot->next;
        if (!c->queue)
            c->queue_end = &c->queue;
        slot->is_queued = false;
        slot->is_running = true;
        c->running++;
        if (slot->verb == OVERLAY_REMOVE)
            remove_route(c, slot);
        else
            inject(c, slot);
    }
}

static void enqueue(struct runtime_client *c, struct slot *slot)
{
    slot->next = NULL;
    slot->is_queued = true;
    *c->queue_end = slot;
    c->queue_end = &slot->next;
}

void runtime_client_routes(struct runtime_client *c, const struct overlay_change *changes,
                           size_t count)
{
    int64_t now_ms = clock_boot_ms(), next_ms = INT64_MAX;

    if (c->state != STATE_READY)
        return;
    for (size_t i = 0; i < count; i++) {
        struct slot *slot =
            get_slot(c, (struct ip4_prefix){.addr = changes[i].addr, .len = changes[i].prefix_len});
        bool is_turn = slot->verb != changes[i].verb || now_ms >= slot->pace.not_before_ms;

        if (slot->is_running)
            continue;
        if (!is_turn && !slot->is_queued) {
            if (slot->pace.not_before_ms < next_ms)
                next_ms = slot->pace.not_before_ms;
            continue;
        }
        slot->verb = changes[i].verb;
        if (!slot->is_queued)
            enqueue(c, slot);
    }
    if (next_ms != INT64_MAX)
        loop_timer_set_at(c->look_at, next_ms);
    pump(c);
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

const char *runtime_client_route_problem(const struct runtime_client *c, struct ip4_prefix dst)
{
    const struct slot *slot = find_slot(c, dst);

    return slot ? slot->problem : NULL;
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
    drop_queue(c);
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
        r = rpc_client_new(config->loop, config->target, &c->rpc);
    if (r < 0) {
        runtime_client_free(c);
        return r;
    }
    *ret_client = c;
    return 0;
}

void runtime_client_free(struct runtime_client *c)
{
    struct slot *slot, *next;

    if (!c)
        return;
    rpc_client_free(c->rpc);
    loop_source_free(c->look_at);
    loop_source_free(c->timer);
    HASH_ITER (hh, c->slots, slot, next)
        forget_slot(c, slot);
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
