/* gRPC calls from a daemon's loop (asynchronous) or from a tool (synchronous). */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/tls/keyring.h"

struct rpc_client;

/* What is shown to a server over TLS, and whom it has to be: a node of the same cluster, that by
 * its certificate is of the target's name, or is the node whose certificate is shown. */
struct rpc_client_tls {
    struct tls_keyring_files files; /* borrowed while the client lives; read again when changed */
    bool is_own_node;               /* no other node than that */
};

/* target: "http://127.0.0.1:50051", "https://192.168.1.10:50051", "unix:/run/quilt/runtime.sock";
 * -EINVAL for another one, and when https:// comes without tls, with a text.
 * Connects when it has something to say, and again (within a second) when the server comes back;
 * meanwhile a call fails at once with UNAVAILABLE. So it does while the files cannot be used. */
int rpc_client_new(struct loop *loop, const char *target, const struct rpc_client_tls *tls,
                   struct rpc_client **ret_client);
/* Whether it is reached over TLS. */
bool rpc_target_is_tls(const char *target);
/* Whether rpc_client_new() takes this target, for those who read command lines: 0, or -EINVAL. */
int rpc_target_check(const char *target);
/* Calls under way end; their callbacks are not called. May be called from a callback. */
void rpc_client_free(struct rpc_client *client);

struct rpc_result {
    int status;                    /* gRPC status; 0 is OK */
    const char *detail;            /* of a status that is not OK: "UNAVAILABLE: connect to ..." */
    const ProtobufCMessage *reply; /* when OK; borrowed until the callback returns */
};
typedef void (*rpc_done_fn)(const struct rpc_result *result, void *data);

/* Serialises request before it returns. done is called exactly once, from the loop, unless the
 * client is freed before. timeout_ms is the whole call's deadline. */
void rpc_client_call(struct rpc_client *client, const char *path, const ProtobufCMessage *request,
                     const ProtobufCMessageDescriptor *reply_type, int64_t timeout_ms,
                     rpc_done_fn done, void *data);

/* For tools: connects, calls, waits. 0 and *ret_reply (protobuf_c_message_free_unpacked by the
 * caller); -ETIMEDOUT, -ECONNREFUSED (UNAVAILABLE), -EACCES (PERMISSION_DENIED, or this user may
 * not open the unix socket), -EOPNOTSUPP (UNIMPLEMENTED), -EPROTO (any other) with a text. */
int rpc_call_once(const char *target, const struct rpc_client_tls *tls, const char *path,
                  const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply_type,
                  int64_t timeout_ms, ProtobufCMessage **ret_reply);
