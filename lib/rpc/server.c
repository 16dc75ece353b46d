/* The server: a door, a room for each role behind it, and stopping in good order. What happens
 * inside one call is call.c's.
 *
 *     clients ──> door ──┬──> room of the strangers ──┐
 *                        ├──> room of the readers ────┼──> routes
 *                        └──> room of the masters ────┘
 */
#include "lib/rpc/server.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/rpc/address.h"
#include "lib/rpc/call.h"
#include "lib/rpc/door.h"
#include "lib/rpc/health.h"
#include "lib/rpc/pump.h"
#include "lib/rpc/reflection.h"
#include "lib/rpc/room.h"

/* Who asks for health while we stop has this long to learn it, if the grace is long enough. */
#define FAREWELL_MS 250
/* Connections without calls close by themselves when their client is attentive; the others are cut
 * off after this, which is long enough for the last reply to arrive. */
#define LINGER_MS 100
/* Calls that may be there at once; more are turned down. Of each role by itself, so that strangers
 * take nobody's place but each other's. */
static const size_t calls_max[RPC_ROLE_COUNT] = {
    [RPC_STRANGER] = 256, [RPC_READER] = 256, [RPC_MASTER] = 1024};
#define ROOM_COUNT (RPC_ROLE_COUNT - RPC_STRANGER)

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
    struct rpc_room rooms[ROOM_COUNT];
    struct rpc_listen listen;
    struct rpc_tls tls;
    bool is_tls;
    struct rpc_door *door;
    uint64_t denied;
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
                                     .may = config->methods[i].may,
                                     .is_reported = true};
    }
    rpc_health_routes(&server->health, next);
    rpc_reflection_routes(&server->reflection, next + RPC_HEALTH_ROUTES);
    qsort(server->routes, server->route_count, sizeof *server->routes, compare_route);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static void deny(struct rpc_server *server, struct rpc_room *room, grpc_call *call)
{
    server->denied++;
    rpc_call_refuse(
        &room->calls, call, GRPC_STATUS_PERMISSION_DENIED,
        server->is_tls
            ? "this caller may not do that: this node's own certificate may, and the admin's"
            : "this caller may not do that: root may, and on a unix socket its group");
}

static void on_call(struct rpc_room *room, grpc_call *call, const char *path, void *data)
{
    struct rpc_server *server = data;
    const struct rpc_route *route =
        bsearch(path, server->routes, server->route_count, sizeof *server->routes, compare_path);

    if (room->calls.count >= calls_max[room->config.role])
        rpc_call_refuse(&room->calls, call, GRPC_STATUS_RESOURCE_EXHAUSTED,
                        "too many calls at once");
    else if (route && (route->may == RPC_NOBODY || route->may > room->config.role))
        deny(server, room, call);
    else
        rpc_call_start(&room->calls, call, route, path);
}

/* ---- starting ------------------------------------------------------------------------------- */

static void on_room_quiet(void *data);
static void on_room_shut(void *data);

static void init_rooms(struct rpc_server *server, const struct rpc_server_config *config)
{
    for (size_t i = 0; i < ROOM_COUNT; i++) {
        const struct rpc_room_config room = {.role = (enum rpc_role)(RPC_STRANGER + i),
                                             .pump = server->pump,
                                             .on_call = on_call,
                                             .on_quiet = on_room_quiet,
                                             .on_shut = on_room_shut,
                                             .data = server};

        rpc_room_init(&server->rooms[i], &room);
        server->rooms[i].calls.on_done = config->on_done;
        server->rooms[i].calls.data = config->data;
    }
}

static void let_in(void *data, enum rpc_role role, int fd)
{
    struct rpc_server *server = data;

    rpc_room_add(&server->rooms[role - RPC_STRANGER], fd);
}

static int open_door(struct rpc_server *server, struct loop *loop,
                     const struct rpc_server_config *config)
{
    const struct rpc_door_config door = {.loop = loop,
                                         .listen = &server->listen,
                                         .find_uid = config->find_uid,
                                         .tls = server->is_tls ? &server->tls : NULL,
                                         .find_data = config->data,
                                         .let_in = let_in,
                                         .data = server};

    return rpc_door_new(&door, &server->door);
}

