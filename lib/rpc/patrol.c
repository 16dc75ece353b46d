/* Reads frame headers (RFC 9113 section 4.1) and counts:
 *
 *      0               3      4       5                      9
 *     +---------------+------+-------+----------------------+---------------
 *     | length        | type | flags | stream (31 bits)     | payload ...
 *     +---------------+------+-------+----------------------+---------------
 */
#include "lib/rpc/patrol.h"

#include <assert.h>
#include <string.h>

#include "lib/base/mem.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PREFACE_SIZE (sizeof PREFACE - 1)
#define FRAME_BYTES_MAX 16384
#define BLOCK_BYTES_MAX 65536
#define BLOCK_FRAMES_MAX 9 /* HEADERS and eight CONTINUATION */
#define TINY_BYTES 64

enum frame_type {
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_PRIORITY,
    FRAME_RST_STREAM,
    FRAME_SETTINGS,
    FRAME_PUSH_PROMISE,
    FRAME_PING,
    FRAME_GOAWAY,
    FRAME_WINDOW_UPDATE,
    FRAME_CONTINUATION
};

#define FLAG_END_STREAM 0x1
#define FLAG_END_HEADERS 0x4

struct frame {
    uint32_t n;
    uint8_t type;
    uint8_t flags;
    uint32_t id;
};

static const char *const words[] = {
    [PATROL_FINE] = "fine",
    [PATROL_NO_HTTP2] = "no-http2",
    [PATROL_BIG_FRAME] = "big-frame",
    [PATROL_BIG_HEADERS] = "big-headers",
    [PATROL_RESETS] = "resets",
    [PATROL_PROVOKED] = "provoked-resets",
    [PATROL_SETTINGS] = "settings",
    [PATROL_PINGS] = "pings",
    [PATROL_PRIORITIES] = "priorities",
    [PATROL_WINDOW_UPDATES] = "window-updates",
    [PATROL_TINY_DATA] = "tiny-data",
    [PATROL_OTHER_FRAMES] = "other-frames",
    [PATROL_STREAMS] = "streams",
    [PATROL_STALLED] = "stalled",
};
static_assert(ARRAY_LEN(words) == PATROL_REASON_COUNT, "a word a reason");

const char *patrol_reason_word(enum patrol_reason reason)
{
    return words[reason];
}

/* ---- counting ------------------------------------------------------------------------------- */

/* Frames in PATROL_WINDOW_MS; 0: not counted. */
static const unsigned int limits[PATROL_REASON_COUNT] = {
    [PATROL_RESETS] = 1000,    [PATROL_PROVOKED] = 1000,    [PATROL_SETTINGS] = 200,
    [PATROL_PINGS] = 300,      [PATROL_PRIORITIES] = 300,   [PATROL_WINDOW_UPDATES] = 1000,
    [PATROL_TINY_DATA] = 1000, [PATROL_OTHER_FRAMES] = 100,
};

static enum patrol_reason count(struct patrol *patrol, enum patrol_reason reason, int64_t now_ms)
{
    struct patrol_count *c = &patrol->counts[reason];

    if (now_ms - c->since_ms >= PATROL_WINDOW_MS)
        *c = (struct patrol_count){.since_ms = now_ms};
    return ++c->frames > limits[reason] ? reason : PATROL_FINE;
}

static void pay(struct patrol *patrol, enum patrol_reason reason, unsigned int frames)
{
    struct patrol_count *c = &patrol->counts[reason];

    c->frames -= frames < c->frames ? frames : c->frames;
}

/* ---- streams -------------------------------------------------------------------------------- */

static struct patrol_stream *find(struct patrol *patrol, uint32_t id)
{
    for (size_t i = 0; i < patrol->stream_count; i++) {
        if (patrol->streams[i].id == id)
            return &patrol->streams[i];
    }
    return NULL;
}

static void set_stuck(struct patrol *patrol, struct patrol_stream *stream, int64_t since_ms)
{
    patrol->stuck += (since_ms != 0) - (unsigned int)(stream->stuck_ms != 0);
    stream->stuck_ms = since_ms;
}

