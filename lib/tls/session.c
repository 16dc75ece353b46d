/* TLS whose certificates are looked at by lib/tls, as everywhere. */
#include "lib/tls/session.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/tls/internal.h"
#include "lib/tls/server.h"

/* A hello, or a chain of certificates, of a client that means well. */
#define HANDSHAKE_BYTES_MAX 32768

const char tls_priorities[] =
    "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:"
    "-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD:%SERVER_PRECEDENCE";

struct tls_session {
    struct tls_keyring *keyring;
    gnutls_session_t handle;
    char *protocol;
    char *host; /* that the client goes to; NULL: this end is the server */
    bool is_own_node;
    struct tls_peer peer;
    int refusal;  /* enum tls_trust_outcome, or 0 */
    bool is_held; /* GnuTLS has taken what was to be sent, but the socket has not */
    char problem[ERR_TEXT_MAX];
};

/* ---- the other end's certificate ------------------------------------------------------------ */

static size_t get_chain(gnutls_session_t handle, struct tls_der chain[static TLS_CHAIN_MAX])
{
    unsigned int count = 0;
    const gnutls_datum_t *certs = gnutls_certificate_get_peers(handle, &count);

    if (!certs || count > TLS_CHAIN_MAX)
        return 0;
    for (unsigned int i = 0; i < count; i++)
        chain[i] = (struct tls_der){.bytes = certs[i].data, .n = certs[i].size};
    return count;
}

static int judge_client(struct tls_session *s, const struct tls_der *chain, size_t n)
{
    const struct tls_question question = {.chain = chain,
                                          .chain_len = n,
                                          .purpose = TLS_PURPOSE_CLIENT,
                                          .cluster_id = s->keyring->identity.cluster_id,
                                          .now = clock_unix_s()};

    return tls_trust_verify(s->keyring->trust, &question, &s->peer);
}

static int judge_server(const struct tls_session *s, const struct tls_der *chain, size_t n)
{
    const struct tls_node_question question = {.chain = chain,
                                               .chain_len = n,
                                               .host = s->host,
                                               .own = &s->keyring->identity,
                                               .is_own_only = s->is_own_node,
                                               .now = clock_unix_s()};

    return tls_server_is_node(s->keyring->trust, &question);
}

/* GnuTLS's callback: 0, or the handshake ends. */
static int on_certificate(gnutls_session_t handle)
{
    struct tls_session *s = gnutls_session_get_ptr(handle);
    struct tls_der chain[TLS_CHAIN_MAX];
    size_t n = get_chain(handle, chain);

    s->refusal = s->host ? judge_server(s, chain, n) : judge_client(s, chain, n);
    if (s->refusal == 0)
        return 0;
    (void)snprintf(s->problem, sizeof s->problem, "%s", err_text());
    return GNUTLS_E_CERTIFICATE_ERROR;
}

static gnutls_alert_description_t alert_of(int refusal)
{
    switch ((enum tls_trust_outcome)refusal) {
    case TLS_EXPIRED:
    case TLS_NOT_YET_VALID:
    case TLS_CA_EXPIRED:
        return GNUTLS_A_CERTIFICATE_EXPIRED;
    case TLS_UNKNOWN_ISSUER:
    case TLS_NOT_PINNED:
        return GNUTLS_A_UNKNOWN_CA;
    case TLS_WRONG_PURPOSE:
    case TLS_MALFORMED:
        return GNUTLS_A_BAD_CERTIFICATE;
    case TLS_OTHER_CLUSTER:
    case TLS_WRONG_NAME:
        return GNUTLS_A_ACCESS_DENIED;
    }
    return GNUTLS_A_BAD_CERTIFICATE;
}

/* ---- handshake ------------------------------------------------------------------------------ */

static bool is_without_certificate(int code)
{
    return code == GNUTLS_E_NO_CERTIFICATE_FOUND || code == GNUTLS_E_CERTIFICATE_REQUIRED;
}

static int fail_alert(const struct tls_session *s)
{
    return err_fail(EPROTO, "the other end refuses: %s",
                    gnutls_alert_get_name(gnutls_alert_get(s->handle)));
}

static int fail_handshake(struct tls_session *s, int code)
{
    if (s->refusal != 0) {
        (void)gnutls_alert_send(s->handle, GNUTLS_AL_FATAL, alert_of(s->refusal));
        return err_fail(EACCES, "%s", s->problem);
    }
    (void)gnutls_alert_send_appropriate(s->handle, code);
    if (is_without_certificate(code))
        return err_fail(EACCES, "the client shows no certificate; it needs one of this cluster");
    if (code == GNUTLS_E_MEMORY_ERROR)
        mem_exhausted(0);
    if (code == GNUTLS_E_FATAL_ALERT_RECEIVED)
        return fail_alert(s);
    return err_fail(EPROTO, "no handshake of TLS 1.2 or 1.3: %s", gnutls_strerror(code));
}

