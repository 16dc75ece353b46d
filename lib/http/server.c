/* The server itself: libmicrohttpd in our loop, and its connections.
 *
 * libmicrohttpd has an epoll descriptor of its own, which is watched by ours. After each turn it
 * tells when it wants the next one; that timer is only ever moved to an earlier time, so a busy
 * server does not set it for each request.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/http/server_internal.h"
#include "lib/tls/session.h"

#define DEFAULT_MAX_CONNECTIONS 1024
#define DEFAULT_IDLE_TIMEOUT_S 30
/* libmicrohttpd's buffers of one connection: the longest request head, and the pieces of bodies. */
#define CONNECTION_MEMORY_BYTES (16 * 1024)
/* Above the limit on_accept makes room, or refuses. libmicrohttpd has a limit of its own, above
 * ours by those that are told to go and have not gone yet; there, who comes waits. */
#define SPARE_CONNECTIONS 64
/* Turns of libmicrohttpd before the loop's other sources get theirs. */
#define TURNS_MAX 8

__attribute__((format(printf, 2, 0))) static void on_mhd_log(void *server, const char *fmt,
                                                             va_list args)
{
    char text[256];

    http_head_heed_library(server, fmt);
    if (!log_enabled(LOG_LEVEL_TRACE))
        return;
    (void)vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\n")] = '\0';
    log_trace("http library", LOG_S("text", text));
}

/* ---- libmicrohttpd's turns ------------------------------------------------------------------- */

static void wake_mhd_in(struct http_server *server, int64_t delay_ms)
{
    int64_t due_ms = server->now_ms + delay_ms;

    if (loop_timer_is_armed(server->mhd_timer) && server->mhd_due_ms <= due_ms)
        return;
    server->mhd_due_ms = due_ms;
    loop_timer_set_in(server->mhd_timer, delay_ms);
}

void http_server_kick(struct http_server *server)
{
    loop_defer_arm(server->mhd_again);
}

void http_server_run(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;

    server->now_ms = clock_boot_ms();
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        (void)MHD_run(server->mhd); /* fails when it is shut down only */
        if (MHD_get_timeout(server->mhd, &timeout_ms) == MHD_NO)
            return;
        if (timeout_ms > 0) {
            wake_mhd_in(server, (int64_t)timeout_ms);
            return;
        }
    }
    http_server_kick(server);
}

static void on_mhd_io(void *server, uint32_t events)
{
    http_server_run(server);
}

/* ---- connections ----------------------------------------------------------------------------- */

struct http_conn *http_conn_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

void http_conn_pause(struct http_conn *conn)
{
    if (!ring_is_empty(&conn->paused))
        return;
    ring_append(&conn->server->paused, &conn->paused);
    MHD_suspend_connection(conn->mhd);
}

void http_conn_go_on(struct http_conn *conn)
{
    ring_remove(&conn->paused);
    MHD_resume_connection(conn->mhd);
}

static uint32_t addr_of(const struct sockaddr *name)
{
    struct sockaddr_in in = {0};

    if (name->sa_family == AF_INET)
        memcpy(&in, name, sizeof in);
    return ntohl(in.sin_addr.s_addr);
}

static enum MHD_Result on_accept(void *server, const struct sockaddr *name, socklen_t size)
{
    return http_peers_make_room(server, addr_of(name)) ? MHD_YES : MHD_NO;
}

static struct http_conn *conn_new(struct http_server *server, struct MHD_Connection *mhd)
{
    struct http_conn *conn = NEW(struct http_conn);

    conn->server = server;
    conn->mhd = mhd;
    conn->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    conn->addr =
        addr_of(MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    ring_init(&conn->ring);
    ring_init(&conn->half_closed);
    ring_init(&conn->paused);
    http_guest_init(&conn->guest, HTTP_GUEST_IDLE);
    http_peers_add(server, conn->addr);
    if (server->tls)
        http_tls_adopt(conn);
    http_half_closes_watch(conn);
    return conn;
}

static void conn_free(struct http_conn *conn)
{
    http_exchange_forget(conn);
    ring_remove(&conn->ring);
    ring_remove(&conn->paused);
    http_half_closes_forget(conn);
    http_guest_leave(conn->server, &conn->guest);
    http_peers_remove(conn->server, conn->addr);
    http_tls_unref(conn->tls);
    if (conn->free_note)
        conn->free_note(conn->note);
    free(conn);
}

static void on_connection(void *server, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = conn_new(server, mhd);
        http_conn_opened(*context);
    } else if (*context) {
        conn_free(*context);
        *context = NULL;
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

/* What the library insists on; each connection gets the server's present credentials (tls.c). */
static unsigned int tls_options(const struct http_tls *tls, struct MHD_OptionItem ret_options[4])
{
    /* libmicrohttpd takes these as pointers that it may write through, and does not. */
    const struct MHD_OptionItem options[4] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)http_tls_cert_pem(tls)},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)http_tls_key_pem(tls)},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities},
        {MHD_OPTION_END, 0, NULL},
    };

    memcpy(ret_options, options, sizeof options);
    return MHD_USE_TLS;
}

static int start_mhd(struct http_server *server, int listen_fd)
{
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_mhd_log, server},
        {MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)server->config.max_connections + SPARE_CONNECTIONS,
         NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)server->config.idle_timeout_s, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL},
#if MHD_VERSION >= 0x00097701
        {MHD_OPTION_CLIENT_DISCIPLINE_LVL, 2, NULL},
