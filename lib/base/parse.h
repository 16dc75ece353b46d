/* Strict parsing of words from outside. Each returns 0, or -EINVAL with a text that quotes the word
 * and says what would be right; the output is written only on success. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only, no sign, no leading zeros, at most max. */
int parse_u64(const char *text, uint64_t max, uint64_t *ret);

/* "30s", "500ms", "5m", "1h"; at least 1 ms, at most 24 h. */
int parse_duration_ms(const char *text, int64_t *ret_ms);

/* "90s", "30m", "24h", "30d": a lifetime in seconds, at least 1, at most ten years. */
int parse_lifetime_s(const char *text, int64_t *ret_s);

/* "127.0.0.1:8080": an IPv4 address (host order) and a port from 0 (any) to 65535. */
int parse_addr_port(const char *text, uint32_t *ret_addr, uint16_t *ret_port);

/* A host name: labels of letters, digits, '-', '_' and '.', 1 to 253 bytes (RFC 1123, and the
 * underscore that real machines have). */
int parse_hostname(const char *text);

/* A network interface's name: 1 to 15 bytes, no '/', ':', blank or control, not "." or "..", as the
 * kernel has it; and no '%', which the kernel takes for a pattern. */
int parse_ifname(const char *text);

/* An endpoint's or container's id, as CNI has it: [A-Za-z0-9][A-Za-z0-9_.-]*, 1 to 253 bytes. */
int parse_id(const char *text);

/* A UUID in its 36-character form. */
int parse_uuid(const char *text);

/* Well-formed UTF-8 without NUL. */
bool parse_is_utf8(const char *bytes, size_t n);
