/* A connection's socket in our hands (server_internal.h says why).
 *
 *     plain    a duplicate of the descriptor; libmicrohttpd closes its own and knows no more of it
 *     TLS      the session cannot be duplicated. libmicrohttpd keeps the connection, suspended, in
 *              which state it touches neither session nor socket; when we are done it is resumed,
 *              asks for an answer once more, gets none, and closes (or, when it had one of its
 *              own, finds that nothing can be sent any more)
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/http/server_internal.h"
#include "lib/http/tls.h"

/* The longest record (RFC 8446 section 5.1). */
#define RECORD_BYTES_MAX 16384

static int borrow(struct http_request *request, struct http_wire *ret_wire)
{
    struct http_conn *conn = http_conn_of(request->mhd);

    request->socket = HTTP_SOCKET_BORROWED;
    http_conn_received(conn);
    if (request->state != HTTP_REQUEST_WAITING)
        MHD_suspend_connection(request->mhd);
    *ret_wire = (struct http_wire){.server = request->server,
                                   .addr = conn->addr,
                                   .fd = conn->fd,
                                   .session = conn->session,
                                   .lender = request->mhd};
    return 0;
}

static int duplicate(struct http_request *request, struct http_wire *ret_wire)
{
    struct http_conn *conn = http_conn_of(request->mhd);
    int fd = fcntl(conn->fd, F_DUPFD_CLOEXEC, 0);

    request->socket = HTTP_SOCKET_DUPLICATED;
    http_conn_received(conn); /* cutting it would end the duplicate as well */
    if (fd < 0)
        return err_sys(errno, "take over a connection's socket");
    *ret_wire = (struct http_wire){.server = request->server, .addr = conn->addr, .fd = fd};
    http_peers_add(request->server, conn->addr);
    return 0;
}

int http_wire_take(struct http_request *request, struct http_wire *ret_wire)
{
    return http_conn_of(request->mhd)->session ? borrow(request, ret_wire)
                                               : duplicate(request, ret_wire);
}

void http_wire_close(struct http_wire *wire)
{
    if (!wire->server)
        return;
    if (wire->lender) {
        MHD_resume_connection(wire->lender);
        http_server_kick(wire->server);
    } else {
        close(wire->fd);
        http_peers_remove(wire->server, wire->addr);
    }
    *wire = (struct http_wire){.fd = -1};
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static ssize_t from_gnutls(ssize_t n)
{
    if (n >= 0)
        return n;
    errno = n == GNUTLS_E_AGAIN ? EAGAIN : n == GNUTLS_E_INTERRUPTED ? EINTR : EPIPE;
    return -1;
}

/* One record. When it does not fit, GnuTLS keeps it and wants the same bytes again. */
static ssize_t send_record(const struct http_wire *wire, const struct iovec *iov, size_t count)
{
    char record[RECORD_BYTES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < count && n < sizeof record; i++) {
        size_t part = iov[i].iov_len < sizeof record - n ? iov[i].iov_len : sizeof record - n;

        memcpy(record + n, iov[i].iov_base, part);
        n += part;
    }
    return from_gnutls(gnutls_record_send(wire->session, record, n));
}

ssize_t http_wire_send(const struct http_wire *wire, struct iovec *iov, size_t count)
{
    const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};

    if (wire->session)
        return send_record(wire, iov, count);
    return sendmsg(wire->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t http_wire_receive(const struct http_wire *wire, void *bytes, size_t n)
{
    if (wire->session)
        return from_gnutls(gnutls_record_recv(wire->session, bytes, n));
    return recv(wire->fd, bytes, n, MSG_DONTWAIT);
}

int http_wire_say_end(const struct http_wire *wire)
{
    if (wire->session)
        (void)gnutls_bye(wire->session, GNUTLS_SHUT_WR);
    return shutdown(wire->fd, SHUT_WR) < 0 ? err_sys(errno, "shutdown") : 0;
}