/* GnuTLS insists on the protocol only when the client names some. */
static int check_protocol(struct tls_session *s)
{
    gnutls_datum_t chosen;

    if (gnutls_alpn_get_selected_protocol(s->handle, &chosen) == 0)
        return 0;
    (void)gnutls_alert_send(s->handle, GNUTLS_AL_FATAL, GNUTLS_A_NO_APPLICATION_PROTOCOL);
    return err_fail(EPROTO, "the other end does not say that it speaks %s (ALPN)", s->protocol);
}

static bool is_interrupted(int code)
{
    return code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED;
}

int tls_session_handshake(struct tls_session *s)
{
    int r = gnutls_handshake(s->handle);

    if (r == 0)
        return check_protocol(s);
    if (!is_interrupted(r))
        return fail_handshake(s, r);
    return gnutls_record_get_direction(s->handle) ? TLS_WANTS_OUT : TLS_WANTS_IN;
}

const struct tls_peer *tls_session_peer(const struct tls_session *s)
{
    return &s->peer;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static ssize_t as_errno(const struct tls_session *s, ssize_t code)
{
    if (code >= 0)
        return code;
    if (is_interrupted((int)code))
        return -EAGAIN;
    if (code == GNUTLS_E_MEMORY_ERROR)
        mem_exhausted(0);
    if (code == GNUTLS_E_PREMATURE_TERMINATION || code == GNUTLS_E_PULL_ERROR ||
        code == GNUTLS_E_PUSH_ERROR)
        return -ECONNRESET;
    if (code == GNUTLS_E_FATAL_ALERT_RECEIVED)
        return fail_alert(s);
    return err_fail(EPROTO, "TLS is misused: %s", gnutls_strerror((int)code));
}

ssize_t tls_session_recv(struct tls_session *s, void *bytes, size_t n)
{
    return as_errno(s, gnutls_record_recv(s->handle, bytes, n));
}

ssize_t tls_session_send(struct tls_session *s, const void *bytes, size_t n)
{
    ssize_t r = s->is_held ? gnutls_record_send(s->handle, NULL, 0)
                           : gnutls_record_send(s->handle, bytes, n);

    s->is_held = r < 0 && is_interrupted((int)r);
    return as_errno(s, r);
}

size_t tls_session_pending(const struct tls_session *s)
{
    return gnutls_record_check_pending(s->handle);
}

void tls_session_bye(struct tls_session *s)
{
    (void)gnutls_bye(s->handle, GNUTLS_SHUT_WR);
}

/* ---- life ----------------------------------------------------------------------------------- */

static int configure(struct tls_session *s, int fd)
{
    const gnutls_datum_t protocol = tls_datum(s->protocol, strlen(s->protocol));
    int r = gnutls_priority_set_direct(s->handle, tls_priorities, NULL);

    if (r == 0)
        r = gnutls_credentials_set(s->handle, GNUTLS_CRD_CERTIFICATE, s->keyring->credentials);
    if (r == 0)
        r = gnutls_alpn_set_protocols(s->handle, &protocol, 1, GNUTLS_ALPN_MANDATORY);
    if (r < 0)
        return tls_fail(r, "TLS session");
    gnutls_session_set_ptr(s->handle, s);
    gnutls_session_set_verify_function(s->handle, on_certificate);
    if (!s->host)
        gnutls_certificate_server_set_request(s->handle, GNUTLS_CERT_REQUIRE);
    gnutls_handshake_set_max_packet_length(s->handle, HANDSHAKE_BYTES_MAX);
    gnutls_handshake_set_timeout(s->handle, GNUTLS_INDEFINITE_TIMEOUT); /* the caller has one */
    gnutls_transport_set_int(s->handle, fd);
    return 0;
}

static int new_session(struct tls_keyring *keyring, int fd, const char *protocol,
                       const struct tls_server_wanted *wanted, struct tls_session **ret_session)
{
    AUTO_TLS_SESSION struct tls_session *s = NEW(struct tls_session);
    int r;

    s->keyring = tls_keyring_ref(keyring);
    s->protocol = mem_strdup(protocol);
    s->host = wanted ? mem_strdup(wanted->host) : NULL;
    s->is_own_node = wanted && wanted->is_own_node;
    r = gnutls_init(&s->handle, (wanted ? GNUTLS_CLIENT : GNUTLS_SERVER) | GNUTLS_NONBLOCK |
                                    GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS);
    r = r < 0 ? tls_fail(r, "TLS session") : configure(s, fd);
    if (r == 0)
        *ret_session = TAKE_PTR(s);
    return r;
}

int tls_session_new_server(struct tls_keyring *keyring, int fd, const char *protocol,
                           struct tls_session **ret_session)
{
    return new_session(keyring, fd, protocol, NULL, ret_session);
}

int tls_session_new_client(struct tls_keyring *keyring, int fd, const char *protocol,
                           const struct tls_server_wanted *wanted, struct tls_session **ret_session)
{
    return new_session(keyring, fd, protocol, wanted, ret_session);
}

void tls_session_free(struct tls_session *s)
{
    if (!s)
        return;
    if (s->handle)
        gnutls_deinit(s->handle);
    tls_keyring_unref(s->keyring);
    free(s->protocol);
    free(s->host);
    free(s);
}
