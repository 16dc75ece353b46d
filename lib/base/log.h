/* The log: one event, one line on stderr.
 *
 *     log_info("peer added", LOG_S("peer", name), LOG_I("mtu_bytes", mtu));
 *
 *     time=2026-11-22T12:00:00.123Z level=info msg="peer added" peer=node2 mtu_bytes=1450
 *
 * error: an operator must act; warn: degraded and retrying; info: state changed; debug, trace: the
 * rest. Text (logfmt) or one JSON object a line. Control characters, C1 and bidirectional overrides
 * in any value are escaped, so that a hostile name cannot forge a line or paint a terminal.
 * A line is written with one write(2); lines of threads do not mix. What is longer than an error
 * text may be loses its end, a field that would make the line longer than 4096 bytes is left out,
 * and either way cut=true says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_TRACE,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR
};
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum log_field_type { LOG_FIELD_STRING, LOG_FIELD_INT, LOG_FIELD_UINT, LOG_FIELD_BOOL };

struct log_field {
    const char *key;
    enum log_field_type type;
    union {
        const char *s; /* NULL is shown as empty */
        int64_t i;
        uint64_t u;
        bool b;
    };
};

#define LOG_S(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_STRING, .s = (v)})
#define LOG_I(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_INT, .i = (int64_t)(v)})
#define LOG_U(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_UINT, .u = (uint64_t)(v)})
#define LOG_B(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_BOOL, .b = (v)})
/* The text of the latest failure (error.h) under the key "error". */
#define LOG_ERR() LOG_S("error", err_text())

/* Parse the words of --log-level and --log-format; false when it is none of them. */
bool log_level_parse(const char *word, enum log_level *ret_level);
bool log_format_parse(const char *word, enum log_format *ret_format);

/* For main, before any thread starts. Default: info, text. */
void log_setup(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);

/* fields[0] is a filler (see log_at). */
void log_write(enum log_level level, const char *msg, const struct log_field *fields, size_t count);

/* Formats a line as log_write does, without the time, for tests. Returns its length. */
size_t log_format_line(enum log_format format, enum log_level level, const char *msg,
                       const struct log_field *fields, size_t count, char *ret_line, size_t size);

#define log_at(level_, msg_, ...)                                                     \
    do {                                                                              \
        if (log_enabled(level_)) {                                                    \
            const struct log_field fields_[] = {{.key = NULL}, ##__VA_ARGS__};        \
            log_write((level_), (msg_), fields_, sizeof fields_ / sizeof fields_[0]); \
        }                                                                             \
    } while (0)
#define log_trace(msg_, ...) log_at(LOG_LEVEL_TRACE, msg_, ##__VA_ARGS__)
#define log_debug(msg_, ...) log_at(LOG_LEVEL_DEBUG, msg_, ##__VA_ARGS__)
#define log_info(msg_, ...) log_at(LOG_LEVEL_INFO, msg_, ##__VA_ARGS__)
#define log_warn(msg_, ...) log_at(LOG_LEVEL_WARN, msg_, ##__VA_ARGS__)
#define log_error(msg_, ...) log_at(LOG_LEVEL_ERROR, msg_, ##__VA_ARGS__)
