/* grpc.health.v1: whether the server serves, asked for or watched. Internal to lib/rpc.
 * https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
#pragma once

#include "lib/rpc/call.h"

#define RPC_HEALTH_ROUTES 3

struct rpc_watch;
struct rpc_health {
    const char *service; /* borrowed; "" is the whole server, which fares as it does */
    bool is_serving;
    LIST_HEAD(, rpc_watch) watches;
};

void rpc_health_init(struct rpc_health *health, const char *service);
/* Watchers are told of a change. */
void rpc_health_set(struct rpc_health *health, bool is_serving);
void rpc_health_routes(struct rpc_health *health, struct rpc_route ret_routes[RPC_HEALTH_ROUTES]);
