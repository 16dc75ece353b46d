/* Drives one call through gRPC core's operations. */
#include "lib/rpc/call.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/rpc/message.h"

struct rpc_call {
    struct rpc_calls *calls;
    LIST_ENTRY(rpc_call) entry;
    const struct rpc_route *route; /* NULL: no such method */
    grpc_call *grpc;               /* NULL once every operation is done */
    unsigned int pending;          /* operations under way */

    struct rpc_tag close_tag;
    int is_cancelled; /* written by gRPC before close_tag comes */
    struct rpc_tag receive_tag;
    grpc_byte_buffer *received;
    struct rpc_tag send_tag;
    grpc_byte_buffer *sent; /* under way by send_tag */
    struct rpc_tag finish_tag;
    grpc_byte_buffer *reply; /* under way by finish_tag */

    ProtobufCMessage *request; /* what the handler has borrowed */
    void *state;
    bool is_held;          /* a handler owes the answer */
    bool is_closed;        /* close_tag has come */
    bool is_answered;      /* the status is on its way */
    bool is_ok;            /* and it is OK */
    bool is_metadata_sent; /* gRPC wants the initial metadata once, before all else */
};

/* ---- the set -------------------------------------------------------------------------------- */

static void count_live(struct rpc_calls *calls, size_t live_count)
{
    calls->live_count = live_count;
    calls->is_quiet = live_count == 0;
}

void rpc_calls_end_streams(struct rpc_calls *calls)
{
    struct rpc_call *call;

    LIST_FOREACH (call, &calls->list, entry) {
        if (!call->route || !call->route->is_stream || call->is_answered)
            continue;
        if (call->sent)
            (void)grpc_call_cancel(call->grpc, NULL); /* the client does not read */
        else
            rpc_fail(call, GRPC_STATUS_UNAVAILABLE, "the server stops");
    }
}

static struct rpc_call *call_new(struct rpc_calls *calls, grpc_call *grpc,
                                 const struct rpc_route *route)
{
    struct rpc_call *call = NEW(struct rpc_call);

    call->calls = calls;
    call->grpc = grpc;
    call->route = route;
    LIST_INSERT_HEAD(&calls->list, call, entry);
    calls->count++;
    count_live(calls, calls->live_count + 1);
    return call;
}

static void call_free(struct rpc_call *call)
{
    struct rpc_calls *calls = call->calls;

    if (call->route && call->route->on_gone)
        call->route->on_gone(call, call->route->data);
    if (call->route && call->route->is_reported && calls->on_done)
        calls->on_done(calls->data, call->route->path, call->is_ok && !call->is_cancelled);
    LIST_REMOVE(call, entry);
    calls->count--;
    if (call->request)
        protobuf_c_message_free_unpacked(call->request, NULL);
    free(call);
}

/* After each step: lets go of gRPC's side when all is done there, and of ours when nobody holds
 * it. The call may be gone after. */
static void release(struct rpc_call *call)
{
    if (call->pending > 0)
        return;
    if (call->grpc) {
        grpc_call_unref(TAKE_PTR(call->grpc));
        count_live(call->calls, call->calls->live_count - 1);
        if (call->calls->is_quiet)
            call->calls->on_quiet(call->calls);
    }
    if (!call->is_held)
        call_free(call);
}

void rpc_calls_drop_held(struct rpc_calls *calls)
{
    struct rpc_call *call, *next;

    for (call = LIST_FIRST(&calls->list); call; call = next) {
        next = LIST_NEXT(call, entry);
        assert(!call->grpc);
        call_free(call);
    }
}

/* ---- operations ----------------------------------------------------------------------------- */

static void start_batch(struct rpc_call *call, const grpc_op *ops, size_t count,
                        struct rpc_tag *tag, void (*fn)(struct rpc_tag *tag, bool is_ok))
{
    grpc_call_error error;

    tag->fn = fn;
    error = grpc_call_start_batch(call->grpc, ops, count, tag, NULL);
    assert(error == GRPC_CALL_OK); /* anything else is a mistake in this file */
    (void)error;
    call->pending++;
}

static void drop_buffer(grpc_byte_buffer **buffer)
{
    if (*buffer)
        grpc_byte_buffer_destroy(TAKE_PTR(*buffer));
}

static void on_closed(struct rpc_tag *tag, bool is_ok)
{
    struct rpc_call *call = CONTAINER_OF(tag, struct rpc_call, close_tag);

    call->pending--;
    call->is_closed = true;
    release(call);
}

static void watch_close(struct rpc_call *call)
{
    const grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                        .data.recv_close_on_server.cancelled = &call->is_cancelled};

    start_batch(call, &op, 1, &call->close_tag, on_closed);
}

static size_t add_metadata_op(struct rpc_call *call, grpc_op *ops, size_t count)
{
    if (!call->is_metadata_sent)
        ops[count++] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    call->is_metadata_sent = true;
    return count;
}

static void on_finished(struct rpc_tag *tag, bool is_ok)
{
    struct rpc_call *call = CONTAINER_OF(tag, struct rpc_call, finish_tag);

    drop_buffer(&call->reply);
    call->pending--;
    call->is_ok = call->is_ok && is_ok;
    release(call);
}

