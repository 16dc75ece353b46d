/* Endless answers, on sockets of our own (server_internal.h says why).
 *
 *              wake                        socket full
 *     asleep ────────> awake ──────────────────────────────> blocked
 *        ^               │ ^                                    │
 *        └───────────────┘ └────────────────────────────────────┘
 *         next() has nothing        the client took something
 *
 * Awake streams get their turns from a timer that fires at once: never from within
 * http_stream_wake(), so that callers can wake all of theirs in a row without one of them vanishing
 * under their hands; and not from idle-priority work, which a busy server would never get to.
 * The sockets are in an epoll set of their own, which is one source to the loop: when thousands of
 * clients go at once, each costs the same, and not a walk over all that are waiting to be told.
 *
 * A piece is sent as one chunk (RFC 9112 section 7.1), to HTTP/1.0 clients as it is:
 *
 *     ┌ frame ─────┬ piece ──────────────┬ tail ┐
 *     │ 1a2b \r\n  │ event: node\ndata:… │ \r\n │      sent counts over all three
 *     └────────────┴─────────────────────┴──────┘
 */
#include <assert.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/http/server_internal.h"

/* What the kernel may hold for a client that does not read. */
#define SEND_BUFFER_BYTES (256 * 1024)
/* Streams served, and pieces of one stream sent, before others get their turn. */
#define STREAMS_PER_TURN 256
#define PIECES_PER_TURN 16
#define EVENTS_PER_TURN 128

struct http_stream {
    struct ring ring; /* in the server's awake, asleep or blocked */
    struct http_server *server;
    struct http_wire wire;
    struct http_guest guest;
    int route;
    enum { ASLEEP, AWAKE, BLOCKED } state;
    bool is_chunked;
    bool is_over;    /* next() has no more */
    bool is_closing; /* nothing comes after what is being sent */
    int64_t cut_ms;  /* when blocked */

    http_stream_next_fn next;
    http_gone_fn gone;
    void *data;

    struct http_body *piece; /* being sent; NULL: none */
    char frame[16];
    size_t frame_len;
    size_t tail_len;
    size_t sent;
};

static const char tail[2] = {'\r', '\n'};

/* Tells the owner first: it may still look at the stream's address. */
static void stream_free(struct http_stream *stream)
{
    struct http_server *server = stream->server;

    if (stream->gone)
        stream->gone(stream->data);
    ring_remove(&stream->ring);
    http_guest_leave(server, &stream->guest);
    if (server->config.on_done)
        server->config.on_done(server->config.data, stream->route, 200);
    http_body_unref(stream->piece);
    if (stream->wire.fd >= 0) {
        /* Closing would not do: libmicrohttpd may not have closed its descriptor yet. */
        (void)epoll_ctl(server->stream_epoll_fd, EPOLL_CTL_DEL, stream->wire.fd, NULL);
        http_wire_close(&stream->wire);
    }
    free(stream);
}

static void wake(struct http_stream *stream)
{
    struct http_server *server = stream->server;

    stream->state = AWAKE;
    ring_append(&server->awake, &stream->ring);
    if (!loop_timer_is_armed(server->stream_timer))
        loop_timer_set_in(server->stream_timer, 0);
}

static void fall_asleep(struct http_stream *stream)
{
    stream->state = ASLEEP;
    ring_append(&stream->server->asleep, &stream->ring);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Bytes that are sent as they are: the head, and the chunk that ends all. */
static void set_raw_piece(struct http_stream *stream, struct http_body *piece)
{
    stream->piece = piece;
    stream->frame_len = 0;
    stream->tail_len = 0;
    stream->sent = 0;
}

static void set_piece(struct http_stream *stream, struct http_body *piece)
{
    set_raw_piece(stream, piece);
    if (!stream->is_chunked)
        return;
    stream->frame_len =
        (size_t)snprintf(stream->frame, sizeof stream->frame, "%zx\r\n", http_body_len(piece));
    stream->tail_len = sizeof tail;
}

/* Asks the owner for the next piece. An empty one would be the chunk that ends the answer, so it
 * counts as none. */
static bool pull_next(struct http_stream *stream)
{
    struct http_body *piece = stream->next(stream->data, &stream->is_over);

    if (piece && http_body_len(piece) > 0)
        set_piece(stream, piece);
    else
        http_body_unref(piece);
    return stream->piece != NULL;
}

/* Sees to it that there is a piece to send; false when there is none. */
static bool pull(struct http_stream *stream)
{
    if (stream->piece)
        return true;
    if (stream->is_closing)
        return false;
    if (!stream->is_over && pull_next(stream))
        return true;
    if (!stream->is_over)
        return false;
    stream->is_closing = true;
    if (stream->is_chunked)
        set_raw_piece(stream, http_body_new("0\r\n\r\n", 5));
    return stream->piece != NULL;
}

static size_t piece_size(const struct http_stream *stream)
{
    return stream->frame_len + http_body_len(stream->piece) + stream->tail_len;
}

/* The parts of the piece that are not sent yet. */
static size_t fill_iov(const struct http_stream *stream, struct iovec iov[3])
{
    const struct {
        const char *bytes;
        size_t n;
    } parts[3] = {{stream->frame, stream->frame_len},
                  {http_body_bytes(stream->piece), http_body_len(stream->piece)},
                  {tail, stream->tail_len}};
    size_t skip = stream->sent, count = 0;

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t done = skip < parts[i].n ? skip : parts[i].n;

        skip -= done;
        if (done == parts[i].n)
            continue;
        iov[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)(parts[i].bytes + done),
                                      .iov_len = parts[i].n - done};
    }
    return count;
}

