/* The client: each call is one batch of operations, and its end one tag. */
#include "lib/rpc/client.h"

#include <assert.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/rpc/address.h"
#include "lib/rpc/courier.h"
#include "lib/rpc/message.h"
#include "lib/rpc/pump.h"
#include "lib/rpc/settings.h"
#include "lib/rpc/status.h"

#define RECONNECT_FIRST_MS 100
#define RECONNECT_MAX_MS 500 /* gRPC adds up to a fifth */

struct client_call {
    struct rpc_client *client;
    LIST_ENTRY(client_call) entry;
    struct rpc_tag tag;
    grpc_call *grpc;
    grpc_byte_buffer *request;
    const ProtobufCMessageDescriptor *reply_type;
    rpc_done_fn done;
    void *data;

    /* Written by gRPC. */
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;
    grpc_byte_buffer *reply;
    grpc_status_code status;
    grpc_slice detail;
};

struct rpc_client {
    struct rpc_pump *pump;
    struct rpc_target target;
    struct rpc_client_tls tls; /* of a target that is reached so */
    uint64_t stamp;            /* of the files that the channel was made of */
    struct loop *loop;
    struct rpc_courier *courier; /* of the channel, over TLS; NULL: none */
    grpc_channel *channel;       /* NULL: no call was made yet */
    LIST_HEAD(, client_call) calls;
    bool is_quiet; /* there is no call */
};

static const struct rpc_setting settings[] = {
    {GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, RECONNECT_FIRST_MS},
    {GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, RECONNECT_MAX_MS},
    {GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, RECONNECT_MAX_MS},
    {GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, RPC_MESSAGE_BYTES_MAX},
    /* The runtime is on this host: no proxy from the environment, no settings from DNS. */
    {GRPC_ARG_ENABLE_HTTP_PROXY, 0},
    {GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1},
    {GRPC_ARG_ENABLE_RETRIES, 0},
    {GRPC_ARG_ENABLE_CHANNELZ, 0},
    {GRPC_ARG_HTTP2_BDP_PROBE, 0},
    /* A second client of the same server has its own connection, and its own failures. */
    {GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1},
};

/* fd: a connected socket, or -1: the channel connects by itself, and again. */
static grpc_channel *create_channel(const struct rpc_client *client, int fd)
{
    grpc_arg args[ARRAY_LEN(settings)];
    const grpc_channel_args list = {.num_args = ARRAY_LEN(args), .args = args};
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_channel *channel;

    rpc_settings_to_args(settings, ARRAY_LEN(settings), args);
    channel = fd < 0 ? grpc_channel_create(client->target.address, credentials, &list)
                     : grpc_channel_create_from_fd(client->target.address, fd, credentials, &list);
    grpc_channel_credentials_release(credentials);
    return channel;
}

/* ---- over TLS ------------------------------------------------------------------------------- */

static int send_courier(struct rpc_client *client, int *ret_core_fd)
{
    AUTO_TLS_KEYRING struct tls_keyring *keyring = NULL;
    struct rpc_courier_config config = {
        .loop = client->loop, .target = &client->target, .is_own_node = client->tls.is_own_node};
    int r = tls_keyring_load(&client->tls.files, &keyring);

    config.keyring = keyring;
    return r < 0 ? r : rpc_courier_new(&config, &client->courier, ret_core_fd);
}

/* Without usable files, one on which every call fails and says why. */
static grpc_channel *create_secure_channel(struct rpc_client *client)
{
    int core_fd;

    if (send_courier(client, &core_fd) < 0)
        return grpc_lame_client_channel_create(client->target.address, GRPC_STATUS_UNAVAILABLE,
                                               err_text());
    return create_channel(client, core_fd);
}

static void drop_channel(struct rpc_client *client)
{
    if (client->channel)
        grpc_channel_destroy(client->channel);
    client->channel = NULL;
    rpc_courier_free(client->courier);
    client->courier = NULL;
}

/* Files that change while calls are under way, or that are about to be replaced, can wait. */
static bool is_good_channel(const struct rpc_client *client, uint64_t stamp)
{
    if (!client->channel || !client->courier || rpc_courier_has_ended(client->courier))
        return false;
    return !client->is_quiet || stamp == 0 || stamp == client->stamp;
}

static void renew_secure_channel(struct rpc_client *client)
{
    uint64_t stamp = tls_keyring_stamp(&client->tls.files);

    if (is_good_channel(client, stamp))
        return;
    drop_channel(client);
    client->stamp = stamp;
    client->channel = create_secure_channel(client);
}

static void ensure_channel(struct rpc_client *client)
{
    if (client->target.is_tls)
        renew_secure_channel(client);
    else if (!client->channel)
        client->channel = create_channel(client, -1);
}