static void forget(struct patrol *patrol, struct patrol_stream *stream)
{
    if (!stream)
        return;
    set_stuck(patrol, stream, 0);
    *stream = patrol->streams[--patrol->stream_count];
}

/* ---- from the client ------------------------------------------------------------------------ */

static enum patrol_reason add_to_block(struct patrol *patrol, const struct frame *frame)
{
    patrol->block_frames++;
    patrol->block_n += frame->n;
    patrol->is_in_block = (frame->flags & FLAG_END_HEADERS) == 0;
    if (patrol->block_frames > BLOCK_FRAMES_MAX || patrol->block_n > BLOCK_BYTES_MAX)
        return PATROL_BIG_HEADERS;
    return PATROL_FINE;
}

static enum patrol_reason open_stream(struct patrol *patrol, uint32_t id)
{
    if (patrol->stream_count == PATROL_STREAMS_MAX)
        return PATROL_STREAMS;
    patrol->newest_id = id;
    patrol->streams[patrol->stream_count++] = (struct patrol_stream){.id = id};
    pay(patrol, PATROL_TINY_DATA, 2);
    pay(patrol, PATROL_WINDOW_UPDATES, 2);
    pay(patrol, PATROL_PRIORITIES, 1);
    return PATROL_FINE;
}

static enum patrol_reason take_headers(struct patrol *patrol, const struct frame *frame)
{
    enum patrol_reason reason = PATROL_FINE;

    patrol->block_n = patrol->block_frames = 0;
    if (frame->id > patrol->newest_id)
        reason = open_stream(patrol, frame->id);
    return reason == PATROL_FINE ? add_to_block(patrol, frame) : reason;
}

static enum patrol_reason take_data(struct patrol *patrol, const struct frame *frame,
                                    int64_t now_ms)
{
    if (frame->n >= TINY_BYTES || (frame->flags & FLAG_END_STREAM))
        return PATROL_FINE;
    return count(patrol, PATROL_TINY_DATA, now_ms);
}

static enum patrol_reason take_counted(struct patrol *patrol, const struct frame *frame,
                                       int64_t now_ms)
{
    static const enum patrol_reason reasons[] = {
        [FRAME_PRIORITY] = PATROL_PRIORITIES,
        [FRAME_RST_STREAM] = PATROL_RESETS,
        [FRAME_SETTINGS] = PATROL_SETTINGS,
        [FRAME_PING] = PATROL_PINGS,
        [FRAME_WINDOW_UPDATE] = PATROL_WINDOW_UPDATES,
    };
    enum patrol_reason reason =
        frame->type < ARRAY_LEN(reasons) ? reasons[frame->type] : PATROL_FINE;

    return count(patrol, reason == PATROL_FINE ? PATROL_OTHER_FRAMES : reason, now_ms);
}

/* Inside a header block there is nothing but its CONTINUATION, and outside there is none (section
 * 6.10). */
static bool is_in_order(const struct patrol *patrol, const struct frame *frame)
{
    if (!patrol->has_frames)
        return frame->type == FRAME_SETTINGS;
    return patrol->is_in_block == (frame->type == FRAME_CONTINUATION);
}

static enum patrol_reason judge_in(struct patrol *patrol, const struct frame *frame, int64_t now_ms)
{
    if (!is_in_order(patrol, frame) || frame->type == FRAME_PUSH_PROMISE)
        return PATROL_NO_HTTP2;
    patrol->has_frames = true;
    if (frame->n > FRAME_BYTES_MAX)
        return PATROL_BIG_FRAME;
    switch (frame->type) {
    case FRAME_HEADERS:
        return take_headers(patrol, frame);
    case FRAME_CONTINUATION:
        return add_to_block(patrol, frame);
    case FRAME_DATA:
        return take_data(patrol, frame, now_ms);
    case FRAME_RST_STREAM:
        forget(patrol, find(patrol, frame->id));
        break;
    default:
        break;
    }
    return take_counted(patrol, frame, now_ms);
}

/* ---- from the server ------------------------------------------------------------------------ */

