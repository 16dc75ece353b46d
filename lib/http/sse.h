/* Server-sent events, the client's side: bytes in, events out (WHATWG HTML section 9.2.6). Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/strbuf.h"

struct sse_event {
    const char *type; /* "message" when the server named none */
    const char *id;   /* the latest id so far; "" when there is none */
    const char *data; /* lines joined by \n */
    size_t data_len;
};

/* false ends the feeding. The event is borrowed until the return. */
typedef bool (*sse_event_fn)(const struct sse_event *event, void *data);

struct sse_parser {
    struct strbuf line, type, data, id;
    bool is_after_cr;
    bool is_past_first_line; /* a byte order mark can only be in the first */
    size_t data_max;         /* longest line and event taken */
};

void sse_parser_init(struct sse_parser *parser, size_t data_max);
void sse_parser_deinit(struct sse_parser *parser);
/* Calls fn for each event that these bytes complete. 0; -EMSGSIZE when a line or event is too long;
 * -ECANCELED when fn returned false. After a failure the parser is only good for deinit. */
int sse_parser_feed(struct sse_parser *parser, const char *bytes, size_t n, sse_event_fn fn,
                    void *data);
