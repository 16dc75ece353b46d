/* One direction of a connection: bytes that came from one side and wait for the other. A lane that
 * is full is not read into, so who does not read makes the other side wait. Internal to lib/rpc.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/loop.h"
#include "lib/tls/session.h"

#define LANE_BYTES 8192

/* A stream of bytes: a socket that does not block, or TLS on it. Both are owned. */
struct lane_side {
    int fd;                  /* -1: none */
    struct tls_session *tls; /* NULL: none */
    struct loop_source *io;  /* owned; NULL: nobody waits for it */
    uint32_t events;         /* that are waited for */
};

/* Frees what is there; the side is none then. */
void lane_side_close(struct lane_side *side);
/* Waits for these EPOLL events from now on. */
void lane_side_watch(struct lane_side *side, bool wants_in, bool wants_out);

struct lane {
    size_t start, end;
    int64_t stuck_ms; /* since when what is in it does not get on; 0: it does */
    char bytes[LANE_BYTES];
};

bool lane_is_empty(const struct lane *lane);
bool lane_has_room(const struct lane *lane);
void lane_clear(struct lane *lane);
/* Gives what is in it to the side, as far as that takes it. Negative: the side is not there any
 * more. *moved becomes true when something went. */
int lane_drain(struct lane *lane, const struct lane_side *side, int64_t now_ms, bool *moved);
/* Bytes that came, 0 for the end, -EAGAIN, or another error. */
ssize_t lane_fill(struct lane *lane, const struct lane_side *side);
/* Whether bytes are ready that make no noise at the socket, so that they cannot be waited for. */
bool lane_side_is_pending(const struct lane_side *side);