enum sending { SENDING_DONE, SENDING_PART, SENDING_BLOCKED, SENDING_FAILED };

static enum sending send_piece(struct http_stream *stream)
{
    struct iovec iov[3];
    ssize_t n = http_wire_send(&stream->wire, iov, fill_iov(stream, iov));

    if (n < 0)
        return errno == EAGAIN ? SENDING_BLOCKED : errno == EINTR ? SENDING_PART : SENDING_FAILED;
    stream->sent += (size_t)n;
    if (stream->sent < piece_size(stream))
        return SENDING_PART;
    http_body_unref(stream->piece);
    stream->piece = NULL;
    return SENDING_DONE;
}

static int watch(struct http_stream *stream, int operation, uint32_t events)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | events, .data.ptr = stream};

    if (epoll_ctl(stream->server->stream_epoll_fd, operation, stream->wire.fd, &event) < 0)
        return err_sys(errno, "watch a stream's socket");
    return 0;
}

static void block(struct http_stream *stream)
{
    stream->state = BLOCKED;
    http_server_sweep_later(stream->server, &stream->server->blocked, &stream->ring,
                            &stream->cut_ms);
    if (watch(stream, EPOLL_CTL_MOD, EPOLLOUT) < 0) {
        log_debug("stream cut off", LOG_ERR());
        stream_free(stream);
    }
}

/* Sends as much as fits and is due; the stream may be gone after. */
static void stream_turn(struct http_stream *stream)
{
    enum sending sending = SENDING_DONE;

    for (int i = 0; i < PIECES_PER_TURN && sending <= SENDING_PART; i++) {
        if (!pull(stream)) {
            if (stream->is_closing)
                stream_free(stream);
            else
                fall_asleep(stream);
            return;
        }
        sending = send_piece(stream);
    }
    if (sending == SENDING_FAILED)
        stream_free(stream);
    else if (sending == SENDING_BLOCKED)
        block(stream);
    else
        wake(stream); /* goes on when the others had their turn */
}

static void on_turn(void *data)
{
    struct http_server *server = data;

    server->now_ms = clock_boot_ms();
    for (int i = 0; i < STREAMS_PER_TURN && !ring_is_empty(&server->awake); i++)
        stream_turn(CONTAINER_OF(ring_take_first(&server->awake), struct http_stream, ring));
    if (!ring_is_empty(&server->awake))
        loop_timer_set_in(server->stream_timer, 0);
}

/* ---- the client's side ----------------------------------------------------------------------- */

/* What a client says on a stream is of no interest, but that it has gone is. */
static bool is_still_there(struct http_stream *stream)
{
    char scratch[4096];
    ssize_t n = http_wire_receive(&stream->wire, scratch, sizeof scratch);

    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void on_event(struct http_stream *stream, uint32_t events)
{
    if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP) ||
        (events & EPOLLIN && !is_still_there(stream))) {
        stream_free(stream);
        return;
    }
    if (!(events & EPOLLOUT) || stream->state != BLOCKED)
        return;
    if (watch(stream, EPOLL_CTL_MOD, 0) < 0)
        stream_free(stream);
    else
        wake(stream);
}

