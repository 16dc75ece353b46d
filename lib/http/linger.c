/* Connections that were answered before their request was read to its end.
 *
 * A socket that is closed while bytes of the client are unread, or still coming, is reset, and the
 * reset may overtake the answer. So the answer is sent, our direction is closed, and what comes is
 * thrown away until the client closes too, has sent too much, or its time is up.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/http/server_internal.h"

#define LINGER_BYTES_MAX (64 * 1024 * 1024)

struct http_linger {
    struct ring ring;
    struct http_server *server;
    struct loop_source *io;
    struct http_wire wire;
    size_t discarded;
    int64_t cut_ms;
};

static void linger_free(struct http_linger *linger)
{
    ring_remove(&linger->ring);
    loop_source_free(linger->io);
    http_wire_close(&linger->wire);
    free(linger);
}

static void on_readable(void *data, uint32_t events)
{
    struct http_linger *linger = data;
    char scratch[16384];
    ssize_t n = http_wire_receive(&linger->wire, scratch, sizeof scratch);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        linger->discarded += (size_t)n;
    if (n <= 0 || linger->discarded > LINGER_BYTES_MAX)
        linger_free(linger);
}

/* The answer is short; a socket that has no room for it belongs to nobody who waits for it. */
static int begin(struct http_linger *linger, char *bytes, size_t n)
{
    struct iovec iov = {.iov_base = bytes, .iov_len = n};
    int r;

    if (http_wire_send(&linger->wire, &iov, 1) != (ssize_t)n)
        return err_fail(EIO, "the answer was not taken");
    r = http_wire_say_end(&linger->wire);
    return r < 0 ? r
                 : loop_add_io(linger->server->loop, linger->wire.fd, EPOLLIN, on_readable, linger,
                               &linger->io);
}

void http_linger_start(struct http_wire *wire, char *bytes, size_t n)
{
    struct http_linger *linger = NEW(struct http_linger);

    linger->server = wire->server;
    linger->wire = *wire;
    ring_init(&linger->ring);
    if (begin(linger, bytes, n) < 0)
        linger_free(linger);
    else
        http_server_sweep_later(linger->server, &linger->server->lingering, &linger->ring,
                                &linger->cut_ms);
}

static struct http_linger *oldest_of(const struct http_server *server)
{
    return CONTAINER_OF(server->lingering.ring.next, struct http_linger, ring);
}

int64_t http_lingers_sweep(struct http_server *server)
{
    while (!ring_is_empty(&server->lingering.ring)) {
        struct http_linger *oldest = oldest_of(server);

        if (oldest->cut_ms > server->now_ms)
            return oldest->cut_ms;
        linger_free(oldest);
    }
    return 0;
}

bool http_lingers_displace(struct http_server *server)
{
    if (ring_is_empty(&server->lingering.ring))
        return false;
    linger_free(oldest_of(server));
    return true;
}

void http_lingers_deinit(struct http_server *server)
{
    while (http_lingers_displace(server))
        continue;
}
