/* What calls to the agent and to the control plane share: one question over HTTP, and the words for
 * what comes of it. */
#pragma once

#include <stdbool.h>

#include "cli/edge.h"
#include "lib/http/client.h"

struct question {
    const char *method;
    const char *path;
    const char *connect_to;     /* the address that has the host; NULL: that is looked up */
    const char *const *headers; /* NULL: none */
    const char *json;           /* NULL: no body */
    int64_t timeout_ms;         /* 0: what a short answer may take */
};

/* config may be NULL. -errno when there was no answer. */
int question_ask(const struct question *question, const char *base,
                 const struct http_client_config *config, struct http_reply *ret_reply);

static inline bool reply_is_success(const struct http_reply *reply)
{
    return reply->status >= 200 && reply->status <= 299;
}

/* What the server at base said about a failure: the detail of a problem document (RFC 9457).
 * -ENOENT for 404, else -EREMOTEIO. */
int reply_fail(const struct http_reply *reply, const char *base, const char *what);
/* The JSON of a success; ret_body may be NULL. */
int reply_take(const struct http_reply *reply, const char *base, const char *what,
               json_t **ret_body);
/* "WHAT: latest failure; ADVICE". Returns r. */
int edge_fail(int r, const char *what, const char *advice);
