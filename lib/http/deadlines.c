/* The times that connections have. What is not done in time is cut off.
 *
 *     opening ──> heading ──> receiving ──> (its handler) ──> sending ──┐
 *        accepted    a request line   headers                 answered     │
 *                       ^                                                 v
 *                       └──────────────────────────────────────────── receiving
 *                                                                     awaits another request
 */
#include <linux/tcp.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/http/server_internal.h"

/* A connection's first request line comes within the one, all headers of a request within the
 * other: who drips them holds a place that an honest client would leave at once. */
#define OPENING_TIMEOUT_MS 10000
#define HEAD_TIMEOUT_MS 5000
/* Of an answer that is not sent yet, in idle_timeout_s. */
#define SENT_BYTES_MIN (32 * 1024)

static void sweep_at(struct http_server *server, int64_t due_ms)
{
    if (loop_timer_is_armed(server->sweep_timer) && server->sweep_due_ms <= due_ms)
        return;
    server->sweep_due_ms = due_ms;
    loop_timer_set_at(server->sweep_timer, due_ms);
}

void http_server_sweep_later(struct http_server *server, struct http_deadline *list,
                             struct ring *member, int64_t *ret_cut_ms)
{
    *ret_cut_ms = server->now_ms + list->timeout_ms;
    ring_append(&list->ring, member);
    sweep_at(server, *ret_cut_ms);
}

static void await(struct http_conn *conn, struct http_deadline *list)
{
    conn->is_sending = list == &conn->server->sending;
    http_server_sweep_later(conn->server, list, &conn->ring, &conn->cut_ms);
    if (!conn->is_vouched_for)
        http_guest_wait(conn->server, conn->addr, &conn->guest);
}

void http_conn_opened(struct http_conn *conn)
{
    await(conn, &conn->server->opening);
}

void http_conn_expect(struct http_conn *conn)
{
    await(conn, &conn->server->receiving);
}

void http_conn_expect_headers(struct http_conn *conn)
{
    await(conn, &conn->server->heading);
}

void http_conn_received(struct http_conn *conn)
{
    ring_remove(&conn->ring);
    http_guest_hold(conn->server, &conn->guest);
}

void http_conn_sends(struct http_conn *conn)
{
    conn->taken_bytes = 0;
    await(conn, &conn->server->sending);
}

void http_conn_cut(struct http_conn *conn)
{
    ring_remove(&conn->ring);
    (void)shutdown(conn->fd, SHUT_RDWR);
}

void http_conn_vouch(struct http_conn *conn)
{
    conn->is_vouched_for = true;
    http_guest_hold(conn->server, &conn->guest);
}

bool http_conn_is_receiving(const struct http_conn *conn)
{
    return !ring_is_empty(&conn->ring) && !conn->is_sending;
}

static struct http_conn *first_conn(const struct http_deadline *list)
{
    return CONTAINER_OF(list->ring.next, struct http_conn, ring);
}

static int64_t sweep_conns(struct http_server *server, struct http_deadline *list)
{
    while (!ring_is_empty(&list->ring)) {
        struct http_conn *oldest = first_conn(list);

        if (oldest->cut_ms > server->now_ms)
            return oldest->cut_ms;
        http_conn_cut(oldest);
    }
    return 0;
}

/* Who reads a byte now and then is never idle to libmicrohttpd, and has its answer for ever. */
static bool is_taking(struct http_conn *conn)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    uint64_t before = conn->taken_bytes;

    if (getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return false;
    conn->taken_bytes = info.tcpi_bytes_acked;
    return before == 0 || info.tcpi_bytes_acked - before >= SENT_BYTES_MIN;
}

static int64_t sweep_sending(struct http_server *server)
{
    while (!ring_is_empty(&server->sending.ring)) {
        struct http_conn *oldest = first_conn(&server->sending);

        if (oldest->cut_ms > server->now_ms)
            return oldest->cut_ms;
        if (is_taking(oldest))
            http_server_sweep_later(server, &server->sending, &oldest->ring, &oldest->cut_ms);
        else
            http_conn_cut(oldest);
    }
    return 0;
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return a_ms == 0 || (b_ms != 0 && b_ms < a_ms) ? b_ms : a_ms;
}

void http_server_sweep(void *data)
{
    struct http_server *server = data;
    int64_t next_ms;

    http_server_run(server); /* what has come while we were held up counts */
    server->now_ms = clock_boot_ms();
    next_ms = sweep_conns(server, &server->opening);
    next_ms = earlier(next_ms, sweep_conns(server, &server->heading));
    next_ms = earlier(next_ms, sweep_conns(server, &server->receiving));
    next_ms = earlier(next_ms, sweep_sending(server));
    next_ms = earlier(next_ms, http_streams_sweep(server));
    next_ms = earlier(next_ms, http_lingers_sweep(server));
    if (next_ms > 0)
        sweep_at(server, next_ms);
}

static int64_t at_most(int64_t limit_ms, const struct http_server *server)
{
    return limit_ms < server->idle_timeout_ms ? limit_ms : server->idle_timeout_ms;
}

void http_deadlines_init(struct http_server *server)
{
    const struct {
        struct http_deadline *list;
        int64_t timeout_ms;
    } rows[] = {
        {&server->opening, at_most(OPENING_TIMEOUT_MS, server)},
        {&server->heading, at_most(HEAD_TIMEOUT_MS, server)},
        {&server->receiving, server->idle_timeout_ms},
        {&server->sending, server->idle_timeout_ms},
        {&server->blocked, server->idle_timeout_ms},
        {&server->lingering, server->idle_timeout_ms},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ring_init(&rows[i].list->ring);
        rows[i].list->timeout_ms = rows[i].timeout_ms;
    }
}