/* No event frees another stream than its own, so none of these is about one that is gone. */
static void on_epoll(void *data, uint32_t unused)
{
    struct http_server *server = data;
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(server->stream_epoll_fd, events, EVENTS_PER_TURN, 0);

    for (int i = 0; i < n; i++)
        on_event(events[i].data.ptr, events[i].events);
}

int64_t http_streams_sweep(struct http_server *server)
{
    while (!ring_is_empty(&server->blocked.ring)) {
        struct http_stream *oldest =
            CONTAINER_OF(server->blocked.ring.next, struct http_stream, ring);

        if (oldest->cut_ms > server->now_ms)
            return oldest->cut_ms;
        log_debug("stream cut off: the client takes nothing");
        stream_free(oldest);
    }
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_all(struct ring *list)
{
    while (!ring_is_empty(list))
        stream_free(CONTAINER_OF(ring_take_first(list), struct http_stream, ring));
}

int http_streams_init(struct http_server *server)
{
    int r;

    server->stream_epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->stream_epoll_fd < 0)
        return err_sys(errno, "create the streams' epoll set");
    r = loop_add_io(server->loop, server->stream_epoll_fd, EPOLLIN, on_epoll, server,
                    &server->stream_io);
    if (r < 0)
        return r;
    return loop_add_timer(server->loop, on_turn, server, &server->stream_timer);
}

void http_streams_deinit(struct http_server *server)
{
    free_all(&server->awake);
    free_all(&server->blocked.ring);
    free_all(&server->asleep);
    loop_source_free(server->stream_timer);
    loop_source_free(server->stream_io);
    if (server->stream_epoll_fd >= 0)
        close(server->stream_epoll_fd);
}

/* A client that vanished without a word is found out by the kernel: what it was sent is not
 * acknowledged. */
static int set_socket_options(int fd, int64_t timeout_ms)
{
    unsigned int user_timeout_ms = (unsigned int)timeout_ms;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER_BYTES}, sizeof(int)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms) < 0)
        return err_sys(errno, "set up a stream's socket");
    return 0;
}

static int open_socket(struct http_stream *stream, struct http_request *request)
{
    int r = http_wire_take(request, &stream->wire);

    if (r < 0)
        return r;
    r = set_socket_options(stream->wire.fd, stream->server->idle_timeout_ms);
    if (r < 0)
        return r;
    return watch(stream, EPOLL_CTL_ADD, 0);
}

static struct http_stream *stream_alloc(struct http_request *request)
{
    struct http_stream *stream = NEW(struct http_stream);

    stream->wire.fd = -1;
    stream->server = request->server;
    stream->route = request->route;
    stream->is_chunked = !request->is_http10;
    ring_init(&stream->ring);
    http_guest_init(&stream->guest, HTTP_GUEST_STREAM);
    return stream;
}

static struct http_body *head_of(struct http_request *request, const char *content_type)
{
    AUTO_STRBUF struct strbuf head = {0};
    size_t n;

    http_head_write(request, 200, content_type, -1, &head);
    n = head.len;
    return http_body_take(strbuf_take(&head), n);
}

/* A stream that could not get its socket is not told at once, but ends at its first turn. */
struct http_stream *http_stream_start(struct http_request *request, const char *content_type,
                                      http_stream_next_fn next, http_gone_fn gone, void *data)
{
    struct http_stream *stream = stream_alloc(request);

    assert(request->state == HTTP_REQUEST_HANDLING || request->state == HTTP_REQUEST_WAITING);
    stream->next = next;
    stream->gone = gone;
    stream->data = data;
    if (open_socket(stream, request) < 0) {
        log_warn("stream not started", LOG_ERR());
        stream->is_closing = true;
    } else {
        if (!http_conn_of(request->mhd)->is_vouched_for)
            http_guest_wait(stream->server, stream->wire.addr, &stream->guest);
        set_raw_piece(stream, head_of(request, content_type));
        stream->is_closing = request->is_head;
    }
    request->is_streamed = true;
    http_request_answered(request, 200);
    wake(stream);
    return stream;
}

void http_stream_abort(struct http_stream *stream)
{
    http_body_unref(stream->piece);
    stream->piece = NULL;
    stream->is_closing = true;
    wake(stream);
}

void http_stream_displace(struct http_guest *guest)
{
    http_stream_abort(CONTAINER_OF(guest, struct http_stream, guest));
}

void http_stream_wake(struct http_stream *stream)
{
    if (stream->state == ASLEEP)
        wake(stream);
}
