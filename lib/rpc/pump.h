/* A gRPC completion queue, the one thread that waits on it, and the way back to the loop.
 *
 *     loop thread ── starts an operation with a tag ──> gRPC core
 *     rpc thread  <── grpc_completion_queue_next ────── gRPC core
 *     loop thread <── mailbox ── rpc thread               tag->fn(tag, is_ok)
 *
 * So all of our code, and every user of it, runs in the loop's thread, and nothing needs a lock.
 * Internal to lib/rpc.
 */
#pragma once

#include <grpc/grpc.h>
#include <stdbool.h>

#include "lib/base/loop.h"
#include "lib/base/mailbox.h"

/* What an operation is started with: embedded in what the operation is about, and left alone from
 * the start until fn is called, which happens exactly once. */
struct rpc_tag {
    struct mailbox_item item;
    void (*fn)(struct rpc_tag *tag, bool is_ok);
    bool is_ok;
};

struct rpc_pump;

/* Also starts the gRPC library, with its log going to ours. */
int rpc_pump_new(struct loop *loop, struct rpc_pump **ret_pump);
/* Every operation must be done. May be called from a tag's fn. */
void rpc_pump_free(struct rpc_pump *pump);

grpc_completion_queue *rpc_pump_queue(const struct rpc_pump *pump);

/* Hands results out without the loop until *is_done. For taking things down: what is waited for
 * has been cancelled, so gRPC owes the result; a process in which it does not come is ended. */
void rpc_pump_run_until(struct rpc_pump *pump, const bool *is_done);
