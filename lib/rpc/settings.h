/* gRPC's channel settings as a table of whole numbers. Internal to lib/rpc. */
#pragma once

#include <grpc/grpc.h>
#include <stddef.h>

struct rpc_setting {
    const char *key; /* GRPC_ARG_* */
    int value;
};

/* gRPC's form of the table; it copies what it keeps. */
static inline void rpc_settings_to_args(const struct rpc_setting *settings, size_t count,
                                        grpc_arg *ret_args)
{
    for (size_t i = 0; i < count; i++) {
        ret_args[i] = (grpc_arg){.type = GRPC_ARG_INTEGER,
                                 .key = (char *)settings[i].key, /* only read */
                                 .value.integer = settings[i].value};
    }
}
