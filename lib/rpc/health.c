/* Answers grpc.health.v1. */
#include "lib/rpc/health.h"

#include <grpc/status.h>
#include <string.h>

#include "lib/base/mem.h"
#include "proto/health.pb-c.h"

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

typedef Grpc__Health__V1__HealthCheckRequest check_request;
typedef Grpc__Health__V1__HealthCheckResponse check_response;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;

/* One open Watch. A change while a message is under way waits for it: of several changes the client
 * sees the last. */
struct rpc_watch {
    struct rpc_call *call;
    LIST_ENTRY(rpc_watch) entry;
    bool is_known; /* the service that is watched */
    serving_status told;
};

static bool is_known(const struct rpc_health *health, const char *service)
{
    return !*service || strcmp(service, health->service) == 0;
}

static serving_status status_of(const struct rpc_health *health, bool is_service_known)
{
    if (!is_service_known)
        return STATUS(SERVICE_UNKNOWN);
    return health->is_serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

static void on_check(struct rpc_call *call, const ProtobufCMessage *message, void *data)
{
    const check_request *request = (const check_request *)message;
    check_response reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    struct rpc_health *health = data;

    if (!is_known(health, request->service)) {
        rpc_fail(call, GRPC_STATUS_NOT_FOUND, "unknown service \"%s\"", request->service);
        return;
    }
    reply.status = status_of(health, true);
    rpc_reply(call, &reply.base);
}

static void on_list(struct rpc_call *call, const ProtobufCMessage *message, void *data)
{
    struct rpc_health *health = data;
    Grpc__Health__V1__HealthListResponse reply = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__INIT;
    Grpc__Health__V1__HealthListResponse__StatusesEntry entries[2];
    Grpc__Health__V1__HealthListResponse__StatusesEntry *statuses[2];
    char *keys[] = {(char *)"",
                    (char *)health->service}; /* protobuf-c takes no const; it only reads */
    check_response status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    status.status = status_of(health, true);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        grpc__health__v1__health_list_response__statuses_entry__init(&entries[i]);
        entries[i].key = keys[i];
        entries[i].value = &status;
        statuses[i] = &entries[i];
    }
    reply.n_statuses = ARRAY_LEN(statuses);
    reply.statuses = statuses;
    rpc_reply(call, &reply.base);
}

static void tell(struct rpc_watch *watch, serving_status status)
{
    check_response message = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    message.status = status;
    watch->told = status;
    rpc_call_send(watch->call, &message.base);
}

static void on_watch(struct rpc_call *call, const ProtobufCMessage *message, void *data)
{
    const check_request *request = (const check_request *)message;
    struct rpc_health *health = data;
    struct rpc_watch *watch;

    if (!request) {
        rpc_fail(call, GRPC_STATUS_INVALID_ARGUMENT, "no request message");
        return;
    }
    watch = NEW(struct rpc_watch);
    watch->call = call;
    watch->is_known = is_known(health, request->service);
    LIST_INSERT_HEAD(&health->watches, watch, entry);
    rpc_call_set_state(call, watch);
    tell(watch, status_of(health, watch->is_known));
}

static void tell_change(const struct rpc_health *health, struct rpc_watch *watch)
{
    serving_status status = status_of(health, watch->is_known);

    if (watch->told != status && rpc_call_is_open(watch->call))
        tell(watch, status);
}

static void on_watch_sent(struct rpc_call *call, void *data)
{
    tell_change(data, rpc_call_state(call));
}

static void on_watch_gone(struct rpc_call *call, void *data)
{
    struct rpc_watch *watch = rpc_call_state(call);

    if (!watch)
        return;
    LIST_REMOVE(watch, entry);
    free(watch);
}

void rpc_health_init(struct rpc_health *health, const char *service)
{
    health->service = service;
    health->is_serving = false;
    LIST_INIT(&health->watches);
}

void rpc_health_set(struct rpc_health *health, bool is_serving)
{
    struct rpc_watch *watch;

    health->is_serving = is_serving;
    LIST_FOREACH (watch, &health->watches, entry)
        tell_change(health, watch);
}

void rpc_health_routes(struct rpc_health *health, struct rpc_route ret_routes[RPC_HEALTH_ROUTES])
{
    ret_routes[0] =
        (struct rpc_route){.path = "/grpc.health.v1.Health/Check",
                           .request = &grpc__health__v1__health_check_request__descriptor,
                           .on_message = on_check,
                           .data = health,
                           .may = RPC_STRANGER};
    ret_routes[1] =
        (struct rpc_route){.path = "/grpc.health.v1.Health/List",
                           .request = &grpc__health__v1__health_list_request__descriptor,
                           .on_message = on_list,
                           .data = health,
                           .may = RPC_STRANGER};
    ret_routes[2] =
        (struct rpc_route){.path = "/grpc.health.v1.Health/Watch",
                           .request = &grpc__health__v1__health_check_request__descriptor,
                           .on_message = on_watch,
                           .on_sent = on_watch_sent,
                           .on_gone = on_watch_gone,
                           .is_stream = true,
                           .data = health,
                           .may = RPC_STRANGER};
}
