/* Certificates (X.509 version 3, RFC 5280), read. What a certificate says is true only when
 * lib/tls/trust.h has found it so. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/tls/identity.h"
#include "lib/tls/key.h"

#define TLS_SERIAL_SIZE 41 /* 20 bytes in hex, and the NUL */
#define TLS_DN_SIZE 256    /* a longer name is cut */

struct tls_cert;

struct tls_cert_facts {
    struct sha256 spki;
    struct sha256 issuer_spki; /* zeros when the certificate does not tell, or in another way */
    int64_t not_before;        /* Unix seconds */
    int64_t not_after;
    bool is_ca;
    char serial[TLS_SERIAL_SIZE]; /* lower-case hex */
    char subject[TLS_DN_SIZE];    /* RFC 4514, made printable */
    char issuer[TLS_DN_SIZE];
};

/* The first certificate of a PEM text, or one in DER. -EINVAL with a text. */
int tls_cert_from_pem(const char *pem, size_t n, struct tls_cert **ret_cert);
int tls_cert_from_der(const void *der, size_t n, struct tls_cert **ret_cert);
void tls_cert_free(struct tls_cert *cert);
/* Caller frees. */
char *tls_cert_to_pem(const struct tls_cert *cert);

const struct tls_cert_facts *tls_cert_facts(const struct tls_cert *cert);
bool tls_cert_is_for_key(const struct tls_cert *cert, const struct tls_key *key);
/* Whom it speaks for: exactly one URI of its names, well formed. -EINVAL with a text. */
int tls_cert_identity(const struct tls_cert *cert, struct tls_identity *ret_identity);

/* What a server is called. */
struct tls_names {
    const char *const *hosts; /* borrowed; DNS names */
    size_t host_count;
    const uint32_t *addrs; /* borrowed; IPv4, host order */
    size_t addr_count;
};
/* Whether it is for all of these names, each as it is written. */
bool tls_cert_covers(const struct tls_cert *cert, const struct tls_names *names);
/* Whether a client that goes to this name or address takes it, as RFC 6125 has it. */
bool tls_cert_is_for_host(const struct tls_cert *cert, const char *host);
/* The first name that is none of this host alone, and not a pattern. Caller frees; NULL: none. */
char *tls_cert_host(const struct tls_cert *cert);
/* The IPv4 addresses among its names, in their order, in host order; no more than max. */
size_t tls_cert_addrs(const struct tls_cert *cert, uint32_t *ret_addrs, size_t max);

/* Certificates of a cluster's CA begin this long before they are made: clocks differ. */
#define TLS_BACKDATE_S 3600
/* When to ask for a new one: a random point between 50 and 70 % of its life from when it was made,
 * so that those who were made together do not come back together. random: any number, the same for
 * the same answer. */
int64_t tls_cert_renew_at(const struct tls_cert_facts *facts, uint64_t random);

DEFINE_CLEANUP(struct tls_cert *, tls_cert_free);
#define AUTO_TLS_CERT CLEANUP(cleanup_tls_cert_free)
