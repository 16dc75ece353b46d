/* One server of gRPC core: taking calls, and stopping. */
#include "lib/rpc/room.h"

#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>

#include "lib/base/mem.h"
#include "lib/rpc/message.h"
#include "lib/rpc/settings.h"

#define STREAMS_PER_CONNECTION_MAX 128
#define IDLE_MAX_MS 300000 /* then a connection without calls is asked to go */

static const struct rpc_setting settings[] = {
    {GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, RPC_MESSAGE_BYTES_MAX},
    {GRPC_ARG_MAX_CONCURRENT_STREAMS, STREAMS_PER_CONNECTION_MAX},
    {GRPC_ARG_MAX_CONNECTION_IDLE_MS, IDLE_MAX_MS},
    /* Bookkeeping nobody reads, and probing for bandwidth that loopback has. */
    {GRPC_ARG_ENABLE_CHANNELZ, 0},
    {GRPC_ARG_HTTP2_BDP_PROBE, 0},
};

static grpc_server *create_grpc_server(void)
{
    grpc_arg args[ARRAY_LEN(settings)];
    const grpc_channel_args list = {.num_args = ARRAY_LEN(args), .args = args};

    rpc_settings_to_args(settings, ARRAY_LEN(settings), args);
    return grpc_server_create(&list, NULL);
}

static void on_calls_quiet(struct rpc_calls *calls)
{
    struct rpc_room *room = CONTAINER_OF(calls, struct rpc_room, calls);

    room->config.on_quiet(room->config.data);
}

void rpc_room_init(struct rpc_room *room, const struct rpc_room_config *config)
{
    room->config = *config;
    room->calls = (struct rpc_calls){.on_quiet = on_calls_quiet, .is_quiet = true};
    room->grpc = create_grpc_server();
    grpc_server_register_completion_queue(room->grpc, rpc_pump_queue(config->pump), NULL);
}

/* ---- accepting ------------------------------------------------------------------------------ */

static void on_accept(struct rpc_tag *tag, bool is_ok);

static void accept_next(struct rpc_room *room)
{
    grpc_completion_queue *queue = rpc_pump_queue(room->config.pump);

    grpc_call_details_init(&room->details);
    grpc_metadata_array_init(&room->metadata);
    room->accept_tag.fn = on_accept;
    (void)grpc_server_request_call(room->grpc, &room->accepted, &room->details, &room->metadata,
                                   queue, queue, &room->accept_tag);
}

static void start_call(struct rpc_room *room)
{
    char *path = grpc_slice_to_c_string(room->details.method);

    room->config.on_call(room, room->accepted, path, room->config.data);
    gpr_free(path);
}

/* Not ok only when the server shuts down. */
static void on_accept(struct rpc_tag *tag, bool is_ok)
{
    struct rpc_room *room = CONTAINER_OF(tag, struct rpc_room, accept_tag);

    if (is_ok)
        start_call(room);
    grpc_call_details_destroy(&room->details);
    grpc_metadata_array_destroy(&room->metadata);
    if (is_ok)
        accept_next(room);
    else
        room->is_accept_over = true;
}

void rpc_room_start(struct rpc_room *room)
{
    grpc_server_start(room->grpc);
    accept_next(room);
}

void rpc_room_add(struct rpc_room *room, int fd)
{
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();

    grpc_server_add_channel_from_fd(room->grpc, fd, credentials);
    grpc_server_credentials_release(credentials);
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void on_shutdown(struct rpc_tag *tag, bool is_ok)
{
    struct rpc_room *room = CONTAINER_OF(tag, struct rpc_room, shutdown_tag);

    room->is_shut = true;
    room->config.on_shut(room->config.data);
}

void rpc_room_shutdown(struct rpc_room *room)
{
    rpc_calls_end_streams(&room->calls);
    room->shutdown_tag.fn = on_shutdown;
    grpc_server_shutdown_and_notify(room->grpc, rpc_pump_queue(room->config.pump),
                                    &room->shutdown_tag);
}

void rpc_room_cancel(struct rpc_room *room)
{
    grpc_server_cancel_all_calls(room->grpc);
}

void rpc_room_run_to_end(struct rpc_room *room)
{
    rpc_pump_run_until(room->config.pump, &room->is_shut);
    rpc_pump_run_until(room->config.pump, &room->is_accept_over);
    rpc_pump_run_until(room->config.pump, &room->calls.is_quiet);
    rpc_calls_drop_held(&room->calls);
}

void rpc_room_deinit(struct rpc_room *room)
{
    if (room->grpc)
        grpc_server_destroy(room->grpc);
}
