/* Which heads of requests are refused: what is longer than it may be, and what a proxy before us
 * may have read in another way, and so have let through what it was to keep out (RFC 9112
 * section 11.2).
 *
 * libmicrohttpd reads much that nobody should have sent. It parses in place, and puts NULs where
 * names, values and lines end:
 *
 *     GET /livez HTTP/1.1 CR LF Host :   x CR LF X : y CR LF CR LF
 *        0      0         0  0       0      0  0    0   0  0  0  0
 *
 * So between a value and the next name stand two NULs, when the line was ended by CR LF; one by a
 * bare LF; and something else when the value had a NUL in it, or went on in the next line (then it
 * was moved elsewhere). After the last value come four bytes, of which the library tells only how
 * many it took: it ends the head at a line without a name, and would read the headers after it as
 * the next request.
 */
#include <string.h>
#include <strings.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/http/server_internal.h"

#define BADLY_FRAMED "a body is framed by one Content-Length, or chunked"
#define TOO_LONG "the body is longer than 1 MiB"

struct reading {
    const char *end; /* of what was read before */
    unsigned int hosts, lengths, codings, headers;
    size_t bytes;
    bool is_odd; /* nobody should have sent it */
};

/* A text of which each byte was looked at once: a request has many headers, and the control plane
 * has many requests. */
struct scan {
    size_t length;
    bool is_right;
};

/* RFC 9110 section 5.6.2: !#$%&'*+-.^_`|~ digits and letters. A bit for each byte below 128. */
static bool is_token_char(unsigned char c)
{
    static const uint64_t bits[] = {0x03ff6cfa00000000, 0x57ffffffc7fffffe};

    return c < 128 && bits[c / 64] >> c % 64 & 1;
}

static struct scan scan_token(const char *text)
{
    struct scan scan = {.is_right = *text != '\0'};

    for (; text[scan.length]; scan.length++)
        scan.is_right &= is_token_char((unsigned char)text[scan.length]);
    return scan;
}

/* Text without control bytes but tabs (RFC 9110 section 5.5). */
static struct scan scan_value(const char *text)
{
    struct scan scan = {.is_right = true};

    for (; text[scan.length]; scan.length++) {
        unsigned char c = (unsigned char)text[scan.length];

        scan.is_right &= (c >= ' ' || c == '\t') && c != 0x7f;
    }
    return scan;
}

/* From a version on the library refuses by itself what is looked for here (server.c asks it to),
 * and is not to be relied on to parse in place. */
static bool is_line_end(const char *end)
{
    return HTTP_LIBRARY_IS_STRICT || (end[0] == '\0' && end[1] == '\0');
}

static bool is_next_line(const char *end, const char *name)
{
    return HTTP_LIBRARY_IS_STRICT || (is_line_end(end) && name == end + 2);
}

#define IS_NAMED(name, scan, literal) \
    ((scan).length == sizeof(literal) - 1 && strcasecmp(name, literal) == 0)

static enum MHD_Result on_header(void *data, enum MHD_ValueKind kind, const char *name,
                                 size_t name_len, const char *value, size_t value_len)
{
    struct reading *r = data;

    struct scan of_name = scan_token(name), of_value;

    value = value ? value : "";
    of_value = scan_value(value);
    r->headers++;
    r->bytes += of_name.length + of_value.length;
    r->hosts += IS_NAMED(name, of_name, "Host");
    r->lengths += IS_NAMED(name, of_name, "Content-Length");
    r->codings += IS_NAMED(name, of_name, "Transfer-Encoding");
    r->is_odd |= !of_name.is_right || !of_value.is_right || !is_next_line(r->end, name);
    r->end = value + of_value.length;
    return MHD_YES;
}

/* CR LF CR LF after the last value, and that is where the library saw the end. */
static bool is_head_end(const struct http_request *request, const char *method, const char *end)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    return HTTP_LIBRARY_IS_STRICT ||
           (is_line_end(end) && info && method + info->header_size == end + 4);
}

/* One blank between method, target and version, and none in them. */
static bool is_request_line(const struct http_request *request, const char *method,
                            const char *version)
{
    return scan_token(method).is_right && !request->has_blank_target &&
           (HTTP_LIBRARY_IS_STRICT ||
            (method + strlen(method) + 1 == request->raw_target &&
             request->raw_target + request->raw_target_len + 1 == version));
}

static bool is_over_limit(const char *content_length)
{
    uint64_t n;

    content_length += strspn(content_length, "0");
    return *content_length != '\0' && parse_u64(content_length, HTTP_BODY_MAX, &n) < 0;
}

/* The library looks at the first of several lengths, and does not refuse the two ways to frame a
 * body at once (RFC 9112 section 6.3), nor codings that it cannot undo. */
static bool is_well_framed(const struct reading *r, const char *length, const char *coding)
{
    return r->lengths <= 1 && r->codings <= 1 &&
           (!coding || (!length && strcasecmp(coding, "chunked") == 0));
}

/* RFC 9112 section 3.2. */
static bool has_host(const struct reading *r, const struct http_request *request)
{
    return r->hosts == 1 || (r->hosts == 0 && request->is_http10);
}

unsigned int http_head_judge(const struct http_request *request, const char *method,
                             const char *version, const char **ret_why)
{
    const char *coding = http_request_header(request, "Transfer-Encoding");
    const char *length = http_request_header(request, "Content-Length");
    struct reading r = {.bytes = request->raw_target_len, .end = version + strlen(version)};

    (void)MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, on_header, &r);
    if (r.headers > HTTP_HEADERS_MAX || r.bytes > HTTP_HEAD_MAX) {
        *ret_why = "the headers are more than 64, or longer than 8 KiB";
        return 431;
    }
    if (r.is_odd || !is_head_end(request, method, r.end) ||
        !is_request_line(request, method, version)) {
        *ret_why = "a line of the head is none: a control byte, a blank, or a line end is where "
                   "none may be";
        return 400;
    }
    if (!is_well_framed(&r, length, coding)) {
        *ret_why = BADLY_FRAMED;
        return 400;
    }
    if (!has_host(&r, request)) {
        *ret_why = "a request has one Host";
        return 400;
    }
    if (length && is_over_limit(length)) {
        *ret_why = TOO_LONG;
        return 413;
    }
    return 0;
}

/* ---- what the library refuses before it asks us ---------------------------------------------- */

/* It queues its answer, forgets that it has, and sends the head of it twice. Its log is the only
 * word of it, and comes before the answer: then it has the headers of this one request, and has
 * not shown them to us. */
static struct http_request *find_refused(const struct http_server *server)
{
    const struct ring *head = &server->heading.ring;

    for (const struct ring *at = head->next; at != head; at = at->next) {
        const struct http_conn *conn = CONTAINER_OF(at, struct http_conn, ring);
        struct http_request *request = conn->request;

        if (request && request->state == HTTP_REQUEST_TARGET &&
            MHD_get_connection_info(conn->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE) &&
            http_request_header(request, "Content-Length"))
            return request;
    }
    return NULL;
}

void http_head_heed_library(struct http_server *server, const char *said)
{
    struct http_request *request;
    const char *length;

    if (HTTP_LIBRARY_IS_STRICT || !strstr(said, "Content-Length"))
        return;
    request = find_refused(server);
    if (!request)
        return;
    length = http_request_header(request, "Content-Length");
    if (*length != '\0' && length[strspn(length, "0123456789")] == '\0')
        http_request_refuse(request, 413, TOO_LONG);
    else
        http_request_refuse(request, 400, BADLY_FRAMED);
}
