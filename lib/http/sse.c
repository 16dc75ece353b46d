/* The parser of event streams: lines first, fields then, an event at each empty line. */
#include "lib/http/sse.h"

#include <string.h>

#include "lib/base/error.h"

void sse_parser_init(struct sse_parser *parser, size_t data_max)
{
    *parser = (struct sse_parser){.data_max = data_max};
}

void sse_parser_deinit(struct sse_parser *parser)
{
    strbuf_deinit(&parser->line);
    strbuf_deinit(&parser->type);
    strbuf_deinit(&parser->data);
    strbuf_deinit(&parser->id);
}

static const char *text_or(const struct strbuf *buf, const char *other)
{
    return buf->len > 0 ? buf->data : other;
}

/* An empty line: the event is complete, unless it has no data at all. */
static int dispatch(struct sse_parser *parser, sse_event_fn fn, void *data)
{
    bool is_wanted = true;

    if (parser->data.len > 0) {
        parser->data.data[--parser->data.len] = '\0'; /* the last line's \n */
        is_wanted = fn(&(struct sse_event){.type = text_or(&parser->type, "message"),
                                           .id = text_or(&parser->id, ""),
                                           .data = parser->data.data,
                                           .data_len = parser->data.len},
                       data);
    }
    strbuf_clear(&parser->type);
    strbuf_clear(&parser->data);
    return is_wanted ? 0 : err_fail(ECANCELED, "event stream: ended by its reader");
}

static void set_text(struct strbuf *buf, const char *value, size_t n)
{
    strbuf_clear(buf);
    strbuf_add(buf, value, n);
}

static int take_field(struct sse_parser *parser, const char *name, size_t name_len,
                      const char *value, size_t n)
{
    if (name_len == 4 && memcmp(name, "data", 4) == 0) {
        if (n >= parser->data_max || parser->data.len > parser->data_max - n - 1)
            return err_fail(EMSGSIZE, "event stream: an event is longer than %zu bytes",
                            parser->data_max);
        strbuf_add(&parser->data, value, n);
        strbuf_add(&parser->data, "\n", 1);
    } else if (name_len == 5 && memcmp(name, "event", 5) == 0) {
        set_text(&parser->type, value, n);
    } else if (name_len == 2 && memcmp(name, "id", 2) == 0 && !memchr(value, '\0', n)) {
        set_text(&parser->id, value, n);
    }
    return 0;
}

/* "name: value", "name:value", "name", or ": a comment", whose name is empty and so unknown. */
static int take_line(struct sse_parser *parser, sse_event_fn fn, void *data)
{
    const char *line = text_or(&parser->line, "");
    size_t n = parser->line.len, name_len, skip;
    const char *colon;

    if (!parser->is_past_first_line && n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3;
        n -= 3;
    }
    parser->is_past_first_line = true;
    if (n == 0)
        return dispatch(parser, fn, data);
    colon = memchr(line, ':', n);
    name_len = colon ? (size_t)(colon - line) : n;
    skip = !colon ? n : name_len + 1 + (name_len + 1 < n && line[name_len + 1] == ' ');
    return take_field(parser, line, name_len, line + skip, n - skip);
}

static int end_line(struct sse_parser *parser, sse_event_fn fn, void *data)
{
    int r = take_line(parser, fn, data);

    strbuf_clear(&parser->line);
    return r;
}

/* The bytes up to the next line end, or all. */
static size_t run_length(const char *bytes, size_t n)
{
    const char *lf = memchr(bytes, '\n', n);
    const char *cr = memchr(bytes, '\r', lf ? (size_t)(lf - bytes) : n);

    return cr ? (size_t)(cr - bytes) : lf ? (size_t)(lf - bytes) : n;
}

static int add_to_line(struct sse_parser *parser, const char *bytes, size_t n)
{
    if (n > parser->data_max || parser->line.len > parser->data_max - n)
        return err_fail(EMSGSIZE, "event stream: a line is longer than %zu bytes",
                        parser->data_max);
    if (n > 0)
        strbuf_add(&parser->line, bytes, n);
    return 0;
}

int sse_parser_feed(struct sse_parser *parser, const char *bytes, size_t n, sse_event_fn fn,
                    void *data)
{
    size_t used = 0, run;
    int r = 0;

    while (used < n && r == 0) {
        if (parser->is_after_cr) {
            parser->is_after_cr = false;
            used += bytes[used] == '\n';
            continue;
        }
        run = run_length(bytes + used, n - used);
        r = add_to_line(parser, bytes + used, run);
        used += run;
        if (r == 0 && used < n) {
            parser->is_after_cr = bytes[used++] == '\r';
            r = end_line(parser, fn, data);
        }
    }
    return r;
}
