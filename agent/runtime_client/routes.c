/* What the runtime is asked for route by route: up to 1000 in one call, or with a runtime that does
 * not know how (of an earlier release) one a call, and at most 64 calls at a time. */
#include <string.h>

#include "agent/runtime_client/internal.h"
#include "lib/base/log.h"
#include "proto/quilt.pb-c.h"

#define CALLS_MAX 64
/* Of many routes each; and so many routes are in one. */
#define FLIGHTS_MAX 2
#define FLIGHT_ROUTES_MAX 1000
#define SLOT_QUIET_MS 60000
/* More route changes at once are not logged one by one. */
#define SAY_MAX 16
/* A route that is asked for more often in a row is not there, whatever the runtime says. */
#define BELIEVED_TRIES 3

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

struct flight {
    struct runtime_client *client;
    struct slot **slots; /* owned */
    size_t count;
    LIST_ENTRY(flight) entry; /* of those under way */
};

static void forget_flight(struct flight *flight)
{
    LIST_REMOVE(flight, entry);
    flight->client->flights--;
    free(flight->slots);
    free(flight);
}

void runtime_client_forget_routes(struct runtime_client *c)
{
    struct slot *slot, *next;

    while (!LIST_EMPTY(&c->in_air))
        forget_flight(LIST_FIRST(&c->in_air));
    HASH_ITER (hh, c->slots, slot, next)
        forget_slot(c, slot);
}

