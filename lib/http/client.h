/* HTTP requests from a daemon's loop (asynchronous) or from a tool (synchronous). The only user of
 * libcurl (multi interface). No redirects, no proxies from the environment, http and https only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/loop.h"

/* Keeps connections between requests. Callbacks come from the loop, never from within a call of
 * these functions; they may start and cancel calls, their own too, and free the client. */
struct http_client;

/* Of TLS, in PEM; copied. The files are read whenever a connection is made. */
struct http_client_config {
    const char *ca_file;   /* whom to believe; NULL: the system's */
    const char *cert_file; /* what to show when asked; NULL: nothing */
    const char *key_file;
};

int http_client_new(struct loop *loop, const struct http_client_config *config,
                    struct http_client **ret_client);
/* Other files, or other ones of the same names: calls that start from now on make new connections.
 * What is under way ends on the connection that it has. */
int http_client_renew(struct http_client *client, const struct http_client_config *config);
/* Ends all calls; their callbacks are not called. */
void http_client_free(struct http_client *client);

struct http_call; /* one request under way */

struct http_response {
    int error; /* 0: the server answered; else a positive errno, and detail says why. EKEYREJECTED:
                * it shows a certificate of a CA that is not known; EKEYEXPIRED: one that is not
                * valid now, by this host's clock; EBADMSG: it was not asked, for a file of the
                * config is missing or damaged */
    unsigned int status; /* when it answered */
    const char *body; /* NUL-terminated; "" when there is none. Borrowed, until the callback ends */
    size_t body_len;
    const char
        *detail;      /* error: "GET http://10.0.0.1:8080/api/nodes: connect: Connection refused" */
    const char *etag; /* "" when there is none */
    int64_t retry_after_s; /* that the server asks to wait before the next try; 0: it does not */
};

/* Called once, unless the call was cancelled. The call is freed after. */
typedef void (*http_done_fn)(const struct http_response *response, void *data);
/* A streamed call gets the body as it comes instead of at the end; false ends the call with
 * ECANCELED. Only for answers with status 200; others arrive whole in the response. */
typedef bool (*http_chunk_fn)(const char *bytes, size_t n, void *data);

/* https: which connection a call takes. A server has TLS 1.2 or later, a certificate of a CA that
 * is known, for the name in the URL, and no node's (lib/tls/server.h), or it is sent nothing. */
enum http_connection {
    HTTP_KEPT,      /* one from before, or a new one, which is kept */
    HTTP_FRESH,     /* a new one, which is not kept */
    HTTP_UNVERIFIED /* the same, and nobody looks at what the server shows, nor is it shown
                     * anything: to GET what is public. It is an error to have headers of one's own
                     * or a body
                     */
};

struct http_request_spec {
    const char *method;
    const char *url;
    const char *connect_to;     /* the address that has the URL's host; NULL: that is looked up */
    const char *body;           /* JSON, or NULL */
    const char *const *headers; /* "Name: value", ended by NULL; or NULL */
    int64_t timeout_ms;         /* of the whole call; 0: none for streams, else 30 s */
    int64_t stall_timeout_ms;   /* streams: give up when no byte came for this long; 0: never */
    size_t body_max;            /* 0: 16 MiB; a longer answer is EFBIG */
    enum http_connection connection;
    http_done_fn done;
    http_chunk_fn chunk; /* NULL: not streamed */
    void *data;
};

int http_client_start(struct http_client *client, const struct http_request_spec *spec,
                      struct http_call **ret_call);
/* No callback any more; frees the call. */
void http_call_cancel(struct http_call *call);

/* For tools: waits for the answer. */
struct http_reply {
    unsigned int status;
    char *body; /* owned, NUL-terminated */
    size_t body_len;
    bool was_asked; /* also when there was no answer: something of the request went out */
};
/* done, chunk and data of spec are not used. -errno when there was no answer. */
int http_fetch(const struct http_client_config *config, const struct http_request_spec *spec,
               struct http_reply *ret_reply);
void http_reply_deinit(struct http_reply *reply);

/* "http://HOST:PORT" without a path or with "/": 0, or -EINVAL with a text that says what is wrong.
 * ret_base gets it without the final slash; owned by the caller. */
int http_base_url_parse(const char *text, char **ret_base);
/* Whether it is https. */
bool http_url_is_tls(const char *url);
