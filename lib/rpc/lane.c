/* Moves bytes between sockets, and TLS on them. */
#include "lib/rpc/lane.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- sides ---------------------------------------------------------------------------------- */

void lane_side_close(struct lane_side *side)
{
    loop_source_free(side->io);
    tls_session_free(side->tls);
    if (side->fd >= 0)
        close(side->fd);
    *side = (struct lane_side){.fd = -1};
}

void lane_side_watch(struct lane_side *side, bool wants_in, bool wants_out)
{
    uint32_t wanted = (wants_in ? (uint32_t)EPOLLIN : 0) | (wants_out ? (uint32_t)EPOLLOUT : 0);

    if (!side->io || side->events == wanted)
        return;
    side->events = wanted;
    (void)loop_io_set_events(side->io, wanted);
}

bool lane_side_is_pending(const struct lane_side *side)
{
    return side->tls && tls_session_pending(side->tls) > 0;
}

static ssize_t side_send(const struct lane_side *side, const char *bytes, size_t n)
{
    ssize_t sent;

    if (side->tls)
        return tls_session_send(side->tls, bytes, n);
    sent = send(side->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

static ssize_t side_recv(const struct lane_side *side, char *bytes, size_t n)
{
    ssize_t got;

    if (side->tls)
        return tls_session_recv(side->tls, bytes, n);
    got = recv(side->fd, bytes, n, MSG_DONTWAIT);
    return got < 0 ? -errno : got;
}

/* ---- lanes ---------------------------------------------------------------------------------- */

bool lane_is_empty(const struct lane *lane)
{
    return lane->start == lane->end;
}

bool lane_has_room(const struct lane *lane)
{
    return lane->end < sizeof lane->bytes;
}

void lane_clear(struct lane *lane)
{
    lane->start = lane->end = 0;
    lane->stuck_ms = 0;
}

int lane_drain(struct lane *lane, const struct lane_side *side, int64_t now_ms, bool *moved)
{
    ssize_t n;

    if (lane_is_empty(lane))
        return 0;
    n = side_send(side, lane->bytes + lane->start, lane->end - lane->start);
    if (n < 0 && n != -EAGAIN && n != -EINTR)
        return (int)n;
    if (n > 0) {
        lane->start += (size_t)n;
        lane->stuck_ms = 0;
        *moved = true;
    }
    if (lane_is_empty(lane))
        lane_clear(lane);
    else if (lane->stuck_ms == 0)
        lane->stuck_ms = now_ms;
    return 0;
}

ssize_t lane_fill(struct lane *lane, const struct lane_side *side)
{
    ssize_t n = side_recv(side, lane->bytes + lane->end, sizeof lane->bytes - lane->end);

    if (n < 0)
        return n == -EINTR ? -EAGAIN : n;
    lane->end += (size_t)n;
    return n;
}
