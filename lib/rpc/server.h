/* A gRPC server in the daemon's loop: a table of unary methods whose handlers run in the loop's
 * thread, grpc.health.v1 and server reflection (v1 and v1alpha). The only user of gRPC core (its C
 * surface, grpc/grpc.h) with client.h. One helper thread waits on the completion queue and hands
 * what it gets to the loop through a mailbox.
 *
 * By itself it answers: unknown method UNIMPLEMENTED, a message that does not parse
 * INVALID_ARGUMENT (text must be UTF-8 without NUL), a message over 4 MiB, or a call over 1024 at
 * once, RESOURCE_EXHAUSTED, an expired deadline DEADLINE_EXCEEDED; a caller who may not,
 * PERMISSION_DENIED.
 *
 * gRPC core does not listen itself: before it is a door of ours (door.h), which finds out who
 * comes, bounds how many there are, and cuts off who floods (patrol.h).
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/rpc/role.h"
#include "lib/tls/keyring.h"

struct rpc_server;
struct rpc_call;

/* Handlers answer with exactly one rpc_reply() or rpc_fail(), now or later; the call is gone then.
 * request is borrowed until the answer. A client that went away needs no care. After
 * rpc_server_free() there is no call left to answer. */
typedef void (*rpc_handler_fn)(struct rpc_call *call, const ProtobufCMessage *request, void *data);

struct rpc_method {
    const char *path; /* "/quilt.QuiltRuntime/ConfigureNodeSubnet" */
    const ProtobufCMessageDescriptor *request;
    rpc_handler_fn fn;
    enum rpc_role may; /* the least that a caller has to be; without it, nobody may */
};

/* The two ends of a TCP connection, host order; near is the server's. */
struct rpc_ends {
    uint32_t near_addr, far_addr;
    uint16_t near_port, far_port;
};
/* Finds the user who has the far end, a socket of this host. 0, or negative with a text. */
typedef int (*rpc_find_uid_fn)(const struct rpc_ends *ends, uint32_t *ret_uid, void *data);

/* TLS for a server on TCP: whoever comes shows a certificate of one of the CAs, of the cluster that
 * the server's own certificate is of (lib/tls/session.h), and no uid is asked for. The files are
 * read again when they change; who is connected is judged again then, and when a certificate
 * expires. */
struct rpc_tls {
    struct tls_keyring_files files; /* borrowed while the server lives */
    /* What such a peer may; own is what the server shows at present. */
    enum rpc_role (*judge)(const struct tls_peer *peer, const struct tls_keyring *own, void *data);
};

struct rpc_server_config {
    const char *listen;  /* "127.0.0.1:50051" or "unix:/run/quilt/runtime.sock" */
    const char *service; /* "quilt.QuiltRuntime": for health and reflection */
    const struct rpc_method *methods;
    size_t method_count;
    void *data;
    /* Who comes by plain TCP: root and the daemon's own user are masters, all others strangers.
     * NULL: nobody asks, and all are masters. On a unix socket the kernel tells: the group of the
     * socket's file are masters, too. */
    rpc_find_uid_fn find_uid;  /* gets data, too */
    const struct rpc_tls *tls; /* NULL: none */
    /* A call of one of the methods has ended; is_ok: its reply was sent. For metrics; may be NULL.
     */
    void (*on_done)(void *data, const char *method, bool is_ok);
};

/* For metrics. */
struct rpc_figures {
    unsigned int connections;
    uint64_t denied;      /* calls of who may not */
    const uint64_t *cuts; /* connections cut off, by reason */
    int cut_count;        /* reasons are 1 to this, exclusive */
    const char *(*cut_word)(int reason);
};

/* -EADDRINUSE and the like when it cannot listen; with TLS also as tls_keyring_load(). A unix
 * socket has mode 0660; a file of it that nobody listens on is replaced. Health is NOT_SERVING
 * until set. config is read, not kept; the strings of its methods are. */
int rpc_server_new(struct loop *loop, const struct rpc_server_config *config,
                   struct rpc_server **ret_server);
void rpc_server_set_serving(struct rpc_server *server, bool is_serving);
/* The TCP port it listens on (for port 0), 0 for a unix socket. */
int rpc_server_port(const struct rpc_server *server);
struct rpc_figures rpc_server_figures(const struct rpc_server *server);
/* Health goes to NOT_SERVING and watchers are told; for a quarter of a second, at most half of
 * grace_ms, everything is served on so that whoever asks can learn it. Then no more calls come in,
 * streams end with UNAVAILABLE, and calls under way may finish until grace_ms is over; the rest is
 * cancelled. done is called from the loop (soon after the last call has ended); it may free the
 * server. */
void rpc_server_stop(struct rpc_server *server, int grace_ms, loop_fn done, void *data);
/* Stops at once if rpc_server_stop() has not run to its end; done is not called any more. */
void rpc_server_free(struct rpc_server *server);

void rpc_reply(struct rpc_call *call, const ProtobufCMessage *reply);
/* A gRPC status (grpc/status.h): 3 INVALID_ARGUMENT, 14 UNAVAILABLE, ... */
void rpc_fail(struct rpc_call *call, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