/* ---- life ----------------------------------------------------------------------------------- */

int rpc_target_check(const char *target)
{
    struct rpc_target parsed = {0};
    int r = rpc_target_parse(target, &parsed);

    rpc_target_deinit(&parsed);
    return r;
}

bool rpc_target_is_tls(const char *target)
{
    struct rpc_target parsed = {0};
    bool is_tls = rpc_target_parse(target, &parsed) == 0 && parsed.is_tls;

    rpc_target_deinit(&parsed);
    return is_tls;
}

static int client_init(struct rpc_client *client, struct loop *loop, const char *target,
                       const struct rpc_client_tls *tls)
{
    int r = rpc_target_parse(target, &client->target);

    if (r == 0 && client->target.is_tls && !tls)
        r = err_fail(EINVAL, "\"%s\": needs a certificate to show", target);
    if (tls)
        client->tls = *tls;
    return r < 0 ? r : rpc_pump_new(loop, &client->pump);
}

int rpc_client_new(struct loop *loop, const char *target, const struct rpc_client_tls *tls,
                   struct rpc_client **ret_client)
{
    struct rpc_client *client = NEW(struct rpc_client);
    int r;

    client->loop = loop;
    client->is_quiet = true;
    LIST_INIT(&client->calls);
    r = client_init(client, loop, target, tls);
    if (r < 0) {
        rpc_client_free(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

void rpc_client_free(struct rpc_client *client)
{
    struct client_call *call;

    if (!client)
        return;
    LIST_FOREACH (call, &client->calls, entry) {
        call->done = NULL;
        (void)grpc_call_cancel(call->grpc, NULL);
    }
    if (client->pump)
        rpc_pump_run_until(client->pump, &client->is_quiet);
    drop_channel(client);
    rpc_pump_free(client->pump);
    rpc_target_deinit(&client->target);
    free(client);
}

/* ---- one call ------------------------------------------------------------------------------- */

/* What gRPC has of the call. */
static void release_grpc(struct client_call *call)
{
    grpc_metadata_array_destroy(&call->initial_metadata);
    grpc_metadata_array_destroy(&call->trailing_metadata);
    grpc_byte_buffer_destroy(call->request);
    if (call->reply)
        grpc_byte_buffer_destroy(call->reply);
    grpc_slice_unref(call->detail);
    grpc_call_unref(call->grpc);
}

/* What the caller gets, and what it points to; on its own feet, for the caller may free the client.
 */
struct outcome {
    struct rpc_result result;
    ProtobufCMessage *reply; /* owned */
    char *detail;            /* owned */
};

static void fill_failure(struct outcome *outcome, int status, const char *detail)
{
    outcome->detail = mem_printf("%s: %s", rpc_status_name(status), detail);
    outcome->result = (struct rpc_result){.status = status, .detail = outcome->detail};
}

/* The courier knows better than the core why the connection has ended. */
static const char *courier_problem(const struct client_call *call)
{
    const struct rpc_courier *courier = call->client->courier;

    return call->status == GRPC_STATUS_UNAVAILABLE && courier ? rpc_courier_problem(courier) : NULL;
}

static void fill_status(struct outcome *outcome, const struct client_call *call)
{
    char *detail = grpc_slice_to_c_string(call->detail);
    const char *problem = courier_problem(call);

    fill_failure(outcome, (int)call->status, problem ? problem : detail);
    gpr_free(detail);
}

static int unpack_reply(const struct client_call *call, ProtobufCMessage **ret_reply)
{
    if (!call->reply)
        return err_fail(EPROTO, "the reply holds no message");
    return rpc_message_from_buffer(call->reply_type, call->reply, RPC_REPLY_FIELDS_MAX, ret_reply);
}

static void fill_outcome(struct outcome *outcome, const struct client_call *call)
{
    if (call->status != GRPC_STATUS_OK)
        fill_status(outcome, call);
    else if (unpack_reply(call, &outcome->reply) < 0)
        fill_failure(outcome, GRPC_STATUS_INTERNAL, err_text());
    else
        outcome->result = (struct rpc_result){.status = GRPC_STATUS_OK, .reply = outcome->reply};
}

static void report(struct client_call *call)
{
    struct outcome outcome = {0};

    fill_outcome(&outcome, call);
    release_grpc(call);
    call->done(&outcome.result, call->data);
    if (outcome.reply)
        protobuf_c_message_free_unpacked(outcome.reply, NULL);
    free(outcome.detail);
}

static void on_call_over(struct rpc_tag *tag, bool is_ok)
{
    struct client_call *call = CONTAINER_OF(tag, struct client_call, tag);

    LIST_REMOVE(call, entry);
    call->client->is_quiet = LIST_EMPTY(&call->client->calls);
    if (call->done)
        report(call);
    else
        release_grpc(call);
    free(call);
}

static void start(struct client_call *call)
{
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message = {call->request}},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata = {&call->initial_metadata}},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message = {&call->reply}},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &call->trailing_metadata,
                                        .status = &call->status,
                                        .status_details = &call->detail}},
    };
    grpc_call_error error;

    call->tag.fn = on_call_over;
    error = grpc_call_start_batch(call->grpc, ops, ARRAY_LEN(ops), &call->tag, NULL);
    assert(error == GRPC_CALL_OK); /* anything else is a mistake in this file */
    (void)error;
}

