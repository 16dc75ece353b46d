/* Writes log lines: logfmt or JSON, one write(2) each. */
#include "lib/base/log.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define VALUE_MAX_BYTES 512

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
};

static void put_bytes(struct line *line, const char *bytes, size_t n)
{
    if (line->used + n > line->size)
        n = line->size - line->used;
    memcpy(line->buf + line->used, bytes, n);
    line->used += n;
}

static void put_str(struct line *line, const char *s)
{
    put_bytes(line, s, strlen(s));
}

/* C1 controls (U+0080..9F), line separators and bidirectional controls, in UTF-8. */
static size_t hostile_utf8(const unsigned char *s, size_t n)
{
    if (n >= 2 && s[0] == 0xc2 && s[1] < 0xa0)
        return 2;
    if (n >= 3 && s[0] == 0xe2 && s[1] == 0x80 &&
        ((s[2] >= 0xa8 && s[2] <= 0xae) || s[2] == 0x8e || s[2] == 0x8f))
        return 3;
    if (n >= 3 && s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9)
        return 3;
    return 0;
}

static size_t utf8_length(const unsigned char *s, size_t n)
{
    size_t want = s[0] < 0x80             ? 1
                  : (s[0] & 0xe0) == 0xc0 ? 2
                  : (s[0] & 0xf0) == 0xe0 ? 3
                  : (s[0] & 0xf8) == 0xf0 ? 4
                                          : 0;

    if (want == 0 || want > n || s[0] == 0xc0 || s[0] == 0xc1)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return want;
}

static void put_hex(struct line *line, unsigned char byte)
{
    char hex[8];

    (void)snprintf(hex, sizeof hex, "\\u%04x", byte);
    put_bytes(line, hex, 6);
}

static void put_quoted(struct line *line, const char *value)
{
    const unsigned char *s = (const unsigned char *)value;
    size_t n = strnlen(value, VALUE_MAX_BYTES), step, hostile;

    put_str(line, "\"");
    for (size_t i = 0; i < n; i += step) {
        step = utf8_length(s + i, n - i);
        hostile = hostile_utf8(s + i, n - i);
        if (s[i] == '"' || s[i] == '\\') {
            put_str(line, "\\");
            put_bytes(line, (const char *)s + i, 1);
        } else if (s[i] == '\n') {
            put_str(line, "\\n");
        } else if (step == 0 || hostile > 0) {
            step = hostile > 0 ? hostile : 1;
            for (size_t k = 0; k < step; k++)
                put_hex(line, s[i + k]);
        } else if (s[i] < 0x20 || s[i] == 0x7f) {
            put_hex(line, s[i]);
        } else {
            put_bytes(line, (const char *)s + i, step);
        }
    }
    put_str(line, "\"");
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

        if (format == LOG_FORMAT_TEXT && strlen(s) < VALUE_MAX_BYTES && is_plain(s))
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

size_t log_format_line(enum log_format format, enum log_level level, const char *msg,
                       const struct log_field *fields, size_t count, char *ret_line, size_t size)
{
    struct line line = {.buf = ret_line, .size = size};

    put_pair(&line, format, &LOG_S("level", level_names[level]));
    put_pair(&line, format, &LOG_S("msg", msg));
    for (size_t i = 0; i < count; i++)
        if (fields[i].key)
            put_pair(&line, format, &fields[i]);
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
