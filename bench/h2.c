/* gRPC's framing around libnghttp2, and a little protobuf. */
#include "bench/h2.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "bench/dial.h"
#include "lib/base/error.h"

#define PREFIX_SIZE 5
#define WINDOW_BYTES (16 * 1024 * 1024) /* flow control never holds a reply up */
#define READ_SIZE 65536
#define NO_STATUS (-1)

/* ---- libnghttp2's questions ---------------------------------------------------------------- */

static ssize_t on_read(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t size,
                       uint32_t *flags, nghttp2_data_source *source, void *data)
{
    struct h2 *h2 = data;
    size_t left = h2->request.len - h2->request_sent;
    size_t n = left < size ? left : size;

    if (left == 0)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(buf, h2->request.data + h2->request_sent, n);
    h2->request_sent += n;
    if (h2->is_last && n == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static size_t message_size(const struct strbuf *reply, size_t at)
{
    const uint8_t *p = (const uint8_t *)reply->data + at;

    return (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t n, void *data)
{
    struct h2 *h2 = data;
    struct strbuf *reply = &h2->reply;
    size_t at = 0;

    strbuf_add(reply, bytes, n);
    while (reply->len - at >= PREFIX_SIZE &&
           reply->len - at - PREFIX_SIZE >= message_size(reply, at)) {
        size_t size = message_size(reply, at);

        at += PREFIX_SIZE + size;
        h2->on_message(h2->data, (const uint8_t *)reply->data + at - size, size);
    }
    memmove(reply->data, reply->data + at, reply->len - at);
    reply->len -= at;
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *data)
{
    struct h2 *h2 = data;

    if (name_len == strlen("grpc-status") && memcmp(name, "grpc-status", name_len) == 0)
        h2->status = value_len == 1 ? value[0] - '0' : 99;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *data)
{
    struct h2 *h2 = data;

    h2->has_ended = true;
    return 0;
}

/* ---- sending and receiving ----------------------------------------------------------------- */

static int failed(const char *what, ssize_t code)
{
    return err_fail(EPROTO, "%s: %s", what, nghttp2_strerror((int)code));
}

static int flush(struct h2 *h2)
{
    const uint8_t *bytes;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(h2->session, &bytes)) > 0) {
        int r = dial_send(h2->fd, bytes, (size_t)n);

        if (r < 0)
            return r;
    }
    return n < 0 ? failed("send", n) : 0;
}

int h2_receive(struct h2 *h2)
{
    uint8_t bytes[READ_SIZE];
    ssize_t n = recv(h2->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        return n < 0 ? err_sys(errno, "recv") : err_fail(ECONNRESET, "the server hung up");
    n = nghttp2_session_mem_recv(h2->session, bytes, (size_t)n);
    if (n < 0)
        return failed("receive", n);
    if (h2->has_ended && h2->status != 0)
        return err_fail(EPROTO, "the call ended with gRPC status %d", h2->status);
    return flush(h2);
}

static void put_request(struct h2 *h2, const struct strbuf *message)
{
    uint8_t prefix[PREFIX_SIZE] = {0, (uint8_t)(message->len >> 24), (uint8_t)(message->len >> 16),
                                   (uint8_t)(message->len >> 8), (uint8_t)message->len};

    strbuf_clear(&h2->request);
    h2->request_sent = 0;
    strbuf_add(&h2->request, prefix, PREFIX_SIZE);
    strbuf_add(&h2->request, message->data, message->len);
}

#define HEADER(n, v)                                                           \
    {                                                                          \
        .name = (uint8_t *)(uintptr_t)(n), .value = (uint8_t *)(uintptr_t)(v), \
        .namelen = strlen(n), .valuelen = strlen(v)                            \
    }

int h2_call(struct h2 *h2, const char *path, const struct strbuf *message, bool is_last)
{
    const nghttp2_nv headers[] = {
        HEADER(":method", "POST"),     HEADER(":scheme", "http"),
        HEADER(":path", path),         HEADER(":authority", "bench"),
        HEADER("te", "trailers"),      HEADER("content-type", "application/grpc"),
        HEADER("user-agent", "bench"),
    };
    const nghttp2_data_provider provider = {.read_callback = on_read};

    put_request(h2, message);
    strbuf_clear(&h2->reply);
    h2->is_last = is_last;
    h2->has_ended = false;
    h2->status = NO_STATUS;
    h2->stream =
        nghttp2_submit_request(h2->session, NULL, headers, ARRAY_LEN(headers), &provider, NULL);
    return h2->stream < 0 ? failed(path, h2->stream) : flush(h2);
}

int h2_send(struct h2 *h2, const struct strbuf *message)
{
    int r;

    put_request(h2, message);
    r = nghttp2_session_resume_data(h2->session, h2->stream);
    return r < 0 ? failed("resume", r) : flush(h2);
}

/* ---- life ---------------------------------------------------------------------------------- */

static int new_session(struct h2 *h2)
{
    nghttp2_session_callbacks *callbacks = NULL;
    int r = nghttp2_session_callbacks_new(&callbacks);

    if (r < 0)
        return failed("new session", r);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    r = nghttp2_session_client_new(&h2->session, callbacks, h2);
    nghttp2_session_callbacks_del(callbacks);
    return r < 0 ? failed("new session", r) : 0;
}

int h2_init(struct h2 *h2)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    int r = new_session(h2);

    if (r < 0)
        return r;
    r = nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
    if (r == 0)
        r = nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES);
    return r < 0 ? failed("settings", r) : flush(h2);
}

void h2_deinit(struct h2 *h2)
{
    nghttp2_session_del(h2->session);
    strbuf_deinit(&h2->request);
    strbuf_deinit(&h2->reply);
}

/* ---- protobuf ------------------------------------------------------------------------------ */

static void add_varint(struct strbuf *out, uint64_t value)
{
    uint8_t byte;

    for (; value >= 0x80; value >>= 7) {
        byte = (uint8_t)(value | 0x80);
        strbuf_add(out, &byte, 1);
    }
    byte = (uint8_t)value;
    strbuf_add(out, &byte, 1);
}

void pb_add_number(struct strbuf *out, unsigned int field, uint64_t value)
{
    add_varint(out, (uint64_t)field << 3);
    add_varint(out, value);
}

void pb_add_bytes(struct strbuf *out, unsigned int field, const void *bytes, size_t n)
{
    add_varint(out, (uint64_t)field << 3 | 2);
    add_varint(out, n);
    strbuf_add(out, bytes, n);
}

static uint64_t take_varint(const uint8_t **p, const uint8_t *end)
{
    uint64_t value = 0;

    for (unsigned int shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t byte = *(*p)++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    return value;
}

uint64_t pb_find(const uint8_t *bytes, size_t n, unsigned int field)
{
    const uint8_t *p = bytes, *end = bytes + n;

    while (p < end) {
        uint64_t key = take_varint(&p, end);
        uint64_t value = take_varint(&p, end);

        if (key >> 3 == field)
            return value;
        if ((key & 7) == 2 && value <= (uint64_t)(end - p))
            p += value;
        else if ((key & 7) != 0)
            break;
    }
    return 0;
}
