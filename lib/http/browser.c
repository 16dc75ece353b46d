/* Requests that a web page has made a browser send. */
#include "lib/http/browser.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/base/ip4.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define HOST_MAX 256

bool browser_is_from_other_page(const char *origin, const char *host)
{
    static const char *const schemes[] = {"http://", "https://"};

    if (!origin)
        return false;
    for (size_t i = 0; host && i < ARRAY_LEN(schemes); i++)
        if (strncasecmp(origin, schemes[i], strlen(schemes[i])) == 0 &&
            strcasecmp(origin + strlen(schemes[i]), host) == 0)
            return false;
    return true;
}

/* Cuts "name:8080" and "name." down to the name; false when there is something else behind it. */
static bool cut_port(char *host)
{
    char *colon = strchr(host, ':');
    uint64_t port;
    size_t n;

    if (colon && parse_u64(colon + 1, UINT16_MAX, &port) < 0)
        return false;
    if (colon)
        *colon = '\0';
    n = strlen(host);
    if (n > 1 && host[n - 1] == '.')
        host[n - 1] = '\0';
    return true;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (names[i] && strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

bool browser_asks_for_stranger(const char *host, const char *const *names, size_t count)
{
    char name[HOST_MAX];
    size_t n = host ? strlen(host) : 0;
    uint32_t addr;

    if (!host || host[0] == '[') /* an IPv6 address: names have no brackets */
        return false;
    if (n >= sizeof name)
        return true;
    memcpy(name, host, n + 1);
    if (!cut_port(name))
        return true;
    /* Addresses last: what is none is put into words. */
    return strcasecmp(name, "localhost") != 0 && !is_one_of(name, names, count) &&
           ip4_parse(name, &addr) != 0;
}
