/* The server: listening, accepting, and stopping in good order. What happens inside one call is
 * call.c's. */
#include "lib/rpc/server.h"

#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/rpc/address.h"
#include "lib/rpc/call.h"
#include "lib/rpc/health.h"
#include "lib/rpc/message.h"
#include "lib/rpc/pump.h"
#include "lib/rpc/reflection.h"
#include "lib/rpc/settings.h"

/* Who asks for health while we stop has this long to learn it, if the grace is long enough. */
#define FAREWELL_MS 250
/* Connections without calls close by themselves when their client is attentive; the others are cut
 * off after this, which is long enough for the last reply to arrive. */
#define LINGER_MS 100
/* Calls that may be there at once; more are turned down. */
#define CALLS_MAX 1024
#define STREAMS_PER_CONNECTION_MAX 128
#define HANDSHAKE_TIMEOUT_MS 10000
#define SOCKET_MODE_MASK 0117 /* umask of a unix socket of mode 0660 */

enum server_stage {
    STAGE_NEW,
    STAGE_RUNNING,
    STAGE_FAREWELL, /* serves on, but says that it does not */
    STAGE_ENDING,   /* no new calls; those under way may finish */
    STAGE_DOWN
};

struct rpc_server {
    enum server_stage stage;
    struct rpc_pump *pump;
    struct loop_source *farewell_timer;
    struct loop_source *grace_timer;
    char *service; /* owned */
    struct rpc_health health;
    struct rpc_reflection reflection;
    struct rpc_route *routes; /* sorted by path; owned */
    size_t route_count;
    struct rpc_calls calls;
    struct rpc_listen listen;
    int port;
    grpc_server *grpc;

    struct rpc_tag accept_tag; /* one request for the next call is always out */
    bool is_accept_over;
    grpc_call *accepted;
    grpc_call_details details;
    grpc_metadata_array metadata;

    struct rpc_tag shutdown_tag;
    bool is_shutdown_over;
    int64_t grace_end_ms; /* clock_boot_ms */
    loop_fn stop_done;
    void *stop_data;
};

/* ---- routes --------------------------------------------------------------------------------- */

static int compare_route(const void *a, const void *b)
{
    return strcmp(((const struct rpc_route *)a)->path, ((const struct rpc_route *)b)->path);
}

static int compare_path(const void *path, const void *route)
{
    return strcmp(path, ((const struct rpc_route *)route)->path);
}

static void build_routes(struct rpc_server *server, const struct rpc_server_config *config)
{
    struct rpc_route *next;

    server->route_count = config->method_count + RPC_HEALTH_ROUTES + RPC_REFLECTION_ROUTES;
    next = server->routes = mem_array(server->route_count, sizeof *next);
    for (size_t i = 0; i < config->method_count; i++) {
        *next++ = (struct rpc_route){.path = config->methods[i].path,
                                     .request = config->methods[i].request,
                                     .on_message = config->methods[i].fn,
                                     .data = config->data,
                                     .is_reported = true};
    }
    rpc_health_routes(&server->health, next);
    rpc_reflection_routes(&server->reflection, next + RPC_HEALTH_ROUTES);
    qsort(server->routes, server->route_count, sizeof *server->routes, compare_route);
}

/* ---- accepting ------------------------------------------------------------------------------ */

static void on_accept(struct rpc_tag *tag, bool is_ok);

static void accept_next(struct rpc_server *server)
{
    grpc_call_details_init(&server->details);
    grpc_metadata_array_init(&server->metadata);
    server->accept_tag.fn = on_accept;
    (void)grpc_server_request_call(server->grpc, &server->accepted, &server->details,
                                   &server->metadata, rpc_pump_queue(server->pump),
                                   rpc_pump_queue(server->pump), &server->accept_tag);
}

static void start_call(struct rpc_server *server)
{
    char *path = grpc_slice_to_c_string(server->details.method);
    const struct rpc_route *route =
        bsearch(path, server->routes, server->route_count, sizeof *server->routes, compare_path);

    if (server->calls.count >= CALLS_MAX)
        rpc_call_refuse(&server->calls, server->accepted, GRPC_STATUS_RESOURCE_EXHAUSTED,
                        "too many calls at once");
    else
        rpc_call_start(&server->calls, server->accepted, route, path);
    gpr_free(path);
}

/* Not ok only when the server shuts down. */
static void on_accept(struct rpc_tag *tag, bool is_ok)
{
    struct rpc_server *server = CONTAINER_OF(tag, struct rpc_server, accept_tag);

    if (is_ok)
        start_call(server);
    grpc_call_details_destroy(&server->details);
    grpc_metadata_array_destroy(&server->metadata);
    if (is_ok)
        accept_next(server);
    else
        server->is_accept_over = true;
}

/* ---- starting ------------------------------------------------------------------------------- */

