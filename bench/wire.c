/* A load generator's connection, plain or over TLS. */
#include "bench/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <sys/socket.h>

#include "bench/dial.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

struct wire_identity {
    gnutls_certificate_credentials_t credentials;
};

void wire_identity_free(struct wire_identity *identity)
{
    if (!identity)
        return;
    gnutls_certificate_free_credentials(identity->credentials);
    free(identity);
}

int wire_identity_load(const char *cert_file, const char *key_file,
                       struct wire_identity **ret_identity)
{
    struct wire_identity *identity = NEW(struct wire_identity);
    int r = gnutls_certificate_allocate_credentials(&identity->credentials);

    if (r == 0)
        r = gnutls_certificate_set_x509_key_file(identity->credentials, cert_file, key_file,
                                                 GNUTLS_X509_FMT_PEM);
    if (r < 0) {
        wire_identity_free(identity);
        return err_fail(EINVAL, "%s: %s", cert_file, gnutls_strerror(r));
    }
    *ret_identity = identity;
    return 0;
}

static int start_tls(struct wire *wire, const struct wire_identity *identity)
{
    gnutls_session_t session = NULL;
    int r = gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);

    if (r == 0)
        r = gnutls_set_default_priority(session);
    if (r == 0)
        r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, identity->credentials);
    if (r == 0) {
        gnutls_transport_set_int(session, wire->fd);
        r = gnutls_handshake(session);
    }
    if (r < 0)
        return err_fail(EPROTO, "handshake: %s", gnutls_strerror(r));
    wire->session = session; /* lives as long as the process */
    return fcntl(wire->fd, F_SETFL, O_NONBLOCK) < 0 ? err_sys(errno, "fcntl") : 0;
}

int wire_open(const struct sockaddr_in *target, size_t number, const struct wire_identity *identity,
              struct wire *ret_wire)
{
    int r = dial(target, number, &ret_wire->fd);

    return r == 0 && identity ? start_tls(ret_wire, identity) : r;
}

int wire_send(const struct wire *wire, const void *bytes, size_t n)
{
    if (!wire->session)
        return dial_send(wire->fd, bytes, n);
    return gnutls_record_send(wire->session, bytes, n) == (ssize_t)n
               ? 0
               : err_fail(EIO, "the server does not take a request");
}

ssize_t wire_receive(const struct wire *wire, void *bytes, size_t n)
{
    ssize_t got;

    if (!wire->session)
        return recv(wire->fd, bytes, n, MSG_DONTWAIT);
    got = gnutls_record_recv(wire->session, bytes, n);
    if (got >= 0)
        return got;
    errno = got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED ? EAGAIN : ECONNRESET;
    return -1;
}
