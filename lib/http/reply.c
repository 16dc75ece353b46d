/* What handlers may ask of a request, and the ways to answer it. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/log.h"
#include "lib/http/problem.h"
#include "lib/http/query.h"
#include "lib/http/server_internal.h"

#define DETAIL_SIZE 1024

/* ---- what was asked -------------------------------------------------------------------------- */

const char *http_request_param(const struct http_request *request, size_t index)
{
    assert(index < request->param_count);
    return request->param_text + request->param_offsets[index];
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    return query_find(request->query, name);
}

const char *http_request_body(const struct http_request *request, size_t *ret_n)
{
    *ret_n = request->body.len;
    return request->body.len > 0 ? request->body.data : "";
}

uint32_t http_request_client(const struct http_request *request)
{
    return http_conn_of(request->mhd)->addr;
}

bool http_request_is_local(const struct http_request *request)
{
    const struct http_conn *conn = http_conn_of(request->mhd);
    struct sockaddr_in own = {0};
    socklen_t size = sizeof own;

    if (ip4_is_loopback(conn->addr))
        return true;
    return getsockname(conn->fd, (struct sockaddr *)&own, &size) == 0 &&
           own.sin_family == AF_INET && ntohl(own.sin_addr.s_addr) == conn->addr;
}

size_t http_request_certificates(const struct http_request *request,
                                 struct tls_der ret_chain[static TLS_CHAIN_MAX])
{
    return http_tls_chain(http_conn_of(request->mhd), ret_chain);
}

size_t http_request_route(const struct http_request *request)
{
    return (size_t)request->route;
}

void http_connection_vouch(struct http_request *request)
{
    http_conn_vouch(http_conn_of(request->mhd));
}

void *http_connection_note(const struct http_request *request)
{
    return http_conn_of(request->mhd)->note;
}

void http_connection_set_note(struct http_request *request, void *note, void (*free_fn)(void *note))
{
    struct http_conn *conn = http_conn_of(request->mhd);

    if (conn->free_note)
        conn->free_note(conn->note);
    conn->note = note;
    conn->free_note = free_fn;
}

void http_request_on_gone(struct http_request *request, http_gone_fn fn, void *data)
{
    request->gone = fn;
    request->gone_data = data;
}

/* ---- heads as bytes -------------------------------------------------------------------------- */

static void add_date(struct strbuf *out)
{
    time_t now = time(NULL);
    char text[64];
    struct tm utc;

    if (gmtime_r(&now, &utc) &&
        strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc) > 0)
        strbuf_adds(out, text);
}

void http_head_write(const struct http_request *request, unsigned int status,
                     const char *content_type, ssize_t body_len, struct strbuf *out)
{
    strbuf_addf(out, "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Type: %s\r\n", status,
                MHD_get_reason_phrase_for(status), content_type);
    add_date(out);
    if (body_len >= 0)
        strbuf_addf(out, "Content-Length: %zd\r\n", body_len);
    else if (!request->is_http10)
        strbuf_adds(out, "Transfer-Encoding: chunked\r\n");
    strbuf_add(out, request->headers.data, request->headers.len);
    strbuf_adds(out, "\r\n");
}

/* ---- answers --------------------------------------------------------------------------------- */

void http_request_answered(struct http_request *request, unsigned int status)
{
    bool is_waiting = request->state == HTTP_REQUEST_WAITING;

    request->state = HTTP_REQUEST_ANSWERED;
    request->status = status;
    ring_remove(&request->ring);
    if (request->socket == HTTP_SOCKET_LIBRARYS)
        http_conn_sends(http_conn_of(request->mhd));
    if (!is_waiting || request->socket == HTTP_SOCKET_BORROWED)
        return;
    MHD_resume_connection(request->mhd);
    http_server_kick(request->server);
}