static grpc_call *create_call(struct rpc_client *client, const char *path, int64_t timeout_ms)
{
    grpc_slice method = grpc_slice_from_copied_string(path);
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
    grpc_call *call =
        grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                 rpc_pump_queue(client->pump), method, NULL, deadline, NULL);

    grpc_slice_unref(method);
    return call;
}

void rpc_client_call(struct rpc_client *client, const char *path, const ProtobufCMessage *request,
                     const ProtobufCMessageDescriptor *reply_type, int64_t timeout_ms,
                     rpc_done_fn done, void *data)
{
    struct client_call *call = NEW(struct client_call);

    ensure_channel(client);
    call->client = client;
    call->reply_type = reply_type;
    call->done = done;
    call->data = data;
    call->request = rpc_message_to_buffer(request);
    call->detail = grpc_empty_slice();
    grpc_metadata_array_init(&call->initial_metadata);
    grpc_metadata_array_init(&call->trailing_metadata);
    call->grpc = create_call(client, path, timeout_ms);
    LIST_INSERT_HEAD(&client->calls, call, entry);
    client->is_quiet = false;
    start(call);
}

/* ---- one call and no more ------------------------------------------------------------------- */

struct once {
    struct loop *loop;
    const ProtobufCMessageDescriptor *reply_type;
    int result;
    ProtobufCMessage *reply;
};

static int errno_of_status(int status)
{
    static const struct {
        int status;
        int errnum;
    } table[] = {
        {GRPC_STATUS_DEADLINE_EXCEEDED, ETIMEDOUT},
        {GRPC_STATUS_UNAVAILABLE, ECONNREFUSED},
        {GRPC_STATUS_UNIMPLEMENTED, EOPNOTSUPP},
        {GRPC_STATUS_PERMISSION_DENIED, EACCES},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].status == status)
            return table[i].errnum;
    }
    return EPROTO;
}

/* The callback has only borrowed the reply. */
static ProtobufCMessage *copy_message(const ProtobufCMessage *message)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    AUTO_FREE uint8_t *bytes = mem_alloc(n + 1);

    (void)protobuf_c_message_pack(message, bytes);
    return protobuf_c_message_unpack(message->descriptor, NULL, n, bytes);
}

static void on_once_done(const struct rpc_result *result, void *data)
{
    struct once *once = data;

    if (result->status == GRPC_STATUS_OK)
        once->reply = copy_message(result->reply);
    else
        once->result = err_fail(errno_of_status(result->status), "%s", result->detail);
    loop_exit(once->loop, 0);
}

static int call_in_loop(struct once *once, struct rpc_client *client, const char *path,
                        const ProtobufCMessage *request, int64_t timeout_ms)
{
    int r;

    rpc_client_call(client, path, request, once->reply_type, timeout_ms, on_once_done, once);
    r = loop_run(once->loop);
    rpc_client_free(client);
    return r < 0 ? r : once->result;
}

/* gRPC tells only in words why it did not get there. */
static bool is_locked(const char *target)
{
    struct rpc_target parsed = {0};
    bool is_locked = rpc_target_parse(target, &parsed) == 0 && parsed.path &&
                     access(parsed.path, W_OK) < 0 && errno == EACCES;

    rpc_target_deinit(&parsed);
    return is_locked;
}

int rpc_call_once(const char *target, const struct rpc_client_tls *tls, const char *path,
                  const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply_type,
                  int64_t timeout_ms, ProtobufCMessage **ret_reply)
{
    struct once once = {.reply_type = reply_type};
    struct rpc_client *client;
    int r = loop_new(&once.loop);

    if (r < 0)
        return r;
    r = rpc_client_new(once.loop, target, tls, &client);
    if (r == 0)
        r = call_in_loop(&once, client, path, request, timeout_ms);
    loop_free(once.loop);
    if (r == -ECONNREFUSED && is_locked(target))
        r = err_fail(EACCES, "this user may not open the socket");
    if (r < 0)
        return err_wrap(r, "call %s at %s", path, target);
    *ret_reply = once.reply;
    return 0;
}
