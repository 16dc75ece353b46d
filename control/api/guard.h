/* The API's front door: who asks, may he do that, and then the route's handler.
 *
 * Over TLS a client is known by its certificate, or by "Authorization: Bearer" with an access token
 * (lib/api/access_token.h) or a node's own token. In plain HTTP nobody is told apart and everybody
 * may do everything, but for what is kept to the control plane's own host.
 */
#pragma once

#include "control/services/access.h"
#include "lib/http/server.h"

struct control;
struct node;
struct token;

/* Who makes the request that is being handled. Nodes and tokens are borrowed, for that time. */
struct visitor {
    struct caller caller;
    struct node *node;           /* ACCESS_NODE */
    char proof[SHA256_HEX_SIZE]; /* of the node's token or key, by which it is known */
    struct token *token;         /* whose token it is that was shown; NULL: none */
    uint32_t token_mark;         /* by which guesses at it are counted; 0: there is no such token */
    struct sha256 ca_spki;       /* of the CA of the certificate that was shown; zeroes: none */
    int64_t good_until;          /* Unix seconds, when what was shown expires; 0: never */
    bool is_token_spent;         /* it is right, but has let in as many as it may */
};

/* Answers by the route's handler, or 401, 403, 421, 429. data is the struct control. */
void guard_handle(struct http_request *request, void *control);