void http_request_refuse(struct http_request *request, unsigned int status, const char *detail)
{
    AUTO_FREE char *json = problem_to_json(status, NULL, detail);
    AUTO_STRBUF struct strbuf out = {0};
    struct http_wire wire;

    http_head_write(request, status, PROBLEM_TYPE, (ssize_t)strlen(json), &out);
    strbuf_adds(&out, json);
    if (http_wire_take(request, &wire) == 0)
        http_linger_start(&wire, out.data, out.len);
    else
        log_debug("request refused without an answer", LOG_ERR());
    http_request_answered(request, status);
}

/* Values go into the head as they are, so they cannot have line ends. */
static bool is_header_text(const char *text)
{
    return !strpbrk(text, "\r\n");
}

void http_reply_header(struct http_request *request, const char *name, const char *value)
{
    assert(is_header_text(name) && !strchr(name, ':'));
    if (!is_header_text(value)) {
        log_warn("a header with a line end in its value was left out", LOG_S("name", name));
        return;
    }
    strbuf_adds(&request->headers, name);
    strbuf_adds(&request->headers, ": ");
    strbuf_adds(&request->headers, value);
    strbuf_adds(&request->headers, "\r\n");
}

/* Takes request->headers apart again. */
static void add_headers(struct http_request *request, struct MHD_Response *response)
{
    char *line = request->headers.data, *colon, *end;

    while (line && *line) {
        colon = strchr(line, ':');
        end = strchr(line, '\r');
        *colon = '\0';
        *end = '\0';
        (void)MHD_add_response_header(response, line, colon + 2);
        line = end + 2;
    }
    strbuf_clear(&request->headers);
}

static void queue(struct http_request *request, unsigned int status, struct MHD_Response *response)
{
    assert(request->state == HTTP_REQUEST_HANDLING || request->state == HTTP_REQUEST_WAITING);
    if (MHD_queue_response(request->mhd, status, response) == MHD_NO)
        log_debug("an answer was not taken; the connection will be closed",
                  LOG_U("status", status));
    http_request_answered(request, status);
}

/* Takes the response over. */
static void reply(struct http_request *request, unsigned int status, const char *content_type,
                  struct MHD_Response *response)
{
    if (!response)
        mem_exhausted(0);
    if (content_type)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    if (request->server->is_draining)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    add_headers(request, response);
    queue(request, status, response);
    MHD_destroy_response(response);
}

static struct MHD_Response *response_copy(const char *text)
{
    char *bytes = mem_strdup(text);

    return MHD_create_response_from_buffer(strlen(bytes), bytes, MHD_RESPMEM_MUST_FREE);
}

void http_reply_text(struct http_request *request, unsigned int status, const char *content_type,
                     const char *text)
{
    reply(request, status, content_type, response_copy(text));
}

void http_reply_json(struct http_request *request, unsigned int status, const char *json)
{
    http_reply_text(request, status, "application/json", json);
}

/* Nothing in the answer is about this request. */
static bool is_for_anybody(const struct http_request *request)
{
    return request->headers.len == 0 && !request->server->is_draining;
}

void http_reply_body(struct http_request *request, unsigned int status, const char *content_type,
                     struct http_body *body)
{
    if (is_for_anybody(request))
        queue(request, status, http_body_response(body, content_type));
    else
        reply(request, status, NULL, http_body_response_new(body, content_type));
}

void http_reply_empty(struct http_request *request, unsigned int status)
{
    reply(request, status, NULL, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
}

void http_reply_problem_coded(struct http_request *request, unsigned int status, const char *code,
                              const char *detail)
{
    AUTO_FREE char *json = problem_to_json(status, code, detail);

    http_reply_problem_json(request, status, json);
}

void http_reply_problem_json(struct http_request *request, unsigned int status, const char *json)
{
    char *copy = mem_strdup(json);

    reply(request, status, PROBLEM_TYPE,
          MHD_create_response_from_buffer(strlen(copy), copy, MHD_RESPMEM_MUST_FREE));
}

void http_reply_problem(struct http_request *request, unsigned int status, const char *fmt, ...)
{
    char detail[DETAIL_SIZE];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    http_reply_problem_coded(request, status, NULL, detail);
}
