/* One end of a TLS connection over a socket that does not block. The other end has to show a
 * certificate of a CA of the keyring's, of the keyring's cluster, that is for such an end and in
 * time. Whose a client's is, the caller looks at; a server's has to be a node's. TLS 1.2 and 1.3
 * only, no resumption, no renegotiation.
 *
 *     tls_session_handshake() ─ again when the socket can ─> 0 ──> recv, send ──> tls_session_bye()
 */
#pragma once

#include <sys/types.h>

#include "lib/tls/keyring.h"

/* Ephemeral keys and authenticated encryption, nothing else; GnuTLS's words. */
extern const char tls_priorities[];

struct tls_session;

/* protocol: what both ends have to speak inside (ALPN: "h2"). The socket stays the caller's, and is
 * open as long as the session; keyring: gets another reference. */
int tls_session_new_server(struct tls_keyring *keyring, int fd, const char *protocol,
                           struct tls_session **ret_session);

/* Which node the server has to be, by lib/tls/server.h. */
struct tls_server_wanted {
    const char *host; /* that the client goes to; copied */
    bool is_own_node; /* no other than the keyring's */
};
int tls_session_new_client(struct tls_keyring *keyring, int fd, const char *protocol,
                           const struct tls_server_wanted *wanted,
                           struct tls_session **ret_session);
void tls_session_free(struct tls_session *session);

enum tls_session_step { TLS_WANTS_IN = 1, TLS_WANTS_OUT };
/* 0: done. TLS_WANTS_IN, TLS_WANTS_OUT: again when the socket can be read, written. -EACCES: the
 * other end's certificate, or that there is none; -EPROTO: all else, with a text; the other end has
 * been told. */
int tls_session_handshake(struct tls_session *session);
/* Who a client is; after the server's handshake. */
const struct tls_peer *tls_session_peer(const struct tls_session *session);

/* As recv() and send() do, with a negative errno: -EAGAIN: not now, -ECONNRESET: the connection
 * broke, -EPROTO: it is misused, or the other end refuses it, with a text. What was given to a send
 * that said -EAGAIN is given again, maybe with more behind it. */
ssize_t tls_session_recv(struct tls_session *session, void *bytes, size_t n);
ssize_t tls_session_send(struct tls_session *session, const void *bytes, size_t n);
/* Bytes that recv has ready although the socket may be empty. */
size_t tls_session_pending(const struct tls_session *session);
/* Says that no more comes, as far as that can be said at once. */
void tls_session_bye(struct tls_session *session);

DEFINE_CLEANUP(struct tls_session *, tls_session_free);
#define AUTO_TLS_SESSION CLEANUP(cleanup_tls_session_free)
