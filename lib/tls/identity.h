/* Who a certificate speaks for. Its one URI says it, as a SPIFFE ID (SPIFFE-ID, section 2):
 *
 *     spiffe://<cluster id>/node/<node id>
 *     spiffe://<cluster id>/user/<name>
 *     spiffe://<cluster id>/control
 *
 * What a user may do is not in the certificate. Pure.
 */
#pragma once

#include <stddef.h>

#include "lib/base/random.h"

#define TLS_NAME_SIZE 65 /* 64 characters and the NUL */
#define TLS_URI_SIZE 128 /* fits the longest */

enum tls_kind { TLS_KIND_NODE, TLS_KIND_USER, TLS_KIND_CONTROL, TLS_KIND_COUNT };

struct tls_identity {
    char cluster_id[UUID_TEXT_SIZE]; /* lower case */
    enum tls_kind kind;
    char name[TLS_NAME_SIZE]; /* the node's id, the user's name; "" for the control plane */
};

/* "node", "user", "control". */
const char *tls_kind_word(enum tls_kind kind);
/* A name is 1 to 64 of [A-Za-z0-9._-], and neither "." nor "..". -EINVAL with a text. */
int tls_name_check(const char *name);
/* -EINVAL with a text that quotes the URI and says what is wrong. */
int tls_identity_from_uri(const char *uri, size_t n, struct tls_identity *ret_identity);
void tls_identity_to_uri(const struct tls_identity *identity, char ret_uri[static TLS_URI_SIZE]);
