/* TLS for the server's connections. libmicrohttpd makes the sessions; what they show and ask for
 * is ours, so that certificates can be changed while connections are open:
 *
 *     http_tls_load ──> credentials, counted: the server's present ones, and those of each
 *                       connection that began with them
 *
 * A client may show a certificate and need not. That it holds the key is proved by the handshake;
 * whose certificate it is, whoever asks for it finds out.
 */
#include "lib/http/tls.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/secret.h"
#include "lib/http/problem.h"
#include "lib/http/server_internal.h"

#define PEM_BYTES_MAX (1024 * 1024)
/* The first byte of what a TLS client sends: a handshake record (RFC 8446 section 5.1). */
#define TLS_HANDSHAKE 22
/* What is read of a request in plain HTTP, so that closing does not reset the answer to it. */
#define PLAIN_BYTES_MAX (16 * 1024)

struct http_tls {
    unsigned int refs;
    gnutls_certificate_credentials_t credentials;
    char *cert_pem, *key_pem; /* what libmicrohttpd wants to see at its start */
};

static struct http_tls *tls_ref(struct http_tls *tls)
{
    tls->refs++;
    return tls;
}

void http_tls_unref(struct http_tls *tls)
{
    if (!tls || --tls->refs > 0)
        return;
    if (tls->credentials)
        gnutls_certificate_free_credentials(tls->credentials);
    free(tls->cert_pem);
    secret_free(tls->key_pem);
    free(tls);
}

static int read_files(struct http_tls *tls, const struct http_tls_config *config)
{
    size_t n;
    int r = file_read_regular(config->cert_file, PEM_BYTES_MAX, &tls->cert_pem, &n);

    return r < 0 ? r : file_read_regular(config->key_file, PEM_BYTES_MAX, &tls->key_pem, &n);
}

static int set_credentials(struct http_tls *tls, const struct http_tls_config *config)
{
    const gnutls_datum_t cert = {(unsigned char *)tls->cert_pem,
                                 (unsigned int)strlen(tls->cert_pem)};
    const gnutls_datum_t key = {(unsigned char *)tls->key_pem, (unsigned int)strlen(tls->key_pem)};
    int r = gnutls_certificate_allocate_credentials(&tls->credentials);

    if (r == 0)
        r = gnutls_certificate_set_x509_key_mem2(tls->credentials, &cert, &key, GNUTLS_X509_FMT_PEM,
                                                 NULL, 0);
    if (r < 0)
        return err_fail(EINVAL, "certificate %s with key %s: %s", config->cert_file,
                        config->key_file, gnutls_strerror(r));
    return 0;
}

int http_tls_load(const struct http_tls_config *config, struct http_tls **ret_tls)
{
    struct http_tls *tls = NEW(struct http_tls);
    int r;

    tls->refs = 1;
    r = read_files(tls, config);
    if (r == 0)
        r = set_credentials(tls, config);
    if (r < 0) {
        http_tls_unref(tls);
        return r;
    }
    *ret_tls = tls;
    return 0;
}

const char *http_tls_cert_pem(const struct http_tls *tls)
{
    return tls->cert_pem;
}

const char *http_tls_key_pem(const struct http_tls *tls)
{
    return tls->key_pem;
}

/* ---- connections ----------------------------------------------------------------------------- */

static void say_https(const struct http_conn *conn)
{
    AUTO_FREE char *json =
        problem_to_json(426, NULL, "this port speaks HTTPS only; ask again by https://");
    AUTO_FREE char *text = mem_printf("HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2\r\n"
                                      "Connection: Upgrade, close\r\nContent-Type: %s\r\n"
                                      "Content-Length: %zu\r\n\r\n%s",
                                      PROBLEM_TYPE, strlen(json), json);
    char scratch[PLAIN_BYTES_MAX];

    /* Who speaks plainly hears it once; that it gets there is not insisted on. */
    (void)recv(conn->fd, scratch, sizeof scratch, MSG_DONTWAIT);
    (void)send(conn->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(conn->fd, SHUT_WR);
}

static ssize_t receive(struct http_conn *conn, void *bytes, size_t n)
{
    ssize_t got = recv(conn->fd, bytes, n, 0);

    if (got >= 0 || errno != EAGAIN || conn->is_handshaken)
        return got;
    http_conn_pause(conn);
    errno = EAGAIN;
    return -1;
}

/* As GnuTLS reads by itself, but for the first byte. */
static ssize_t on_pull(gnutls_transport_ptr_t data, void *bytes, size_t n)
{
    struct http_conn *conn = data;
    ssize_t got = receive(conn, bytes, n);

    if (got <= 0 || conn->speaks_tls)
        return got;
    if (*(const unsigned char *)bytes != TLS_HANDSHAKE) {
        say_https(conn);
        errno = EPROTO;
        return -1;
    }
    conn->speaks_tls = true;
    return got;
}

/* The client's Finished is the last that a server waits for (RFC 8446 section 2). The session's
 * pointer is libmicrohttpd's. */
static int on_finished(gnutls_session_t session, unsigned int type, unsigned int when,
                       unsigned int incoming, const gnutls_datum_t *message)
{
    struct http_conn *conn = http_conn_of(gnutls_session_get_ptr(session));

    if (!incoming)
        return 0;
    conn->is_handshaken = true;
    http_half_closes_end_pauses(conn);
    return 0;
}

static gnutls_transport_ptr_t as_pointer(int fd)
{
    return (gnutls_transport_ptr_t)(intptr_t)fd; /* how GnuTLS hands descriptors around */
}

void http_tls_adopt(struct http_conn *conn)
{
    gnutls_session_t session = conn->session =
        MHD_get_connection_info(conn->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session;

    conn->tls = tls_ref(conn->server->tls);
    (void)gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, conn->tls->credentials);
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
    gnutls_transport_set_ptr2(session, conn, as_pointer(conn->fd));
    gnutls_transport_set_pull_function(session, on_pull);
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_POST,
                                       on_finished);
}

size_t http_tls_chain(const struct http_conn *conn, struct tls_der ret_chain[static TLS_CHAIN_MAX])
{
    unsigned int count = 0;
    const gnutls_datum_t *certs =
        conn->session ? gnutls_certificate_get_peers(conn->session, &count) : NULL;

    if (!certs || count > TLS_CHAIN_MAX)
        return 0;
    for (unsigned int i = 0; i < count; i++)
        ret_chain[i] = (struct tls_der){.bytes = certs[i].data, .n = certs[i].size};
    return count;
}
