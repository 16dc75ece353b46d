/* A server's certificate, for a client that has libcurl judge it. libcurl looks at the chain, the
 * name and the time; what it leaves open is here, and words for what it does not like. Pure.
 */
#pragma once

#include "lib/tls/trust.h"

/* Whether a certificate that is otherwise good is a server's to show: it may not name purposes
 * without a TLS server's among them. A cluster's CA makes them for nodes, too, with the addresses
 * that they said were theirs: no node is the control plane. One that tells no identity of ours was
 * made by others, who answer for it. 0, or TLS_WRONG_PURPOSE with a text. */
int tls_server_may_show(const struct tls_cert *cert);

/* Whose certificate a client of a node's server wants to see. */
struct tls_node_question {
    const struct tls_der *chain; /* that the server shows */
    size_t chain_len;
    const char *host;               /* that the client went to: a name, or an address */
    const struct tls_identity *own; /* whose certificate the client shows itself */
    bool is_own_only;               /* the server has to be the same node */
    int64_t now;                    /* Unix seconds */
};
/* Whether it shows a good certificate of a node of the own cluster, and of the right one: the own,
 * or the one of that name. Nodes tell their addresses themselves, so a name
 * says less than an identity. 0, or an outcome of tls_trust_verify() or TLS_WRONG_NAME with a text.
 */
int tls_server_is_node(const struct tls_trust *trust, const struct tls_node_question *question);

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