/* Our server's replies begin with headers and go on at once. */
static void take_reply(struct patrol *patrol, const struct frame *frame, int64_t now_ms)
{
    struct patrol_stream *stream = find(patrol, frame->id);

    pay(patrol, PATROL_PINGS, 1);
    pay(patrol, PATROL_WINDOW_UPDATES, 2);
    if (!stream)
        return;
    if (frame->flags & FLAG_END_STREAM)
        forget(patrol, stream);
    else
        set_stuck(patrol, stream, frame->type == FRAME_HEADERS ? now_ms : 0);
}

static enum patrol_reason judge_out(struct patrol *patrol, const struct frame *frame,
                                    int64_t now_ms)
{
    if (frame->type == FRAME_HEADERS || (frame->type == FRAME_DATA && frame->n > 0) ||
        (frame->type == FRAME_DATA && (frame->flags & FLAG_END_STREAM)))
        take_reply(patrol, frame, now_ms);
    if (frame->type != FRAME_RST_STREAM)
        return PATROL_FINE;
    forget(patrol, find(patrol, frame->id));
    return count(patrol, PATROL_PROVOKED, now_ms);
}

/* ---- walking -------------------------------------------------------------------------------- */

typedef enum patrol_reason (*judge_fn)(struct patrol *patrol, const struct frame *frame,
                                       int64_t now_ms);

static struct frame read_head(const uint8_t head[static 9])
{
    return (struct frame){.n = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2],
                          .type = head[3],
                          .flags = head[4],
                          .id = (uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 |
                                (uint32_t)head[7] << 8 | head[8]};
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Bytes of a payload, or of a head; how many they were. *ret_is_head: the head is whole. */
static size_t step(struct patrol_walk *walk, const uint8_t *bytes, size_t n, bool *ret_is_head)
{
    size_t taken = least(n, walk->payload_n ? walk->payload_n : sizeof walk->head - walk->head_n);

    *ret_is_head = false;
    if (walk->payload_n) {
        walk->payload_n -= (uint32_t)taken;
        return taken;
    }
    memcpy(walk->head + walk->head_n, bytes, taken);
    walk->head_n += taken;
    *ret_is_head = walk->head_n == sizeof walk->head;
    return taken;
}

static enum patrol_reason walk_frames(struct patrol *patrol, struct patrol_walk *walk,
                                      const uint8_t *bytes, size_t n, int64_t now_ms,
                                      judge_fn judge)
{
    enum patrol_reason reason = PATROL_FINE;

    while (n > 0 && reason == PATROL_FINE) {
        bool is_head;
        size_t taken = step(walk, bytes, n, &is_head);

        bytes += taken;
        n -= taken;
        if (is_head) {
            const struct frame frame = read_head(walk->head);

            walk->head_n = 0;
            walk->payload_n = frame.n;
            reason = judge(patrol, &frame, now_ms);
        }
    }
    return reason;
}

enum patrol_reason patrol_in(struct patrol *patrol, const void *bytes, size_t n, int64_t now_ms)
{
    size_t preface_n = least(n, PREFACE_SIZE - patrol->preface_n);

    if (memcmp(&PREFACE[patrol->preface_n], bytes, preface_n) != 0)
        return PATROL_NO_HTTP2;
    patrol->preface_n += preface_n;
    return walk_frames(patrol, &patrol->in, (const uint8_t *)bytes + preface_n, n - preface_n,
                       now_ms, judge_in);
}

enum patrol_reason patrol_out(struct patrol *patrol, const void *bytes, size_t n, int64_t now_ms)
{
    return walk_frames(patrol, &patrol->out, bytes, n, now_ms, judge_out);
}

/* ---- waiting -------------------------------------------------------------------------------- */

enum patrol_reason patrol_look(const struct patrol *patrol, int64_t now_ms)
{
    for (size_t i = 0; i < patrol->stream_count; i++) {
        int64_t stuck_ms = patrol->streams[i].stuck_ms;

        if (stuck_ms != 0 && now_ms - stuck_ms >= PATROL_STALL_MS)
            return PATROL_STALLED;
    }
    return PATROL_FINE;
}

bool patrol_is_waiting(const struct patrol *patrol)
{
    return patrol->stuck > 0;
}

bool patrol_has_begun(const struct patrol *patrol)
{
    return patrol->has_frames;
}
