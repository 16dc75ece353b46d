/* An HTTP/1.1 server in the daemon's loop, plain or over TLS: a table of routes, handlers that
 * answer at once or later, and event streams. The only user of libmicrohttpd (epoll mode, no
 * threads, TCP_NODELAY).
 *
 * What every server here answers by itself, as RFC 9457 problems: unknown path 404, wrong method
 * 405 with Allow, body over the limit 413, headers over theirs 431, too many large bodies at once
 * 503, a target that is no path 400. HEAD is answered where GET
 * is. OPTIONS gets 204 with Allow. What is no HTTP is answered by libmicrohttpd, or cut off.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/tls/trust.h"

#define HTTP_BODY_MAX (1024 * 1024)
/* All bodies above HTTP_SMALL_BODY_MAX together, while they come in and are handled. */
#define HTTP_LARGE_BODIES_MAX (4 * 1024 * 1024)
#define HTTP_SMALL_BODY_MAX 4096
#define HTTP_HEAD_MAX 8192 /* the target, and the names and values of headers */
#define HTTP_HEADERS_MAX 64

struct http_server;
struct http_request; /* one exchange; lives until it is answered or its client has gone */

/* Handlers answer with exactly one http_reply_*() or http_stream_*() call, now or later. One that
 * answers later gives http_request_on_gone(), and must not touch the request after that was called.
 */
typedef void (*http_handler_fn)(struct http_request *request, void *data);

struct http_route {
    const char *method;  /* "GET", "POST", "PUT", "DELETE" */
    const char *pattern; /* "/api/nodes/:id/heartbeat"; ":name" takes one non-empty segment */
    http_handler_fn fn;
};

struct http_tls_config {
    const char *cert_file; /* PEM: the server's certificate, then those above it */
    const char *key_file;  /* PEM */
};

struct http_server_config {
    uint32_t addr;                   /* host order */
    uint16_t port;                   /* 0: any; see http_server_port() */
    const struct http_route *routes; /* borrowed; outlives the server */
    size_t route_count;
    const struct http_tls_config *tls; /* read, not kept; NULL: plain HTTP */
    void *data;                        /* handed to every handler */
    unsigned int max_connections; /* 0: 1024. Streams count. One more displaces the one idle for
                                   * longest of the greediest address, of those that nobody has
                                   * vouched for; if there is none it is refused. Fewer, and fewer
                                   * per address, when the limit of open files leaves no room. */
    unsigned int max_per_address; /* 0: no limit of its own. One more displaces one of its own. */
    unsigned int idle_timeout_s;  /* 0: 30. Also the time for a request's body, and the time in
                                   * which a client must take a good part of its answer. A first
                                   * request line has 10 seconds, headers have 5, or less. */
    /* Called for each finished exchange, for metrics; may be NULL. route is an index into routes,
     * or -1 when none matched. */
    void (*on_done)(void *data, int route, unsigned int status);
    /* What a web page has made a browser send is refused (browser.h): what comes from another
     * origin, and, on a loopback address, what asks for a name that is not this host's. */
    bool is_for_programs;
};

int http_server_new(struct loop *loop, const struct http_server_config *config,
                    struct http_server **ret_server);
/* Ends all exchanges (on_gone is called for the open ones, gone for the streams). Not from within a
 * handler. */
void http_server_free(struct http_server *server);
uint16_t http_server_port(const struct http_server *server);
/* Connections that were told to go, since the start, because others came. */
uint64_t http_server_displaced(const struct http_server *server);
/* Connections from now on get this certificate; those that are open keep theirs. When it cannot be
 * read nothing changes: -errno with a text. Only for a server that has one. */
int http_server_set_tls(struct http_server *server, const struct http_tls_config *config);
/* Stops taking connections; those that are open get "Connection: close" with their next answer.
 * Streams go on until the server is freed or they end. */
void http_server_drain(struct http_server *server);

/* ---- what was asked ------------------------------------------------------------------------ */

