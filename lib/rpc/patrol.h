/* Watches one HTTP/2 connection (RFC 9113) as its bytes pass, frame header by frame header, and
 * says when it is an attack: frames that cost the server much and the client nothing. gRPC core has
 * no defence of its own. Pure.
 *
 *     client ── preface, frames ──> core      rapid reset (CVE-2023-44487), CONTINUATION, SETTINGS,
 *                                             PING, PRIORITY, WINDOW_UPDATE and tiny DATA floods
 *     client <────────── frames ─── core      resets that the client provokes (CVE-2025-8671),
 *                                             replies that it does not let out (window 0)
 *
 * A limit counts frames in 30 s. What an honest client sends more of, the more it is given to do,
 * is paid for by what it gets: a reply pays for pings and window updates, a new stream for the two
 * frames of its request. So no number of honest calls trips a limit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATROL_WINDOW_MS 30000
/* A reply that has begun and cannot go on for this long. */
#define PATROL_STALL_MS 20000
/* More than the server allows streams on a connection, for those that are ending. */
#define PATROL_STREAMS_MAX 256

enum patrol_reason {
    PATROL_FINE,
    PATROL_NO_HTTP2,       /* no preface, or a frame that no client sends */
    PATROL_BIG_FRAME,      /* above 16 KiB, which is all that the server allows */
    PATROL_BIG_HEADERS,    /* a header block above 64 KiB, or in more than nine frames */
    PATROL_RESETS,         /* 1,000 RST_STREAM */
    PATROL_PROVOKED,       /* 1,000 RST_STREAM of the server's */
    PATROL_SETTINGS,       /* 200 SETTINGS */
    PATROL_PINGS,          /* 300 PING beyond what is paid for */
    PATROL_PRIORITIES,     /* 300 PRIORITY, likewise */
    PATROL_WINDOW_UPDATES, /* 1,000 WINDOW_UPDATE, likewise */
    PATROL_TINY_DATA,      /* 1,000 DATA below 64 bytes that do not end a request, likewise */
    PATROL_OTHER_FRAMES,   /* 100 of other types */
    PATROL_STREAMS,        /* far more streams at once than the server allows */
    PATROL_STALLED,        /* it does not let a reply out */
    PATROL_REASON_COUNT
};
/* "resets", for logs and metrics. */
const char *patrol_reason_word(enum patrol_reason reason);

/* How frames of one kind are counted. */
struct patrol_count {
    unsigned int frames;
    int64_t since_ms;
};

/* Where a direction is in its bytes. */
struct patrol_walk {
    uint8_t head[9];
    size_t head_n;      /* of head */
    uint32_t payload_n; /* bytes of the frame that are still to come */
};

struct patrol_stream {
    uint32_t id;
    int64_t stuck_ms; /* since when its reply has begun without a message; 0: not stuck */
};

/* Zeroed: nothing has passed. */
struct patrol {
    size_t preface_n; /* bytes of it that have come */
    struct patrol_walk in, out;
    uint32_t block_n; /* bytes of the header block that comes */
    unsigned int block_frames;
    bool is_in_block;
    bool has_frames;    /* the client's first frame has come */
    uint32_t newest_id; /* the client's newest stream */
    unsigned int stuck; /* streams of which stuck_ms is set */
    size_t stream_count;
    struct patrol_stream streams[PATROL_STREAMS_MAX];
    struct patrol_count counts[PATROL_REASON_COUNT];
};

/* Bytes pass from the client to the server, or back. Not PATROL_FINE: cut the connection. The
 * bytes may be split anywhere. */
enum patrol_reason patrol_in(struct patrol *patrol, const void *bytes, size_t n, int64_t now_ms);
enum patrol_reason patrol_out(struct patrol *patrol, const void *bytes, size_t n, int64_t now_ms);
/* Now and then, while patrol_is_waiting(): PATROL_STALLED, or PATROL_FINE. */
enum patrol_reason patrol_look(const struct patrol *patrol, int64_t now_ms);
bool patrol_is_waiting(const struct patrol *patrol);
/* Whether the client has shown that it speaks HTTP/2: its preface and one frame. */
bool patrol_has_begun(const struct patrol *patrol);