static void start_finish(struct rpc_call *call, const ProtobufCMessage *reply, int status,
                         const char *detail)
{
    grpc_slice slice = grpc_slice_from_copied_string(detail);
    grpc_op ops[3];
    size_t count = add_metadata_op(call, ops, 0);

    if (reply) {
        call->reply = rpc_message_to_buffer(reply);
        ops[count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message = {call->reply}};
    }
    ops[count++] = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
                             .data.send_status_from_server = {.status = (grpc_status_code)status,
                                                              .status_details = &slice}};
    start_batch(call, ops, count, &call->finish_tag, on_finished);
    grpc_slice_unref(slice);
}

static void answer(struct rpc_call *call, const ProtobufCMessage *reply, int status,
                   const char *detail)
{
    assert(!call->is_answered);
    call->is_answered = true;
    call->is_held = false;
    call->is_ok = status == GRPC_STATUS_OK;
    if (call->grpc)
        start_finish(call, reply, status, detail);
    release(call);
}

void rpc_reply(struct rpc_call *call, const ProtobufCMessage *reply)
{
    answer(call, reply, GRPC_STATUS_OK, "");
}

void rpc_fail(struct rpc_call *call, int status, const char *fmt, ...)
{
    char detail[ERR_TEXT_MAX];
    va_list args;

    assert(status != GRPC_STATUS_OK);
    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    answer(call, NULL, status, detail);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void deliver(struct rpc_call *call, const ProtobufCMessage *request)
{
    call->is_held = !call->route->is_stream;
    call->route->on_message(call, request, call->route->data);
}

/* gRPC gives no message when the client has said all, and when the message was too long. */
static void deliver_nothing(struct rpc_call *call)
{
    if (grpc_call_failed_before_recv_message(call->grpc))
        rpc_fail(call, GRPC_STATUS_RESOURCE_EXHAUSTED, "message too long");
    else if (call->route->is_stream)
        deliver(call, NULL);
    else
        rpc_fail(call, GRPC_STATUS_INVALID_ARGUMENT, "no request message");
}

static void deliver_received(struct rpc_call *call)
{
    int r;

    if (call->request)
        protobuf_c_message_free_unpacked(TAKE_PTR(call->request), NULL);
    r = rpc_message_from_buffer(call->route->request, call->received, RPC_REQUEST_FIELDS_MAX,
                                &call->request);
    drop_buffer(&call->received);
    if (r < 0)
        rpc_fail(call, GRPC_STATUS_INVALID_ARGUMENT, "%s", err_text());
    else
        deliver(call, call->request);
}

static void on_received(struct rpc_tag *tag, bool is_ok)
{
    struct rpc_call *call = CONTAINER_OF(tag, struct rpc_call, receive_tag);

    call->pending--;
    if (call->is_answered || call->is_closed) {
        drop_buffer(&call->received);
        release(call);
    } else if (call->received) {
        deliver_received(call);
    } else {
        deliver_nothing(call);
    }
}

void rpc_call_receive(struct rpc_call *call)
{
    const grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message = {&call->received}};

    start_batch(call, &op, 1, &call->receive_tag, on_received);
}

void rpc_call_start(struct rpc_calls *calls, grpc_call *grpc, const struct rpc_route *route,
                    const char *path)
{
    struct rpc_call *call = call_new(calls, grpc, route);

    watch_close(call);
    if (route)
        rpc_call_receive(call);
    else
        rpc_fail(call, GRPC_STATUS_UNIMPLEMENTED, "unknown method %s", path);
}

void rpc_call_refuse(struct rpc_calls *calls, grpc_call *grpc, int status, const char *detail)
{
    struct rpc_call *call = call_new(calls, grpc, NULL);

    watch_close(call);
    rpc_fail(call, status, "%s", detail);
}

/* ---- streams -------------------------------------------------------------------------------- */

static void on_sent(struct rpc_tag *tag, bool is_ok)
{
    struct rpc_call *call = CONTAINER_OF(tag, struct rpc_call, send_tag);

    drop_buffer(&call->sent);
    call->pending--;
    if (is_ok && !call->is_answered && !call->is_closed)
        call->route->on_sent(call, call->route->data);
    else
        release(call);
}

void rpc_call_send(struct rpc_call *call, const ProtobufCMessage *message)
{
    grpc_op ops[2];
    size_t count = add_metadata_op(call, ops, 0);

    assert(rpc_call_is_open(call));
    call->sent = rpc_message_to_buffer(message);
    ops[count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message = {call->sent}};
    start_batch(call, ops, count, &call->send_tag, on_sent);
}

bool rpc_call_is_open(const struct rpc_call *call)
{
    return !call->sent && !call->is_answered && !call->is_closed;
}

void rpc_call_finish(struct rpc_call *call)
{
    answer(call, NULL, GRPC_STATUS_OK, "");
}

void rpc_call_set_state(struct rpc_call *call, void *state)
{
    call->state = state;
}

void *rpc_call_state(const struct rpc_call *call)
{
    return call->state;
}
