/* RFC 9457 problem texts. */
#include "lib/http/problem.h"

#include <microhttpd.h>
#include <string.h>

#include "lib/base/parse.h"
#include "lib/base/strbuf.h"

/* Length of the UTF-8 sequence at s, 0 when there is none. */
static size_t utf8_length(const char *s, size_t n)
{
    for (size_t len = 1; len <= 4 && len <= n; len++)
        if (parse_is_utf8(s, len))
            return len;
    return 0;
}

static char *to_utf8(const char *text)
{
    AUTO_STRBUF struct strbuf out = {0};
    size_t n = strlen(text), len;

    for (size_t i = 0; i<n; i += len> 0 ? len : 1) {
        len = utf8_length(text + i, n - i);
        if (len > 0)
            strbuf_add(&out, text + i, len);
        else
            strbuf_adds(&out, "\xef\xbf\xbd");
    }
    return strbuf_take(&out);
}

char *problem_to_json(unsigned int status, const char *code, const char *detail)
{
    AUTO_STRBUF struct strbuf out = {0};
    AUTO_FREE char *clean = to_utf8(detail);

    strbuf_adds(&out, "{\"type\":\"about:blank\",\"title\":");
    strbuf_add_json(&out, MHD_get_reason_phrase_for(status));
    strbuf_addf(&out, ",\"status\":%u,\"detail\":", status);
    strbuf_add_json(&out, clean);
    if (code)
        strbuf_addf(&out, ",\"code\":\"%s\"", code);
    strbuf_adds(&out, "}");
    return strbuf_take(&out);
}
