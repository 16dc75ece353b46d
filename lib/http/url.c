/* Base URLs of servers, as people give them on command lines. */
#include <string.h>
#include <strings.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/http/client.h"

static const char *skip_scheme(const char *text)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            return text + strlen(schemes[i]);
    return NULL;
}

static int check_authority(char *authority)
{
    char *colon = strchr(authority, ':');
    uint64_t port;
    int r;

    if (colon) {
        r = parse_u64(colon + 1, 65535, &port);
        if (r < 0)
            return err_wrap(r, "port");
        if (port == 0)
            return err_fail(EINVAL, "port 0 cannot be connected to");
        *colon = '\0';
    }
    return parse_hostname(authority);
}

int http_base_url_parse(const char *text, char **ret_base)
{
    const char *host = skip_scheme(text);
    AUTO_FREE char *authority = NULL;
    AUTO_FREE char *base = NULL;
    size_t n;
    int r;

    if (!host)
        return err_fail(EINVAL, "'%.64s' is not a URL such as http://192.168.1.10:8080", text);
    n = strcspn(host, "/");
    if (host[n] != '\0' && host[n + 1] != '\0')
        return err_fail(EINVAL, "'%.64s' has a path; give http://HOST:PORT only", text);
    authority = mem_printf("%.*s", (int)n, host);
    r = check_authority(authority);
    if (r < 0)
        return err_wrap(r, "'%.64s' is not a URL such as http://192.168.1.10:8080", text);
    base = mem_printf("%.*s", (int)((size_t)(host - text) + n), text);
    *ret_base = TAKE_PTR(base);
    return 0;
}

bool http_url_is_tls(const char *url)
{
    return strncasecmp(url, "https:", strlen("https:")) == 0;
}
