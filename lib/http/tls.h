/* The server's credentials, and TLS sessions of libmicrohttpd's connections. Internal to lib/http.
 */
#pragma once

#include <gnutls/gnutls.h>
#include <microhttpd.h>

#include "lib/http/server.h"

struct http_conn;
struct http_tls; /* certificate and key; counted references */

/* -EINVAL and the file system's errors, with a text. */
int http_tls_load(const struct http_tls_config *config, struct http_tls **ret_tls);
void http_tls_unref(struct http_tls *tls);
const char *http_tls_cert_pem(const struct http_tls *tls);
const char *http_tls_key_pem(const struct http_tls *tls);

/* A connection that has just been accepted gets the server's present credentials and is asked for
 * a certificate. One that begins with plain HTTP is told so (426), and ends. */
void http_tls_adopt(struct http_conn *conn);
/* What http_request_certificates() says. */
size_t http_tls_chain(const struct http_conn *conn, struct tls_der ret_chain[static TLS_CHAIN_MAX]);
