/* A string that grows. data is always NUL-terminated once anything was added; a zeroed struct is an
 * empty buffer. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

struct strbuf {
    char *data; /* owned; NULL while empty */
    size_t len;
    size_t size;
};

void strbuf_deinit(struct strbuf *buf);
void strbuf_clear(struct strbuf *buf);
/* Takes the last n bytes off; there are as many. */
void strbuf_cut(struct strbuf *buf, size_t n);
void strbuf_reserve(struct strbuf *buf, size_t extra);
void strbuf_add(struct strbuf *buf, const void *bytes, size_t n);
void strbuf_adds(struct strbuf *buf, const char *s);
void strbuf_addf(struct strbuf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Decimal. */
void strbuf_add_u64(struct strbuf *buf, uint64_t value);
/* The same with blanks in front where it has fewer than width (at most 20) digits. */
void strbuf_add_u64_wide(struct strbuf *buf, uint64_t value, size_t width);
/* A JSON string literal with its quotes. s must be valid UTF-8. */
void strbuf_add_json(struct strbuf *buf, const char *s);
/* A text for people: characters that could harm a terminal and bytes that are no UTF-8 become
 * \uXXXX. */
void strbuf_add_printable(struct strbuf *buf, const char *s);
/* Takes the text out (never NULL); the buffer is empty after. Caller frees. */
char *strbuf_take(struct strbuf *buf);

#define AUTO_STRBUF CLEANUP(strbuf_deinit)
