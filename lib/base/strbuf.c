/* A string that grows. */
#include "lib/base/strbuf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/utf8.h"

/* What a first formatted text finds free, so that most are formatted once. */
#define FORMAT_ROOM 96
#define DIGITS_MAX 20 /* of a 64-bit number */

void strbuf_deinit(struct strbuf *buf)
{
    free(buf->data);
    *buf = (struct strbuf){0};
}

void strbuf_clear(struct strbuf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

void strbuf_cut(struct strbuf *buf, size_t n)
{
    assert(n <= buf->len);
    buf->len -= n;
    if (buf->data)
        buf->data[buf->len] = '\0';
}

void strbuf_reserve(struct strbuf *buf, size_t extra)
{
    size_t need;

    if (__builtin_add_overflow(buf->len, extra, &need) || __builtin_add_overflow(need, 1, &need))
        mem_exhausted(extra);
    if (need <= buf->size)
        return;
    if (need < buf->size + buf->size / 2)
        need = buf->size + buf->size / 2;
    buf->data = mem_resize(buf->data, need, 1);
    buf->size = need;
}

void strbuf_add(struct strbuf *buf, const void *bytes, size_t n)
{
    strbuf_reserve(buf, n);
    if (n > 0)
        memcpy(buf->data + buf->len, bytes, n);
    buf->len += n;
    buf->data[buf->len] = '\0';
}

void strbuf_adds(struct strbuf *buf, const char *s)
{
    strbuf_add(buf, s, strlen(s));
}

void strbuf_addf(struct strbuf *buf, const char *fmt, ...)
{
    va_list args, again;
    int n;

    strbuf_reserve(buf, FORMAT_ROOM);
    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(buf->data + buf->len, buf->size - buf->len, fmt, args);
    va_end(args);
    if (n < 0)
        mem_exhausted(0);
    if ((size_t)n >= buf->size - buf->len) {
        strbuf_reserve(buf, (size_t)n);
        (void)vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    buf->len += (size_t)n;
}

void strbuf_add_u64(struct strbuf *buf, uint64_t value)
{
    strbuf_add_u64_wide(buf, value, 0);
}

void strbuf_add_u64_wide(struct strbuf *buf, uint64_t value, size_t width)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof digits;

    assert(width <= sizeof digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (sizeof digits - at < width)
        digits[--at] = ' ';
    strbuf_add(buf, digits + at, sizeof digits - at);
}

/* Characters that stand in a JSON string as they are. */
static size_t count_plain(const char *s)
{
    size_t n = 0;

    while ((unsigned char)s[n] >= 0x20 && s[n] != '"' && s[n] != '\\' && s[n] != 0x7f)
        n++;
    return n;
}

void strbuf_add_json(struct strbuf *buf, const char *s)
{
    strbuf_add(buf, "\"", 1);
    for (;;) {
        size_t n = count_plain(s);
        unsigned char c = (unsigned char)s[n];

        strbuf_add(buf, s, n);
        if (c == '\0')
            break;
        if (c == '"' || c == '\\')
            strbuf_addf(buf, "\\%c", c);
        else
            strbuf_addf(buf, "\\u%04x", c);
        s += n + 1;
    }
    strbuf_add(buf, "\"", 1);
}

void strbuf_add_printable(struct strbuf *buf, const char *s)
{
    size_t n = strlen(s), length;

    for (size_t i = 0; i < n; i += length) {
        uint32_t c = (unsigned char)s[i];

        length = utf8_length(s + i, n - i);
        if (length > 0)
            c = utf8_decode(s + i, length);
        if (length == 0 || utf8_is_hostile(c))
            strbuf_addf(buf, "\\u%04x", c);
        else
            strbuf_add(buf, s + i, length);
        if (length == 0)
            length = 1;
    }
}

char *strbuf_take(struct strbuf *buf)
{
    char *s;

    strbuf_reserve(buf, 0);
    buf->data[buf->len] = '\0';
    s = buf->data;
    *buf = (struct strbuf){0};
    return s;
}
