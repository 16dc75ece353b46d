/* Clients that end their direction in the middle of a request.
 *
 * libmicrohttpd reads until it gets less than it asked for and then waits for the socket's next
 * event. When the client's end came together with its last bytes there is no next event, and the
 * connection would stand until its time is up. So the end is listened for here too: libmicrohttpd
 * gets its turn to read what there is, and if the request is still not whole, the reading side is
 * shut; that is an event, and the end is read.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/server_internal.h"

#define EVENTS_PER_TURN 64

void http_half_closes_watch(struct http_conn *conn)
{
    uint32_t input = conn->session ? EPOLLIN : 0; /* what a handshake waits for */
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET | input, .data.ptr = conn};

    /* Without it the connection is still cut when its time is up. */
    if (epoll_ctl(conn->server->half_close_epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0) {
        (void)err_sys(errno, "watch for a connection's end");
        log_warn("HTTP server", LOG_ERR());
    }
}

void http_half_closes_end_pauses(struct http_conn *conn)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = conn};

    (void)epoll_ctl(conn->server->half_close_epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

void http_half_closes_forget(struct http_conn *conn)
{
    (void)epoll_ctl(conn->server->half_close_epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
    ring_remove(&conn->half_closed);
}

static void on_event(struct http_server *server, struct http_conn *conn, uint32_t events)
{
    if (!ring_is_empty(&conn->paused))
        http_conn_go_on(conn);
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        ring_append(&server->half_closed, &conn->half_closed);
}

static void on_epoll(void *data, uint32_t unused)
{
    struct http_server *server = data;
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(server->half_close_epoll_fd, events, EVENTS_PER_TURN, 0);

    for (int i = 0; i < n; i++)
        on_event(server, events[i].data.ptr, events[i].events);
    http_server_run(server);
    while (!ring_is_empty(&server->half_closed)) {
        struct http_conn *conn =
            CONTAINER_OF(ring_take_first(&server->half_closed), struct http_conn, half_closed);

        if (http_conn_is_receiving(conn))
            (void)shutdown(conn->fd, SHUT_RD);
    }
}

int http_half_closes_init(struct http_server *server)
{
    server->half_close_epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->half_close_epoll_fd < 0)
        return err_sys(errno, "create the epoll set of ends");
    return loop_add_io(server->loop, server->half_close_epoll_fd, EPOLLIN, on_epoll, server,
                       &server->half_close_io);
}

void http_half_closes_deinit(struct http_server *server)
{
    loop_source_free(server->half_close_io);
    cleanup_close(&server->half_close_epoll_fd);
}