static const struct rpc_setting settings[] = {
    /* Two servers on one port would each get some of the calls, silently. */
    {GRPC_ARG_ALLOW_REUSEPORT, 0},
    {GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, RPC_MESSAGE_BYTES_MAX},
    {GRPC_ARG_MAX_CONCURRENT_STREAMS, STREAMS_PER_CONNECTION_MAX},
    {GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS},
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

/* gRPC says no more than "no"; what the system says is asked beforehand. */
static int add_port(struct rpc_server *server)
{
    grpc_server_credentials *credentials;
    mode_t old_mask = 0;
    int r = rpc_listen_prepare(&server->listen);

    if (r < 0)
        return r;
    credentials = grpc_insecure_server_credentials_create();
    if (server->listen.path)
        old_mask = umask(SOCKET_MODE_MASK);
    server->port = grpc_server_add_http2_port(server->grpc, server->listen.address, credentials);
    if (server->listen.path)
        (void)umask(old_mask);
    grpc_server_credentials_release(credentials);
    if (server->port == 0)
        return err_fail(EADDRINUSE, "listen on %s: gRPC cannot bind it", server->listen.address);
    return 0;
}

static int server_init(struct rpc_server *server, struct loop *loop, const char *listen)
{
    int r = rpc_listen_parse(listen, &server->listen);

    if (r == 0)
        r = rpc_pump_new(loop, &server->pump);
    if (r < 0)
        return r;
    server->grpc = create_grpc_server();
    grpc_server_register_completion_queue(server->grpc, rpc_pump_queue(server->pump), NULL);
    return add_port(server);
}

static void on_quiet(struct rpc_calls *calls);
static void on_farewell_over(void *data);
static void on_grace_over(void *data);

static int add_timers(struct rpc_server *server, struct loop *loop)
{
    int r = loop_add_timer(loop, on_farewell_over, server, &server->farewell_timer);

    return r < 0 ? r : loop_add_timer(loop, on_grace_over, server, &server->grace_timer);
}

int rpc_server_new(struct loop *loop, const struct rpc_server_config *config,
                   struct rpc_server **ret_server)
{
    struct rpc_server *server = NEW(struct rpc_server);
    int r;

    server->service = mem_strdup(config->service);
    rpc_health_init(&server->health, server->service);
    server->reflection.service = server->service;
    build_routes(server, config);
    r = add_timers(server, loop);
    if (r == 0)
        r = server_init(server, loop, config->listen);
    if (r < 0) {
        rpc_server_free(server);
        return r;
    }
    server->calls = (struct rpc_calls){
        .on_done = config->on_done, .data = config->data, .on_quiet = on_quiet, .is_quiet = true};
    grpc_server_start(server->grpc);
    server->stage = STAGE_RUNNING;
    accept_next(server);
    *ret_server = server;
    return 0;
}

void rpc_server_set_serving(struct rpc_server *server, bool is_serving)
{
    if (server->stage == STAGE_RUNNING)
        rpc_health_set(&server->health, is_serving);
}

int rpc_server_port(const struct rpc_server *server)
{
    return server->listen.path ? 0 : server->port;
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void on_shutdown(struct rpc_tag *tag, bool is_ok)
{
    struct rpc_server *server = CONTAINER_OF(tag, struct rpc_server, shutdown_tag);

    server->is_shutdown_over = true;
    server->stage = STAGE_DOWN;
    loop_timer_disarm(server->grace_timer);
    if (server->stop_done)
        server->stop_done(server->stop_data);
}

/* Waits for calls under way, and no longer than the grace allows. */
static void set_grace_timer(struct rpc_server *server)
{
    int64_t linger_end_ms = clock_boot_ms() + LINGER_MS;

    if (server->calls.is_quiet && linger_end_ms < server->grace_end_ms)
        loop_timer_set_at(server->grace_timer, linger_end_ms);
    else
        loop_timer_set_at(server->grace_timer, server->grace_end_ms);
}

static void on_quiet(struct rpc_calls *calls)
{
    struct rpc_server *server = CONTAINER_OF(calls, struct rpc_server, calls);

    if (server->stage == STAGE_ENDING)
        set_grace_timer(server);
}

static void begin_shutdown(struct rpc_server *server)
{
    server->stage = STAGE_ENDING;
    set_grace_timer(server);
    rpc_calls_end_streams(&server->calls);
    server->shutdown_tag.fn = on_shutdown;
    grpc_server_shutdown_and_notify(server->grpc, rpc_pump_queue(server->pump),
                                    &server->shutdown_tag);
}

static void on_farewell_over(void *data)
{
    struct rpc_server *server = data;

    begin_shutdown(server);
}

static void on_grace_over(void *data)
{
    struct rpc_server *server = data;

    grpc_server_cancel_all_calls(server->grpc);
}

void rpc_server_stop(struct rpc_server *server, int grace_ms, loop_fn done, void *data)
{
    int farewell_ms = grace_ms / 2 < FAREWELL_MS ? grace_ms / 2 : FAREWELL_MS;

    if (server->stage != STAGE_RUNNING)
        return;
    rpc_health_set(&server->health, false);
    server->stage = STAGE_FAREWELL;
    server->grace_end_ms = clock_boot_ms() + grace_ms;
    server->stop_done = done;
    server->stop_data = data;
    loop_timer_set_in(server->farewell_timer, farewell_ms);
}

/* gRPC's side ends in the order: no more calls, the calls, the server. */
static void stop_now(struct rpc_server *server)
{
    server->stop_done = NULL;
    if (server->stage == STAGE_RUNNING || server->stage == STAGE_FAREWELL)
        begin_shutdown(server);
    if (server->stage == STAGE_ENDING)
        grpc_server_cancel_all_calls(server->grpc);
    if (server->stage == STAGE_NEW)
        return;
    rpc_pump_run_until(server->pump, &server->is_shutdown_over);
    rpc_pump_run_until(server->pump, &server->is_accept_over);
    rpc_pump_run_until(server->pump, &server->calls.is_quiet);
    rpc_calls_drop_held(&server->calls);
}

void rpc_server_free(struct rpc_server *server)
{
    if (!server)
        return;
    stop_now(server);
    if (server->grpc)
        grpc_server_destroy(server->grpc);
    rpc_pump_free(server->pump);
    rpc_listen_deinit(&server->listen);
    loop_source_free(server->grace_timer);
    loop_source_free(server->farewell_timer);
    free(server->routes);
    free(server->service);
    free(server);
}