static void prune_slots(struct runtime_client *c, int64_t now_ms)
{
    struct slot *slot, *next;

    if (now_ms - c->pruned_ms < SLOT_QUIET_MS)
        return;
    c->pruned_ms = now_ms;
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
static void settle(struct slot *slot, const char *problem)
{
    struct runtime_client *c = slot->client;

    slot->is_running = false;
    c->running--;
    pace_ended(&slot->pace, !problem, clock_boot_ms());
    if (!problem && slot->pace.tries > BELIEVED_TRIES)
        problem = "the runtime says again and again that it is done, the kernel does not keep it";
    say_route(slot, problem);
    free(slot->problem);
    slot->problem = problem ? mem_strdup(problem) : NULL;
}

static void go_on(struct runtime_client *c)
{
    pump(c);
    if (c->running > 0)
        return;
    prune_slots(c, clock_boot_ms());
    c->config.look(c->config.data);
}

static void enqueue(struct runtime_client *c, struct slot *slot)
{
    slot->next = NULL;
    slot->is_queued = true;
    *c->queue_end = slot;
    c->queue_end = &slot->next;
}

static struct slot *dequeue(struct runtime_client *c)
{
    struct slot *slot = c->queue;

    c->queue = slot->next;
    if (!c->queue)
        c->queue_end = &c->queue;
    slot->is_queued = false;
    slot->is_running = true;
    c->running++;
    return slot;
}

/* ---- one by one ---------------------------------------------------------------------------- */

static void on_route_result(struct slot *slot, const struct rpc_result *result, bool success,
                            const char *error)
{
    struct runtime_client *c = slot->client;
    bool is_done = result->status == 0 && success;

    if (runtime_client_is_nobody_there(result->status))
        runtime_client_be_away(c, result->detail);
    c->calls_failed += !is_done;
    settle(slot, is_done ? NULL : result->status == 0 ? error : result->detail);
    go_on(c);
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

/* A request with the texts that it borrows. */
struct injection {
    Quilt__InjectRouteRequest request;
    char dst[IP4_PREFIX_TEXT_SIZE], gateway[IP4_TEXT_SIZE];
};

static void fill_injection(const struct runtime_client *c, const struct slot *slot,
                           struct injection *ret)
{
    quilt__inject_route_request__init(&ret->request);
    ret->request.destination = ip4_prefix_format(slot->dst, ret->dst);
    ret->request.via_interface = (char *)(uintptr_t)c->config.via_interface;
    ret->request.gateway = ip4_format(slot->dst.addr, ret->gateway);
    ret->request.mtu = slot->mtu_bytes;
}

static void inject(struct runtime_client *c, struct slot *slot)
{
    struct injection injection;

    fill_injection(c, slot, &injection);
    runtime_client_call(c, SERVICE "InjectRoute", &injection.request.base,
                        &quilt__inject_route_reply__descriptor, on_injected, slot);
}

static void remove_route(struct runtime_client *c, struct slot *slot)
{
    Quilt__RemoveRouteRequest request = QUILT__REMOVE_ROUTE_REQUEST__INIT;
    char dst[IP4_PREFIX_TEXT_SIZE];

    request.destination = ip4_prefix_format(slot->dst, dst);
    runtime_client_call(c, SERVICE "RemoveRoute", &request.base,
                        &quilt__remove_route_reply__descriptor, on_removed, slot);
}

static void call_for_one(struct runtime_client *c)
{
    struct slot *slot = dequeue(c);

    if (slot->verb == OVERLAY_REMOVE)
        remove_route(c, slot);
    else
        inject(c, slot);
}

/* ---- many at once -------------------------------------------------------------------------- */

/* One that does not know the call: its slots wait again, in front of nobody. */
static void turn_back(struct flight *flight)
{
    struct runtime_client *c = flight->client;

    c->is_one_by_one = true;
    for (size_t i = 0; i < flight->count; i++) {
        flight->slots[i]->is_running = false;
        c->running--;
        if (c->state == STATE_READY)
            enqueue(c, flight->slots[i]);
    }
}

static void settle_all(struct flight *flight, const char *problem)
{
    for (size_t i = 0; i < flight->count; i++)
        settle(flight->slots[i], problem);
}

/* Failures first, so that what is left has succeeded. */
static void settle_each(struct flight *flight, const Quilt__ChangeRoutesReply *reply)
{
    struct runtime_client *c = flight->client;
    struct ip4_prefix dst;

    for (size_t i = 0; i < reply->n_failures; i++) {
        const Quilt__RouteFailure *failure = reply->failures[i];
        struct slot *slot =
            ip4_prefix_parse(failure->destination, &dst) == 0 ? find_slot(c, dst) : NULL;

        if (slot && slot->is_running)
            settle(slot, failure->error);
    }
    for (size_t i = 0; i < flight->count; i++)
        if (flight->slots[i]->is_running)
            settle(flight->slots[i], NULL);
}

static void on_flight_result(struct flight *flight, const struct rpc_result *result)
{
    struct runtime_client *c = flight->client;
    const Quilt__ChangeRoutesReply *reply = (const void *)result->reply;

    if (result->status == STATUS_UNIMPLEMENTED) {
        turn_back(flight);
        return;
    }
    if (runtime_client_is_nobody_there(result->status))
        runtime_client_be_away(c, result->detail);
    c->calls_failed += result->status != 0 || !reply->success;
    if (result->status != 0)
        settle_all(flight, result->detail);
    else if (!reply->success && reply->n_failures == 0)
        settle_all(flight, reply->error);
    else
        settle_each(flight, reply);
}

static void on_changed_routes(const struct rpc_result *result, void *data)
{
    struct flight *flight = data;
    struct runtime_client *c = flight->client;

    on_flight_result(flight, result);
    forget_flight(flight);
    go_on(c);
}

static void send_flight(struct flight *flight)
{
    AUTO_FREE struct injection *injections = mem_array(flight->count, sizeof *injections);
    AUTO_FREE Quilt__InjectRouteRequest **inject_list = mem_array(flight->count, sizeof(void *));
    AUTO_FREE char **remove_list = mem_array(flight->count, sizeof(char *));
    Quilt__ChangeRoutesRequest request = QUILT__CHANGE_ROUTES_REQUEST__INIT;

    for (size_t i = 0; i < flight->count; i++) {
        struct injection *injection = &injections[i];

        fill_injection(flight->client, flight->slots[i], injection);
        if (flight->slots[i]->verb == OVERLAY_REMOVE)
            remove_list[request.n_remove++] = injection->dst;
        else
            inject_list[request.n_inject++] = &injection->request;
    }
    request.inject = inject_list;
    request.remove = remove_list;
    runtime_client_call(flight->client, SERVICE "ChangeRoutes", &request.base,
                        &quilt__change_routes_reply__descriptor, on_changed_routes, flight);
}

static void call_for_many(struct runtime_client *c)
{
    struct flight *flight = NEW(struct flight);

    flight->client = c;
    flight->slots = mem_array(FLIGHT_ROUTES_MAX, sizeof *flight->slots);
    while (c->queue && flight->count < FLIGHT_ROUTES_MAX)
        flight->slots[flight->count++] = dequeue(c);
    LIST_INSERT_HEAD(&c->in_air, flight, entry);
    c->flights++;
    send_flight(flight);
}

static bool can_call(const struct runtime_client *c)
{
    if (!c->queue || c->state != STATE_READY)
        return false;
    return c->is_one_by_one ? c->running < CALLS_MAX : c->flights < FLIGHTS_MAX;
}

static void pump(struct runtime_client *c)
{
    while (can_call(c)) {
        if (c->is_one_by_one)
            call_for_one(c);
        else
            call_for_many(c);
    }
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
        bool is_other = slot->verb != changes[i].verb || slot->mtu_bytes != changes[i].mtu_bytes;
        bool is_turn = is_other || now_ms >= slot->pace.not_before_ms;

        if (slot->is_running)
            continue;
        if (!is_turn && !slot->is_queued) {
            if (slot->pace.not_before_ms < next_ms)
                next_ms = slot->pace.not_before_ms;
            continue;
        }
        slot->verb = changes[i].verb;
        slot->mtu_bytes = changes[i].mtu_bytes;
        if (!slot->is_queued)
            enqueue(c, slot);
    }
    if (next_ms != INT64_MAX)
        loop_timer_set_at(c->look_at, next_ms);
    pump(c);
}

void runtime_client_drop_routes(struct runtime_client *c)
{
    while (c->queue) {
        c->queue->is_queued = false;
        c->queue = c->queue->next;
    }
    c->queue_end = &c->queue;
}

const char *runtime_client_route_problem(const struct runtime_client *c, struct ip4_prefix dst)
{
    const struct slot *slot = find_slot(c, dst);

    return slot ? slot->problem : NULL;
}
