/* A server's certificate, for a client that has libcurl judge it. libcurl looks at the chain, the
 * name and the time; what it leaves open is here, and words for what it does not like. Pure.
 */
#pragma once

#include "lib/tls/trust.h"

/* Whether a certificate that is otherwise good is a server's to show. A cluster's CA makes them for
 * nodes, too, with the addresses that they said were theirs: no node is the control plane. One
 * that tells no identity of ours was made by others, who answer for it. 0, or TLS_WRONG_PURPOSE
 * with a text. */
int tls_server_may_show(const struct tls_cert *cert);

/* What was asked of it. */
struct tls_server_question {
    const char *host;    /* the name or address in the URL */
    const char *ca_file; /* where the CAs are; for the text; NULL: the system's */
    bool is_ca_known;    /* the chain leads to one of them */
    const char *words;   /* of whoever refused it */
    int64_t now;         /* Unix seconds */
};
/* Why it was refused: TLS_UNKNOWN_ISSUER, TLS_NOT_YET_VALID, TLS_EXPIRED, TLS_WRONG_NAME, or
 * TLS_MALFORMED when it is none of these, and then the words say it; with a text. */
int tls_server_explain(const struct tls_cert *cert, const struct tls_server_question *question);
