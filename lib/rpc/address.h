/* Where a server listens and what a client connects to, in gRPC's own spelling. Internal to
 * lib/rpc.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rpc_listen {
    char *address; /* as gRPC takes it: "A.B.C.D:PORT", "unix:PATH"; owned */
    char *path;    /* of a unix socket, absolute; owned. NULL: TCP */
    uint32_t ip;   /* TCP: host order */
    uint16_t port; /* TCP; 0: any */
};

/* "127.0.0.1:50051" or "unix:PATH". -EINVAL with a text. */
int rpc_listen_parse(const char *text, struct rpc_listen *ret_listen);
void rpc_listen_deinit(struct rpc_listen *listen);

/* Makes room and finds out in the system's words why the address cannot be had: a socket file that
 * nobody listens on is removed. -EADDRINUSE when somebody does, -EADDRNOTAVAIL, -EACCES, ... */
int rpc_listen_prepare(const struct rpc_listen *listen);

/* "http://HOST:PORT", "unix:PATH" to gRPC's "ipv4:A.B.C.D:PORT", "dns:///HOST:PORT",
 * "unix:PATH" (percent-encoded); caller frees. -EINVAL with a text. */
int rpc_target_parse(const char *text, char **ret_target);
