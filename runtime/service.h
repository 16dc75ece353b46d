/* The gRPC service: which method does what, and the methods that only look. */
#pragma once

#include "lib/rpc/server.h"

#define SERVICE_METHOD_COUNT 10
#define SERVICE_GRACE_MS 2000

struct runtime;

/* Starts the server; -EADDRINUSE and the like. tls: files; NULL: no TLS. */
int service_start(struct runtime *rt, const char *listen, const struct tls_keyring_files *tls);
/* "InjectRoute" for the index that metrics count under. */
const char *service_method_name(size_t method);
