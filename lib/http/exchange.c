/* libmicrohttpd's callbacks for one exchange: the request line, the headers, the body, the end.
 *
 *     http_exchange_start   the request line was read: the path is matched while it is still raw
 *     http_exchange_go_on   headers; then each piece of the body; then, without a piece, its end.
 *                           Once more when an exchange that was suspended goes on.
 *     http_exchange_end     answered, or not
 */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/http/browser.h"
#include "lib/http/query.h"
#include "lib/http/server_internal.h"

static struct http_request *request_alloc(const struct route_match *match, const char *query)
{
    size_t text_size = query_size(query), used = 0;
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
    query_decode(query, request->param_text + used);
    request->query = request->param_text + used;
    return request;
}

/* libmicrohttpd is to find no arguments in the query: it loses track of the request when they fill
 * the connection's memory, which some hundred do. It lets its caller see the target before it cuts
 * it to pieces, in place. */
static void hide(const char *query)
{
    *(char *)(uintptr_t)query = '\0';
}

void *http_exchange_start(void *data, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *server = data;
    struct route_match match = {0};
    enum route_outcome outcome = route_match(server->routes, target ? target : "", &match);
    const char *query = target ? query_of(target) : NULL;
    struct http_request *request = request_alloc(&match, query ? query : "");
    struct http_conn *conn = http_conn_of(mhd);

    request->server = server;
    request->mhd = mhd;
    request->target = outcome;
    request->route = -1;
    request->raw_target = target;
    request->raw_target_len = target ? strlen(target) : 0;
    request->has_blank_target = target && strchr(target, ' ');
    if (query)
        hide(query);
    ring_init(&request->ring);
    http_exchange_forget(conn);
    conn->request = request;
    http_conn_expect_headers(conn);
    return request;
}

/* Whether libmicrohttpd is to go on with the connection, now or after it was suspended. */
static enum MHD_Result let_go(const struct http_request *request)
{
    return request->socket == HTTP_SOCKET_DUPLICATED ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_headers(struct http_request *request, const char *method,
                                  const char *version)
{
    const char *why = NULL;
    unsigned int status;

    request->state = HTTP_REQUEST_BODY;
    request->is_head = strcmp(method, "HEAD") == 0;
    request->is_http10 = strcmp(version, "HTTP/1.0") == 0;
    if (request->target == ROUTE_FOUND)
        request->route = route_of_method(request->resource, method);
    status = http_head_judge(request, method, version, &why);
    if (status != 0) {
        http_request_refuse(request, status, why);
        return let_go(request);
    }
    http_conn_expect(http_conn_of(request->mhd));
    return MHD_YES;
}

/* Long bodies share a room, so that many at once do not take all memory; short ones, which are all
 * that nodes send, always find theirs. */
static bool has_room_for_body(struct http_request *request, size_t n)
{
    struct http_server *server = request->server;
    size_t len = request->body.len + n;
    size_t more = len > HTTP_SMALL_BODY_MAX ? len - request->large_body_bytes : 0;

    if (more > HTTP_LARGE_BODIES_MAX - server->large_body_bytes)
        return false;
    server->large_body_bytes += more;
    request->large_body_bytes += more;
    return true;
}

/* The bodies of requests that will be answered 404 and the like are read all the same: the
 * connection can go on then. */
static enum MHD_Result on_body(struct http_request *request, const char *bytes, size_t *n)
{
    if (*n > HTTP_BODY_MAX - request->body.len) {
        http_request_refuse(request, 413, "the body is longer than 1 MiB");
        return let_go(request);
    }
    if (!has_room_for_body(request, *n)) {
        http_reply_header(request, "Retry-After", "10");
        http_request_refuse(request, 503, "too many long bodies at once; try again");
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

/* Answered then. */
static bool is_of_page(struct http_request *request)
{
    const struct http_server *server = request->server;
    const char *host = http_request_header(request, "Host");
    const char *const names[] = {server->hostname};

    if (!server->config.is_for_programs)
        return false;
    if (browser_is_from_other_page(http_request_header(request, "Origin"), host)) {
        http_reply_problem(request, 403, "web pages of another origin may not ask this");
        return true;
    }
    if (!ip4_is_loopback(server->config.addr) ||
        !browser_asks_for_stranger(host, names, ARRAY_LEN(names)))
        return false;
    http_reply_problem(request, 421,
                       "the Host asked for is not this one; ask by an address, as localhost, or by "
                       "the host's name");
    return true;
}

static void dispatch(struct http_request *request, const char *method)
{
    struct http_server *server = request->server;

    if (is_of_page(request))
        return;

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
    request->server->large_body_bytes -= request->large_body_bytes;
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
