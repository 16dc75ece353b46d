/* libmicrohttpd's callbacks for one exchange: the request line, the headers, the body, the end.
 *
 *     http_exchange_start   the request line was read: the path is matched while it is still raw
 *     http_exchange_go_on   headers; then each piece of the body; then, without a piece, its end.
 *                           Once more when an exchange that was suspended goes on.
 *     http_exchange_end     answered, or not
 */
#include <string.h>
#include <strings.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/http/server_internal.h"

static struct http_request *request_alloc(const struct route_match *match)
{
    size_t text_size = 0, used = 0;
    struct http_request *request;

    for (size_t i = 0; i < match->param_count; i++)
        text_size += match->params[i].len + 1;
    request = mem_zalloc(sizeof *request + text_size);
    request->resource = match->resource;
    request->param_count = match->param_count;
    for (size_t i = 0; i < match->param_count; i++) {
        request->param_offsets[i] = used;
        used += route_decode(&match->params[i], request->param_text + used);
    }
    return request;
}

void *http_exchange_start(void *data, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *server = data;
    struct route_match match = {0};
    enum route_outcome outcome = route_match(server->routes, target ? target : "", &match);
    struct http_request *request = request_alloc(&match);
    struct http_conn *conn = http_conn_of(mhd);

    request->server = server;
    request->mhd = mhd;
    request->target = outcome;
    request->route = -1;
    ring_init(&request->ring);
    http_exchange_forget(conn);
    conn->request = request;
    http_conn_expect(conn);
    return request;
}

static bool is_over_limit(const char *content_length)
{
    uint64_t n;

    content_length += strspn(content_length, "0");
    return *content_length != '\0' && parse_u64(content_length, HTTP_BODY_MAX, &n) < 0;
}

/* What a proxy before us may have read in another way than libmicrohttpd does, which looks at the
 * first of several. */
struct suspicion {
    unsigned int hosts, lengths, codings;
    bool has_bad_byte;
};

static enum MHD_Result on_header(void *data, enum MHD_ValueKind kind, const char *name,
                                 size_t name_len, const char *value, size_t value_len)
{
    struct suspicion *s = data;

    s->hosts += strcasecmp(name, "Host") == 0;
    s->lengths += strcasecmp(name, "Content-Length") == 0;
    s->codings += strcasecmp(name, "Transfer-Encoding") == 0;
    s->has_bad_byte |= strlen(name) != name_len;
    s->has_bad_byte |= value && (strlen(value) != value_len || strpbrk(value, "\r\n"));
    return MHD_YES;
}

static bool is_ambiguous(const struct http_request *request)
{
    struct suspicion s = {0};

    (void)MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, on_header, &s);
    return s.hosts > 1 || s.lengths > 1 || s.codings > 1 || s.has_bad_byte;
}

/* Requests we will not read on. libmicrohttpd does not refuse the two ways to frame a body at
 * once, by which requests are smuggled past proxies (RFC 9112 section 6.3), nor codings it cannot
 * undo. */
static bool is_refused(struct http_request *request)
{
    const char *coding = http_request_header(request, "Transfer-Encoding");
    const char *length = http_request_header(request, "Content-Length");

    if (is_ambiguous(request)) {
        http_request_refuse(request, 400,
                            "a header that must be alone stands twice, or has a NUL or CR in it");
        return true;
    }
    if (coding && (length || strcasecmp(coding, "chunked") != 0)) {
        http_request_refuse(request, 400, "a body is framed by Content-Length, or chunked");
        return true;
    }
    if (length && is_over_limit(length)) {
        http_request_refuse(request, 413, "the body is longer than 1 MiB");
        return true;
    }
    return false;
}

