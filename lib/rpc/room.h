/* One of gRPC core's servers, with the calls of those who have the same role. The core does not
 * listen; it is handed sockets. Internal to lib/rpc.
 *
 * A server for each role, instead of one for all: so what a caller may do is known by where its
 * call comes in. The core tells no more of a socket that it was handed than its number, which
 * another connection may have by the time that the call is looked at.
 */
#pragma once

#include "lib/rpc/call.h"
#include "lib/rpc/role.h"

struct rpc_room;

struct rpc_room_config {
    enum rpc_role role;
    struct rpc_pump *pump;
    /* A call has come. It is to be started or refused. */
    void (*on_call)(struct rpc_room *room, grpc_call *call, const char *path, void *data);
    loop_fn on_quiet; /* there are no calls any more */
    loop_fn on_shut;  /* the shutdown is over */
    void *data;
};

struct rpc_room {
    struct rpc_room_config config;
    struct rpc_calls calls; /* on_done and data are the owner's to fill in */
    grpc_server *grpc;

    struct rpc_tag accept_tag; /* one request for the next call is always out */
    bool is_accept_over;
    grpc_call *accepted;
    grpc_call_details details;
    grpc_metadata_array metadata;

    struct rpc_tag shutdown_tag;
    bool is_shut;
};

/* Zeroed before. */
void rpc_room_init(struct rpc_room *room, const struct rpc_room_config *config);
void rpc_room_start(struct rpc_room *room);
/* A connected socket, which is the room's from now on. */
void rpc_room_add(struct rpc_room *room, int fd);
/* No more calls; streams end, and calls under way may finish. */
void rpc_room_shutdown(struct rpc_room *room);
void rpc_room_cancel(struct rpc_room *room);
/* After rpc_room_shutdown() and rpc_room_cancel(), without the loop. */
void rpc_room_run_to_end(struct rpc_room *room);
void rpc_room_deinit(struct rpc_room *room);
