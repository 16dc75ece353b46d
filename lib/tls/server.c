/* Words about servers' certificates. */
#include "lib/tls/server.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/tls/internal.h"

/* By RFC 5280 section 4.2.1.12: one that names no purpose is good for any. */
static bool is_for_servers(const struct tls_cert *cert)
{
    return gnutls_x509_crt_check_key_purpose(cert->handle, GNUTLS_KP_TLS_WWW_SERVER, 0) != 0;
}

int tls_server_may_show(const struct tls_cert *cert)
{
    struct tls_identity identity;

    if (tls_cert_identity(cert, &identity) == 0 && identity.kind != TLS_KIND_CONTROL)
        return REFUSE(TLS_WRONG_PURPOSE,
                      "the server shows the certificate of %s %s instead of the control plane's: "
                      "it is not the control plane",
                      tls_kind_word(identity.kind), identity.name);
    if (!is_for_servers(cert))
        return REFUSE(TLS_WRONG_PURPOSE,
                      "the server's certificate (%s) is not for a TLS server (serverAuth is "
                      "missing among its extended key usages)",
                      cert->facts.subject);
    return 0;
}

/* ---- a node's ------------------------------------------------------------------------------ */

static int verify(const struct tls_trust *trust, const struct tls_node_question *question,
                  struct tls_peer *ret_peer)
{
    const struct tls_question asked = {.chain = question->chain,
                                       .chain_len = question->chain_len,
                                       .purpose = TLS_PURPOSE_SERVER,
                                       .cluster_id = question->own->cluster_id,
                                       .now = question->now};

    return tls_trust_verify(trust, &asked, ret_peer);
}

static bool is_named(const struct tls_der *der, const char *host)
{
    AUTO_TLS_CERT struct tls_cert *cert = NULL;

    return tls_cert_from_der(der->bytes, der->n, &cert) == 0 && tls_cert_is_for_host(cert, host);
}

static bool is_same_node(const struct tls_identity *a, const struct tls_identity *b)
{
    return a->kind == TLS_KIND_NODE && b->kind == TLS_KIND_NODE && strcmp(a->name, b->name) == 0;
}

int tls_server_is_node(const struct tls_trust *trust, const struct tls_node_question *question)
{
    struct tls_peer peer;
    int r = verify(trust, question, &peer);

    if (r != 0)
        return r;
    if (peer.identity.kind != TLS_KIND_NODE)
        return REFUSE(TLS_WRONG_PURPOSE,
                      "the server shows a certificate of %s %s, and not a node's",
                      tls_kind_word(peer.identity.kind), peer.identity.name);
    if (is_same_node(&peer.identity, question->own))
        return 0;
    if (question->is_own_only)
        return REFUSE(TLS_WRONG_NAME, "the server is node %s, and not this one (%s)",
                      peer.identity.name, question->own->name);
    if (!is_named(question->chain, question->host))
        return REFUSE(TLS_WRONG_NAME,
                      "the server's certificate (node %s) is not for %s; use the node's address",
                      peer.identity.name, question->host);
    return 0;
}

/* ---- words ---------------------------------------------------------------------------------- */

static int refuse_issuer(const struct tls_cert_facts *facts, const char *ca_file)
{
    const char *cas = ca_file ? ca_file : "the system's list";

    if (strcmp(facts->subject, facts->issuer) == 0)
        return REFUSE(TLS_UNKNOWN_ISSUER,
                      "the server's certificate (%s) is signed by itself, and not in %s",
                      facts->subject, cas);
    return REFUSE(TLS_UNKNOWN_ISSUER,
                  "the server's certificate (%s) is from %s, which is none of the CAs in %s",
                  facts->subject, facts->issuer, cas);
}

static int refuse_name(const struct tls_cert *cert, const char *host)
{
    AUTO_FREE char *other = tls_cert_host(cert);

    return REFUSE(TLS_WRONG_NAME,
                  "the server's certificate (%s) is not for %s; use a name that it is for%s%s, or "
                  "give it this one (--tls-name of quilt-mesh-control)",
                  cert->facts.subject, host, other ? ", as " : "", other ? other : "");
}

int tls_server_explain(const struct tls_cert *cert, const struct tls_server_question *question)
{
    int r;

    if (!question->is_ca_known)
        return refuse_issuer(&cert->facts, question->ca_file);
    r = tls_check_time(&cert->facts, "the server's certificate", question->now);
    if (r != 0)
        return r;
    if (!tls_cert_is_for_host(cert, question->host))
        return refuse_name(cert, question->host);
    return REFUSE(TLS_MALFORMED, "the server's certificate (%s): %s", cert->facts.subject,
                  question->words);
}
