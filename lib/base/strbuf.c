/* A string that grows. */
#include "lib/base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/utf8.h"

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

    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        mem_exhausted(0);
    strbuf_reserve(buf, (size_t)n);
    (void)vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
    va_end(again);
    buf->len += (size_t)n;
}

void strbuf_add_json(struct strbuf *buf, const char *s)
{
    strbuf_add(buf, "\"", 1);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            strbuf_addf(buf, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            strbuf_addf(buf, "\\u%04x", c);
        else
            strbuf_add(buf, s, 1);
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
