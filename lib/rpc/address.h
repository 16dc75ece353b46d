/* Where a server listens, and what a client connects to in gRPC's own spelling. Internal to
 * lib/rpc.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rpc_listen {
    char *address; /* for people: "A.B.C.D:PORT", "unix:PATH"; owned */
    char *path;    /* of a unix socket, absolute; owned. NULL: TCP */
    uint32_t ip;   /* TCP: host order */
    uint16_t port; /* TCP; 0: any */
};

/* "127.0.0.1:50051" or "unix:PATH". -EINVAL with a text. */
int rpc_listen_parse(const char *text, struct rpc_listen *ret_listen);
void rpc_listen_deinit(struct rpc_listen *listen);

/* Listens. A unix socket has mode 0660; a socket file that nobody listens on is replaced. TCP has
 * no SO_REUSEPORT: two servers on one port are a mistake that must show. -EADDRINUSE,
 * -EADDRNOTAVAIL, -EACCES, ... with a text. *ret_port: of TCP, else 0. */
int rpc_listen_open(const struct rpc_listen *listen, int *ret_fd, int *ret_port);
/* Takes the socket file away. */
void rpc_listen_remove(const struct rpc_listen *listen);

struct rpc_target {
    char *address; /* for gRPC: "ipv4:A.B.C.D:PORT", "dns:///HOST:PORT", "unix:PATH"
                      (percent-encoded); owned */
    char *host;    /* as it was written; owned. NULL: a unix socket */
    char *path;    /* of a unix socket, as it was written; owned. NULL: TCP */
    uint32_t ip;   /* host order; 0: the host is a name */
    uint16_t port;
    bool is_tls;
};

/* "http://HOST:PORT", "https://ADDR:PORT", "unix:PATH". -EINVAL with a text. */
int rpc_target_parse(const char *text, struct rpc_target *ret_target);
void rpc_target_deinit(struct rpc_target *target);
