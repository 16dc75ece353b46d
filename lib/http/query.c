/* The query of a request's target. */
#include "lib/http/query.h"

#include <string.h>

#include "lib/base/hex.h"

const char *query_of(const char *target)
{
    const char *mark = strchr(target, '?');

    return mark ? mark + 1 : NULL;
}

/* Every byte may be an argument of its own: a name, an empty value, and their NULs. */
size_t query_size(const char *query)
{
    return 2 * strlen(query) + 3;
}

static size_t decode(const char *bytes, size_t n, char *out)
{
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        int high = bytes[i] == '%' && n - i > 2 ? hex_digit(bytes[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_digit(bytes[i + 2]);

        if (low >= 0 && (high | low) != 0) {
            out[used++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[used++] = bytes[i] == '+' ? ' ' : bytes[i];
        }
    }
    out[used++] = '\0';
    return used;
}

static size_t decode_argument(const char *bytes, size_t n, char *out)
{
    const char *equals = memchr(bytes, '=', n);
    size_t name_n = equals ? (size_t)(equals - bytes) : n;
    size_t value_at = equals ? name_n + 1 : n;
    size_t used = decode(bytes, name_n, out);

    return used + decode(bytes + value_at, n - value_at, out + used);
}

void query_decode(const char *query, char *out)
{
    while (*query) {
        size_t n = strcspn(query, "&");

        if (n > 0 && query[0] != '=') /* an empty name would end the list */
            out += decode_argument(query, n, out);
        query += n + (query[n] == '&');
    }
    *out = '\0';
}

const char *query_find(const char *decoded, const char *name)
{
    while (*decoded) {
        const char *value = decoded + strlen(decoded) + 1;

        if (strcmp(decoded, name) == 0)
            return value;
        decoded = value + strlen(value) + 1;
    }
    return NULL;
}