#else
        /* Not 1: it would miss a Host itself, and then send the head of its answer twice. */
        {MHD_OPTION_STRICT_FOR_CLIENT, 0, NULL},
#endif
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)http_exchange_start, server},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)http_exchange_end, server},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem tls[4] = {{MHD_OPTION_END, 0, NULL}};
    /* MHD_USE_TURBO: among others, it closes without shutdown(2), which would reach the sockets
     * that were taken over as well. */
    unsigned int flags =
        MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

    if (server->tls)
        flags |= tls_options(server->tls, tls);
    server->mhd =
        MHD_start_daemon(flags, 0, on_accept, server, http_exchange_go_on, server, MHD_OPTION_ARRAY,
                         options, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    return server->mhd ? 0 : err_fail(EIO, "libmicrohttpd does not start");
}

static int add_sources(struct http_server *server)
{
    int fd = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, r;

    r = loop_add_io(server->loop, fd, EPOLLIN, on_mhd_io, server, &server->mhd_io);
    if (r < 0)
        return r;
    r = loop_add_timer(server->loop, (loop_fn)http_server_run, server, &server->mhd_timer);
    if (r < 0)
        return r;
    r = loop_add_defer(server->loop, (loop_fn)http_server_run, server, &server->mhd_again);
    if (r < 0)
        return r;
    r = loop_add_timer(server->loop, http_server_sweep, server, &server->sweep_timer);
    if (r < 0)
        return r;
    r = http_half_closes_init(server);
    return r < 0 ? r : http_streams_init(server);
}

static int listen_and_start(struct http_server *server)
{
    AUTO_CLOSE int fd = -1;
    int r;

    server->port = server->config.port;
    r = http_listen(server->config.addr, &server->port, &fd);
    if (r < 0)
        return r;
    r = start_mhd(server, fd);
    if (r < 0)
        return r;
    (void)TAKE_FD(fd); /* libmicrohttpd closes it */
    return add_sources(server);
}

static struct http_server *server_alloc(struct loop *loop, const struct http_server_config *config)
{
    struct http_server *server = NEW(struct http_server);

    server->loop = loop;
    server->config = *config;
    if (config->max_connections == 0)
        server->config.max_connections = DEFAULT_MAX_CONNECTIONS;
    if (config->idle_timeout_s == 0)
        server->config.idle_timeout_s = DEFAULT_IDLE_TIMEOUT_S;
    server->idle_timeout_ms = (int64_t)server->config.idle_timeout_s * 1000;
    server->now_ms = clock_boot_ms();
    server->stream_epoll_fd = -1;
    server->half_close_epoll_fd = -1;
    ring_init(&server->half_closed);
    ring_init(&server->paused);
    http_peers_init(server);
    http_deadlines_init(server);
    ring_init(&server->waiting);
    ring_init(&server->awake);
    ring_init(&server->asleep);
    return server;
}

/* Who has no file left for a connection can take none to refuse it either. */
static void fit_to_files(struct http_server_config *config)
{
    unsigned int wanted = config->max_connections;
    uint64_t per_address;

    config->max_connections = http_fit_connections(wanted);
    per_address = (uint64_t)config->max_per_address * config->max_connections + wanted - 1;
    config->max_per_address = (unsigned int)(per_address / wanted);
}

int http_server_new(struct loop *loop, const struct http_server_config *config,
                    struct http_server **ret_server)
{
    struct http_server *server = server_alloc(loop, config);
    int r = route_table_new(config->routes, config->route_count, &server->routes);

    fit_to_files(&server->config);
    (void)gethostname(server->hostname, sizeof server->hostname - 1);
    if (r == 0 && config->tls)
        r = http_tls_load(config->tls, &server->tls);
    if (r == 0)
        r = listen_and_start(server);
    if (r < 0) {
        http_server_free(server);
        return err_wrap(r, "HTTP server");
    }
    http_server_kick(server); /* nothing is answered before its owner's loop runs */
    *ret_server = server;
    return 0;
}

static void stop_mhd(struct http_server *server)
{
    while (!ring_is_empty(&server->paused))
        http_conn_go_on(CONTAINER_OF(server->paused.next, struct http_conn, paused));
    while (!ring_is_empty(&server->waiting))
        http_exchange_abandon(CONTAINER_OF(server->waiting.next, struct http_request, ring));
    if (server->mhd)
        MHD_stop_daemon(server->mhd);
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    http_streams_deinit(server);
    http_lingers_deinit(server);
    loop_source_free(server->mhd_io);
    stop_mhd(server);
    http_half_closes_deinit(server);
    loop_source_free(server->sweep_timer);
    loop_source_free(server->mhd_again);
    loop_source_free(server->mhd_timer);
    route_table_free(server->routes);
    http_tls_unref(server->tls);
    free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

uint64_t http_server_displaced(const struct http_server *server)
{
    return server->displaced;
}

int http_server_set_tls(struct http_server *server, const struct http_tls_config *config)
{
    struct http_tls *fresh;
    int r = http_tls_load(config, &fresh);

    if (r < 0)
        return r;
    http_tls_unref(server->tls);
    server->tls = fresh;
    return 0;
}

void http_server_drain(struct http_server *server)
{
    MHD_socket listen_fd;

    if (server->is_draining)
        return;
    server->is_draining = true;
    listen_fd = MHD_quiesce_daemon(server->mhd);
    if (listen_fd != MHD_INVALID_SOCKET)
        close(listen_fd);
}
