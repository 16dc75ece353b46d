/* The gRPC service: which method does what, and the methods that only look. */
#pragma once

#include "lib/rpc/server.h"

#define SERVICE_METHOD_COUNT 9
#define SERVICE_GRACE_MS 2000

struct runtime;

/* Starts the server; -EADDRINUSE and the like. */
int service_start(struct runtime *rt, const char *listen);
/* "InjectRoute" for the index that metrics count under. */
const char *service_method_name(size_t method);
