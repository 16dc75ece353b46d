/* What the client's two ways to call share: one request as libcurl's easy handle, its answer as it
 * comes in, and the words for what can go wrong. */
#pragma once

#include <curl/curl.h>

#include "lib/base/strbuf.h"
#include "lib/http/client.h"
#include "lib/http/ring.h"

struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    char *what; /* "GET http://10.0.0.1:8080/api/nodes", for error texts */
    int64_t timeout_ms;
    size_t body_max;
    struct strbuf body;
    struct ring ready;       /* in ready_list, when that is set and bytes have come */
    struct ring *ready_list; /* borrowed */
    char etag[128];
    char curl_text[CURL_ERROR_SIZE];
    char *ca_file; /* for error texts; NULL: the system's */
    char *refusal; /* why the server is not sent anything though libcurl would; NULL: it is */
};

/* libcurl's options return codes of which only "out of memory" and "not built in" can be; both are
 * gathered and reported once. */
#define SET(t_, option_, value_)                                        \
    do {                                                                \
        CURLcode code_ = curl_easy_setopt((t_)->easy, option_, value_); \
        if (code_ != CURLE_OK)                                          \
            return code_;                                               \
    } while (0)

/* Fills a struct whose address stays; -EINVAL with a text. Nothing of config and spec is kept. */
int transfer_init(struct transfer *transfer, const struct http_client_config *config,
                  const struct http_request_spec *spec);
void transfer_deinit(struct transfer *transfer);

/* Part of transfer_init(); config may be NULL. */
CURLcode transfer_set_tls(struct transfer *transfer, const struct http_client_config *config,
                          const struct http_request_spec *spec);
/* Part of transfer_error(): 0 when the code is not about certificates. */
int transfer_tls_error(struct transfer *transfer, CURLcode code);

/* The status of the answer; 0 when there is none yet. */
unsigned int transfer_status(const struct transfer *transfer);
/* Whether anything of the request went out. */
bool transfer_was_asked(const struct transfer *transfer);
/* What its Retry-After says, at most a day; 0: nothing. */
int64_t transfer_retry_after_s(const struct transfer *transfer);
/* What came of it: 0, or a positive errno and the thread's error text. */
int transfer_error(struct transfer *transfer, CURLcode code);
