/* Strict parsing of words from outside. */
#include "lib/base/parse.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/utf8.h"

#define HOUR_MS 3600000ULL
#define NAME_LEN_MAX 253

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Reads digits up to the first other character. */
static bool parse_digits(const char **p, uint64_t *ret)
{
    const char *s = *p;
    uint64_t v = 0;

    if (!is_digit(*s) || (s[0] == '0' && is_digit(s[1])))
        return false;
    for (; is_digit(*s); s++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return false;
    *p = s;
    *ret = v;
    return true;
}

int parse_u64(const char *text, uint64_t max, uint64_t *ret)
{
    const char *p = text;
    uint64_t v;

    if (!parse_digits(&p, &v) || *p != '\0' || v > max)
        return err_fail(EINVAL, "'%.64s' is not a whole number from 0 to %llu", text,
                        (unsigned long long)max);
    *ret = v;
    return 0;
}

/* A number and its unit; false when it is none, or not from 1 to max. */
static bool parse_time_ms(const char *text, uint64_t max, int64_t *ret_ms)
{
    static const struct {
        const char *suffix;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", HOUR_MS}, {"d", 24 * HOUR_MS}};
    const char *p = text;
    uint64_t v;

    if (!parse_digits(&p, &v))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(p, units[i].suffix) == 0 && !__builtin_mul_overflow(v, units[i].ms, &v) &&
            v >= 1 && v <= max) {
            *ret_ms = (int64_t)v;
            return true;
        }
    return false;
}

int parse_duration_ms(const char *text, int64_t *ret_ms)
{
    if (parse_time_ms(text, 24 * HOUR_MS, ret_ms))
        return 0;
    return err_fail(EINVAL, "'%.64s' is not a duration such as 30s, 500ms or 5m (1ms to 24h)",
                    text);
}

int parse_lifetime_s(const char *text, int64_t *ret_s)
{
    int64_t ms;

    if (!parse_time_ms(text, 3650 * 24 * HOUR_MS, &ms) || ms % 1000 != 0)
        return err_fail(EINVAL, "'%.64s' is not a lifetime such as 90s, 12h or 30d (1s to 3650d)",
                        text);
    *ret_s = ms / 1000;
    return 0;
}

int parse_addr_port(const char *text, uint32_t *ret_addr, uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    char host[IP4_TEXT_SIZE];
    uint32_t addr;
    uint64_t port;

    if (!colon || (size_t)(colon - text) >= sizeof host)
        return err_fail(EINVAL, "'%.64s' is not ADDRESS:PORT such as 127.0.0.1:8080", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (ip4_parse(host, &addr) < 0 || parse_u64(colon + 1, 65535, &port) < 0)
        return err_fail(EINVAL, "'%.64s' is not ADDRESS:PORT such as 127.0.0.1:8080", text);
    *ret_addr = addr;
    *ret_port = (uint16_t)port;
    return 0;
}

/* [A-Za-z0-9][A-Za-z0-9_.-]*, 1 to 253 bytes. */
static bool is_name(const char *text)
{
    size_t n = strnlen(text, NAME_LEN_MAX + 1);

    if (n == 0 || n > NAME_LEN_MAX || !is_alnum(text[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_alnum(text[i]) && !strchr("-_.", text[i]))
            return false;
    return true;
}

int parse_hostname(const char *text)
{
    return is_name(text) ? 0 : err_fail(EINVAL, "'%.64s' is not a host name", text);
}

int parse_ifname(const char *text)
{
    size_t n = strnlen(text, 16);

    if (n == 0 || n > 15 || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return err_fail(EINVAL, "'%.64s' is not an interface name (1 to 15 characters)", text);
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~' || strchr("/:%", text[i]))
            return err_fail(EINVAL, "'%.64s' is not an interface name", text);
    return 0;
}

int parse_id(const char *text)
{
    if (is_name(text))
        return 0;
    return err_fail(EINVAL, "'%.64s' is not an id: 1 to 253 of A-Z a-z 0-9 _ . -", text);
}

int parse_uuid(const char *text)
{
    if (strnlen(text, 37) != 36)
        return err_fail(EINVAL, "'%.64s' is not a UUID", text);
    for (int i = 0; i < 36; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (is_dash ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
            return err_fail(EINVAL, "'%.64s' is not a UUID", text);
    }
    return 0;
}

bool parse_is_utf8(const char *bytes, size_t n)
{
    for (size_t i = 0, length; i < n; i += length) {
        length = utf8_length(bytes + i, n - i);
        if (length == 0 || bytes[i] == '\0')
            return false;
    }
    return true;
}
