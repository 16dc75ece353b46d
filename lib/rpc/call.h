/* One call on the server, from its acceptance to its end. Internal to lib/rpc.
 *
 *     accepted ── route found ──> receiving ──> on_message ──> answered ──> closed ──> freed
 *         └── no such method ─────────────────────────────────────^           ^
 *                                 client gone, deadline, server stops ────────┘
 *
 * gRPC's call object lives until every operation started on it is done; "closed" is one of them
 * (GRPC_OP_RECV_CLOSE_ON_SERVER), which ends with the call. A handler may hold a call longer than
 * that: its answer then goes nowhere.
 */
#pragma once

#include <sys/queue.h>

#include "lib/rpc/pump.h"
#include "lib/rpc/server.h"

struct rpc_route {
    const char *path;
    const ProtobufCMessageDescriptor *request;
    /* Of a stream: called again for each message that rpc_call_receive() asked for; request is
     * NULL when the client has said all. */
    rpc_handler_fn on_message;
    void *data;
    /* Streams only. The message of rpc_call_send() is on its way. */
    void (*on_sent)(struct rpc_call *call, void *data);
    /* Streams only. The last time that the call is seen. */
    void (*on_gone)(struct rpc_call *call, void *data);
    enum rpc_role may; /* the least that a caller has to be; RPC_NOBODY: nobody may */
    bool is_stream;
    bool is_reported; /* to the server's on_done */
};

/* The calls of one server. At first zero, but is_quiet. */
struct rpc_calls {
    void (*on_done)(void *data, const char *method, bool is_ok);
    void *data;                                /* of on_done */
    void (*on_quiet)(struct rpc_calls *calls); /* is_quiet has become true; frees nothing */
    LIST_HEAD(, rpc_call) list;
    size_t count;      /* with those that only a handler still holds */
    size_t live_count; /* gRPC's side is not over */
    bool is_quiet;     /* live_count == 0, for rpc_pump_run_until() */
};

/* Ends all streams that are open. */
void rpc_calls_end_streams(struct rpc_calls *calls);
/* Frees calls whose gRPC side is over and that handlers still hold. */
void rpc_calls_drop_held(struct rpc_calls *calls);

/* Takes the accepted call over. route NULL: there is no such method. */
void rpc_call_start(struct rpc_calls *calls, grpc_call *grpc, const struct rpc_route *route,
                    const char *path);
/* Turns the accepted call down. */
void rpc_call_refuse(struct rpc_calls *calls, grpc_call *grpc, int status, const char *detail);

/* ---- for streams ---------------------------------------------------------------------------- */

/* Asks for the next message; one at a time. */
void rpc_call_receive(struct rpc_call *call);
/* Sends one message; the next one after on_sent. */
void rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message);
/* It may send now: no message is under way, and it has not ended. */
bool rpc_call_is_open(const struct rpc_call *call);
/* Ends the stream with OK. */
void rpc_call_finish(struct rpc_call *call);
/* The stream's own, NULL at first. */
void rpc_call_set_state(struct rpc_call *call, void *state);
void *rpc_call_state(const struct rpc_call *call);