/* The index-th ":name" of the pattern, percent-decoded; never NULL for an index that exists. */
const char *http_request_param(const struct http_request *request, size_t index);
/* A header's value or NULL; the name's case does not matter. */
const char *http_request_header(const struct http_request *request, const char *name);
/* A query argument or NULL. */
const char *http_request_query(const struct http_request *request, const char *name);
/* The whole body; NUL-terminated (not counted). */
const char *http_request_body(const struct http_request *request, size_t *ret_n);
/* The client's address, host order. */
uint32_t http_request_client(const struct http_request *request);
/* Whether the client is on this host: it came from a loopback address, or from the very address
 * that it came to (which the kernel lets nobody else do). */
bool http_request_is_local(const struct http_request *request);

/* Which of the server's routes it took. */
size_t http_request_route(const struct http_request *request);

/* The chain that the client showed, its own certificate first, borrowed until the request ends;
 * returns how many, 0 for none, or too many. The client has proved that it holds the key of the
 * first; nothing else is checked. */
size_t http_request_certificates(const struct http_request *request,
                                 struct tls_der ret_chain[static TLS_CHAIN_MAX]);

/* A place for what was found out about the request's connection and holds for its next requests;
 * NULL at first. free_fn (may be NULL) is called when the connection ends or the note is replaced.
 */
void *http_connection_note(const struct http_request *request);
void http_connection_set_note(struct http_request *request, void *note,
                              void (*free_fn)(void *note));

/* Who it is, is known, and he may be here: others that come have to find room elsewhere. */
void http_connection_vouch(struct http_request *request);

/* Called when nobody waits for the answer any more: its server ends. (A client that goes away
 * meanwhile is not noticed; answering it is harmless.) Not called after the answer. */
typedef void (*http_gone_fn)(void *data);
void http_request_on_gone(struct http_request *request, http_gone_fn fn, void *data);

/* ---- answers ------------------------------------------------------------------------------- */

/* A text whose bytes several answers share; counted references. */
struct http_body;
struct http_body *http_body_new(const void *bytes, size_t n); /* copies */
struct http_body *http_body_take(char *bytes, size_t n);      /* takes over, frees */
struct http_body *http_body_ref(struct http_body *body);
void http_body_unref(struct http_body *body);
const char *http_body_bytes(const struct http_body *body);
size_t http_body_len(const struct http_body *body);

/* Before the answer; both are copied. A value with a line end in it is left out. */
void http_reply_header(struct http_request *request, const char *name, const char *value);

void http_reply_json(struct http_request *request, unsigned int status, const char *json);
void http_reply_text(struct http_request *request, unsigned int status, const char *content_type,
                     const char *text);
void http_reply_body(struct http_request *request, unsigned int status, const char *content_type,
                     struct http_body *body); /* takes its own reference */
void http_reply_empty(struct http_request *request, unsigned int status);
/* RFC 9457: {"type":"about:blank","title":…,"status":…,"detail":…}; detail printf-like. The title
 * is the status's reason phrase. */
void http_reply_problem(struct http_request *request, unsigned int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* One that programs tell apart from others of its status: by code, a word; NULL: none. */
void http_reply_problem_coded(struct http_request *request, unsigned int status, const char *code,
                              const char *detail);
/* One that has been put together: problem_to_json()'s members, and others besides. */
void http_reply_problem_json(struct http_request *request, unsigned int status, const char *json);

/* ---- event streams ------------------------------------------------------------------------- */

/* An endless answer that pulls: whenever the client can take more, next is asked for the next
 * piece. It returns a body (whose reference the stream takes over), or NULL: nothing now, ask again
 * after http_stream_wake(). *ret_end set: no more, close the connection. So nothing is buffered for
 * a slow client but the piece it is reading; a client that takes nothing for idle_timeout_s is cut
 * off. */
typedef struct http_body *(*http_stream_next_fn)(void *data, bool *ret_end);

struct http_stream;
/* Answers the request; gone is called when the stream is over, whoever ended it: a client that
 * closes is noticed at once. Neither callback is called from within this. */
struct http_stream *http_stream_start(struct http_request *request, const char *content_type,
                                      http_stream_next_fn next, http_gone_fn gone, void *data);
/* Ends it from our side: what is on its way is dropped, gone is called later, from the loop. */
void http_stream_abort(struct http_stream *stream);
/* There is something to ask for; next is called later, from the loop. Cheap when the stream is
 * already awake. Not after gone. */
void http_stream_wake(struct http_stream *stream);