static int server_init(struct rpc_server *server, struct loop *loop,
                       const struct rpc_server_config *config)
{
    int r = rpc_listen_parse(config->listen, &server->listen);

    if (r == 0 && config->tls && server->listen.path)
        r = err_fail(EINVAL, "listen on %s: TLS is for TCP", config->listen);
    if (r == 0)
        r = open_door(server, loop, config);
    if (r == 0)
        r = rpc_pump_new(loop, &server->pump);
    if (r == 0)
        init_rooms(server, config);
    return r;
}

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
    server->is_tls = config->tls != NULL;
    if (config->tls)
        server->tls = *config->tls;
    rpc_health_init(&server->health, server->service);
    server->reflection.service = server->service;
    build_routes(server, config);
    r = add_timers(server, loop);
    if (r == 0)
        r = server_init(server, loop, config);
    if (r < 0) {
        rpc_server_free(server);
        return r;
    }
    for (size_t i = 0; i < ROOM_COUNT; i++)
        rpc_room_start(&server->rooms[i]);
    server->stage = STAGE_RUNNING;
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
    return rpc_door_port(server->door);
}

struct rpc_figures rpc_server_figures(const struct rpc_server *server)
{
    struct rpc_figures figures = *rpc_door_figures(server->door);

    figures.denied = server->denied;
    return figures;
}

/* ---- stopping ------------------------------------------------------------------------------- */

static bool are_quiet(const struct rpc_server *server)
{
    for (size_t i = 0; i < ROOM_COUNT; i++) {
        if (!server->rooms[i].calls.is_quiet)
            return false;
    }
    return true;
}

static void on_room_shut(void *data)
{
    struct rpc_server *server = data;

    for (size_t i = 0; i < ROOM_COUNT; i++) {
        if (!server->rooms[i].is_shut)
            return;
    }
    server->stage = STAGE_DOWN;
    loop_timer_disarm(server->grace_timer);
    if (server->stop_done)
        server->stop_done(server->stop_data);
}

/* Waits for calls under way, and no longer than the grace allows. */
static void set_grace_timer(struct rpc_server *server)
{
    int64_t linger_end_ms = clock_boot_ms() + LINGER_MS;

    if (are_quiet(server) && linger_end_ms < server->grace_end_ms)
        loop_timer_set_at(server->grace_timer, linger_end_ms);
    else
        loop_timer_set_at(server->grace_timer, server->grace_end_ms);
}

static void on_room_quiet(void *data)
{
    struct rpc_server *server = data;

    if (server->stage == STAGE_ENDING)
        set_grace_timer(server);
}

static void begin_shutdown(struct rpc_server *server)
{
    server->stage = STAGE_ENDING;
    set_grace_timer(server);
    rpc_door_shut(server->door);
    for (size_t i = 0; i < ROOM_COUNT; i++)
        rpc_room_shutdown(&server->rooms[i]);
}

static void cancel_all(struct rpc_server *server)
{
    for (size_t i = 0; i < ROOM_COUNT; i++)
        rpc_room_cancel(&server->rooms[i]);
}

static void on_farewell_over(void *data)
{
    struct rpc_server *server = data;

    begin_shutdown(server);
}

static void on_grace_over(void *data)
{
    cancel_all(data);
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
        cancel_all(server);
    if (server->stage == STAGE_NEW)
        return;
    for (size_t i = 0; i < ROOM_COUNT; i++)
        rpc_room_run_to_end(&server->rooms[i]);
}

void rpc_server_free(struct rpc_server *server)
{
    if (!server)
        return;
    stop_now(server);
    for (size_t i = 0; i < ROOM_COUNT; i++)
        rpc_room_deinit(&server->rooms[i]);
    rpc_door_free(server->door);
    rpc_pump_free(server->pump);
    rpc_listen_deinit(&server->listen);
    loop_source_free(server->grace_timer);
    loop_source_free(server->farewell_timer);
    free(server->routes);
    free(server->service);
    free(server);
}