/* Whether libmicrohttpd is to go on with the connection, now or after it was suspended. */
static enum MHD_Result let_go(const struct http_request *request)
{
    return request->socket == HTTP_SOCKET_DUPLICATED ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_headers(struct http_request *request, const char *method,
                                  const char *version)
{
    request->state = HTTP_REQUEST_BODY;
    request->is_head = strcmp(method, "HEAD") == 0;
    request->is_http10 = strcmp(version, "HTTP/1.0") == 0;
    if (request->target == ROUTE_FOUND)
        request->route = route_of_method(request->resource, method);
    return is_refused(request) ? let_go(request) : MHD_YES;
}

/* The bodies of requests that will be answered 404 and the like are read all the same: the
 * connection can go on then. */
static enum MHD_Result on_body(struct http_request *request, const char *bytes, size_t *n)
{
    if (*n > HTTP_BODY_MAX - request->body.len) {
        http_request_refuse(request, 413, "the body is longer than 1 MiB");
        return let_go(request);
    }
    strbuf_add(&request->body, bytes, *n);
    *n = 0;
    return MHD_YES;
}

static void reply_no_such_method(struct http_request *request, const char *method)
{
    http_reply_header(request, "Allow", route_allow(request->resource));
    if (strcmp(method, "OPTIONS") == 0)
        http_reply_empty(request, 204);
    else
        http_reply_problem(request, 405, "this path takes %s", route_allow(request->resource));
}

static void dispatch(struct http_request *request, const char *method)
{
    struct http_server *server = request->server;

    switch (request->target) {
    case ROUTE_MALFORMED:
        http_reply_problem(request, 400, "the request's target is no valid path");
        return;
    case ROUTE_UNKNOWN:
        http_reply_problem(request, 404, "there is nothing at this path");
        return;
    case ROUTE_FOUND:
        if (request->route < 0)
            reply_no_such_method(request, method);
        else
            server->config.routes[request->route].fn(request, server->config.data);
    }
}

static enum MHD_Result on_complete(struct http_request *request, const char *method)
{
    http_conn_received(http_conn_of(request->mhd));
    request->state = HTTP_REQUEST_HANDLING;
    dispatch(request, method);
    if (request->state == HTTP_REQUEST_HANDLING) {
        request->state = HTTP_REQUEST_WAITING;
        ring_append(&request->server->waiting, &request->ring);
        MHD_suspend_connection(request->mhd);
    }
    return let_go(request);
}

enum MHD_Result http_exchange_go_on(void *server, struct MHD_Connection *mhd, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_n, void **data)
{
    struct http_request *request = *data;

    switch (request->state) {
    case HTTP_REQUEST_TARGET:
        return on_headers(request, method, version);
    case HTTP_REQUEST_BODY:
        if (*upload_n > 0)
            return on_body(request, upload, upload_n);
        return on_complete(request, method);
    case HTTP_REQUEST_HANDLING:
    case HTTP_REQUEST_WAITING:
    case HTTP_REQUEST_ANSWERED:
        /* Only an exchange without an answer that libmicrohttpd can send comes back here. */
        break;
    }
    return MHD_NO;
}

static void request_free(struct http_request *request)
{
    ring_remove(&request->ring);
    strbuf_deinit(&request->body);
    strbuf_deinit(&request->headers);
    free(request);
}

static void call_gone(struct http_request *request)
{
    http_gone_fn gone = request->gone;

    request->gone = NULL;
    if (gone)
        gone(request->gone_data);
}

void http_exchange_abandon(struct http_request *request)
{
    ring_remove(&request->ring);
    call_gone(request);
    MHD_resume_connection(request->mhd);
}

void http_exchange_forget(struct http_conn *conn)
{
    struct http_request *request = TAKE_PTR(conn->request);

    if (!request)
        return;
    call_gone(request);
    request_free(request);
}

void http_exchange_end(void *data, struct MHD_Connection *mhd, void **context,
                       enum MHD_RequestTerminationCode code)
{
    struct http_server *server = data;
    struct http_request *request = *context;

    if (!request)
        return;
    *context = NULL;
    http_conn_of(mhd)->request = NULL;
    if (request->state != HTTP_REQUEST_ANSWERED)
        call_gone(request);
    else if (server->config.on_done && !request->is_streamed)
        server->config.on_done(server->config.data, request->route, request->status);
    if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        http_conn_expect(http_conn_of(mhd));
    request_free(request);
}
