/* Server reflection: what this server can be asked, for tools that have no proto files. Packages v1
 * and v1alpha are the same but for the name. Internal to lib/rpc.
 * https://github.com/grpc/grpc/blob/master/doc/server-reflection.md */
#pragma once

#include "lib/rpc/call.h"

#define RPC_REFLECTION_ROUTES 2

struct rpc_reflection {
    const char *service; /* borrowed: the one besides health and reflection */
};

void rpc_reflection_routes(struct rpc_reflection *reflection,
                           struct rpc_route ret_routes[RPC_REFLECTION_ROUTES]);
