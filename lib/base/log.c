/* Writes log lines: logfmt or JSON, one write(2) each. */
#include "lib/base/log.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/utf8.h"

#define LINE_MAX_BYTES 4096
/* The longest error text is shown whole: what is to be done stands at its end. */
#define VALUE_MAX_BYTES ((size_t)ERR_TEXT_MAX - 1)
#define VALUE_SHOWN_BYTES 3072 /* when all of it has to be escaped: others find room, too */
#define CUT_MARK_BYTES 16      /* room for cut=true */

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error"};
static_assert(sizeof level_names / sizeof level_names[0] == LOG_LEVEL_ERROR + 1, "a name a level");

static const char *const format_names[] = {"text", "json"};
static_assert(sizeof format_names / sizeof format_names[0] == LOG_FORMAT_JSON + 1,
              "a name a format");

/* Set once by log_setup before threads start, read-only from then on. */
static enum log_level min_level = LOG_LEVEL_INFO;
static enum log_format line_format = LOG_FORMAT_TEXT;

struct line {
    char *buf;
    size_t size;
    size_t used;
    bool is_full; /* something did not fit */
    bool is_cut;  /* a value lacks its end */
};

static void put_bytes(struct line *line, const char *bytes, size_t n)
{
    if (n > line->size - line->used) {
        n = line->size - line->used;
        line->is_full = true;
    }
    memcpy(line->buf + line->used, bytes, n);
    line->used += n;
}

static void put_str(struct line *line, const char *s)
{
    put_bytes(line, s, strlen(s));
}

static void put_escape(struct line *line, uint32_t c)
{
    char hex[16];

    if (c == '\n')
        (void)snprintf(hex, sizeof hex, "\\n");
    else
        (void)snprintf(hex, sizeof hex, "\\u%04x", c & 0xffff);
    put_str(line, hex);
}

static void put_quoted(struct line *line, const char *value)
{
    size_t n = strnlen(value, VALUE_MAX_BYTES), begin = line->used, i, length;

    put_str(line, "\"");
    for (i = 0; i < n && line->used - begin < VALUE_SHOWN_BYTES; i += length) {
        uint32_t c;

        length = utf8_length(value + i, n - i);
        if (length == 0) { /* no UTF-8, or cut in the middle of it */
            put_escape(line, (unsigned char)value[i]);
            length = 1;
            continue;
        }
        c = utf8_decode(value + i, length);
        if (c == '"' || c == '\\')
            put_str(line, "\\");
        if (utf8_is_hostile(c))
            put_escape(line, c);
        else
            put_bytes(line, value + i, length);
    }
    put_str(line, "\"");
    line->is_cut |= value[i] != '\0';
}

static bool is_plain(const char *s)
{
    if (*s == '\0')
        return false;
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
              strchr("-_.:/@+", *s)))
            return false;
    return true;
}

static void put_value(struct line *line, enum log_format format, const struct log_field *field)
{
    char number[32] = "";

    switch (field->type) {
    case LOG_FIELD_STRING: {
        const char *s = field->s ? field->s : "";

        /* The message is always quoted, one word or many: scripts wait for msg="ready". */
        if (format == LOG_FORMAT_TEXT && strcmp(field->key, "msg") != 0 &&
            strlen(s) < VALUE_MAX_BYTES && is_plain(s))
            put_str(line, s);
        else
            put_quoted(line, s);
        return;
    }
    case LOG_FIELD_INT:
        (void)snprintf(number, sizeof number, "%lld", (long long)field->i);
        break;
    case LOG_FIELD_UINT:
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)field->u);
        break;
    case LOG_FIELD_BOOL:
        (void)snprintf(number, sizeof number, "%s", field->b ? "true" : "false");
        break;
    }
    put_str(line, number);
}

static void put_pair(struct line *line, enum log_format format, const struct log_field *field)
{
    if (line->used > 0)
        put_str(line, format == LOG_FORMAT_JSON ? "," : " ");
    if (format == LOG_FORMAT_JSON) {
        put_quoted(line, field->key);
        put_str(line, ":");
    } else {
        put_str(line, field->key);
        put_str(line, "=");
    }
    put_value(line, format, field);
}

/* A pair that does not fit is left out whole, so that the line stays well-formed. */
static bool put_whole_pair(struct line *line, enum log_format format, const struct log_field *field)
{
    size_t before = line->used;

    put_pair(line, format, field);
    if (!line->is_full)
        return true;
    line->used = before;
    line->is_full = false;
    return false;
}

size_t log_format_line(enum log_format format, enum log_level level, const char *msg,
                       const struct log_field *fields, size_t count, char *ret_line, size_t size)
{
    const struct log_field cut = LOG_B("cut", true);
    struct line line = {.buf = ret_line, .size = size > CUT_MARK_BYTES ? size - CUT_MARK_BYTES : 0};
    bool is_whole = put_whole_pair(&line, format, &LOG_S("level", level_names[level]));

    is_whole = put_whole_pair(&line, format, &LOG_S("msg", msg)) && is_whole;
    for (size_t i = 0; i < count; i++)
        if (fields[i].key)
            is_whole = put_whole_pair(&line, format, &fields[i]) && is_whole;
    line.size = size;
    if (!is_whole || line.is_cut)
        (void)put_whole_pair(&line, format, &cut);
    return line.used;
}

static size_t format_time(char *buf, size_t size)
{
    struct timespec now;
    struct tm tm;
    size_t n;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(buf + n, size - n, ".%03ldZ", now.tv_nsec / 1000000);
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields, size_t count)
{
    bool is_json = line_format == LOG_FORMAT_JSON;
    char stamp[40], buf[LINE_MAX_BYTES];
    struct line line = {.buf = buf, .size = sizeof buf - 2};

    (void)format_time(stamp, sizeof stamp);
    put_str(&line, is_json ? "{\"time\":\"" : "time=");
    put_str(&line, stamp);
    put_str(&line, is_json ? "\"," : " ");
    line.used += log_format_line(line_format, level, msg, fields, count, buf + line.used,
                                 line.size - line.used);
    if (is_json)
        buf[line.used++] = '}';
    buf[line.used++] = '\n';
    /* Nothing can be done about a log that cannot be written. */
    if (write(STDERR_FILENO, buf, line.used) < 0)
        return;
}

bool log_enabled(enum log_level level)
{
    return level >= min_level;
}

void log_setup(enum log_level level, enum log_format format)
{
    min_level = level;
    line_format = format;
}

bool log_level_parse(const char *word, enum log_level *ret_level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
        if (strcmp(word, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    return false;
}

bool log_format_parse(const char *word, enum log_format *ret_format)
{
    for (size_t i = 0; i < sizeof format_names / sizeof format_names[0]; i++)
        if (strcmp(word, format_names[i]) == 0) {
            *ret_format = (enum log_format)i;
            return true;
        }
    return false;
}
