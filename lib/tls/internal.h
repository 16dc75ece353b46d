/* What the files of lib/tls share: our structs around GnuTLS's, and its errors in our words. */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "lib/tls/ca.h"
#include "lib/tls/chain.h"
#include "lib/tls/trust.h"

struct tls_public_key {
    gnutls_pubkey_t handle;
    struct sha256 spki;
};

struct tls_key {
    gnutls_x509_privkey_t handle;
    struct tls_public_key half;
};

struct tls_cert {
    gnutls_x509_crt_t handle;
    struct tls_cert_facts facts;
};

struct tls_trust {
    struct tls_cert *cas[TLS_BUNDLE_CAS_MAX]; /* owned */
    size_t count;
};

struct tls_chain {
    struct tls_cert *certs[TLS_CHAIN_CERTS_MAX]; /* owned; one at least */
    size_t count;
};

/* Takes over the certificate, also when it fails (-EINVAL with a text), or has it already. */
int tls_trust_add(struct tls_trust *trust, struct tls_cert *taken);
struct tls_cert *tls_cert_copy(const struct tls_cert *cert);

/* Whether the CA's key made this signature over it, at whatever time. */
bool tls_cert_is_signed_by(const struct tls_cert *cert, const struct tls_cert *ca);

/* Starts the error text; the outcome (enum tls_trust_outcome). Needs lib/base/error.h. */
#define REFUSE(outcome, ...) (((void)err_fail(EACCES, __VA_ARGS__)), (int)(outcome))

#define TLS_TIME_SIZE 32
/* For people: "2026-01-01 00:00:00 UTC". */
void tls_say_time(int64_t at, char ret_text[static TLS_TIME_SIZE]);
/* 0, TLS_NOT_YET_VALID or TLS_EXPIRED with a text that begins with who. */
int tls_check_time(const struct tls_cert_facts *facts, const char *who, int64_t now);

/* Starts an error text that ends in GnuTLS's words for its code (negative). Returns -EINVAL,
 * or does not return when it was memory that lacked. */
int tls_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

enum tls_pem { TLS_PEM_KEY, TLS_PEM_CERT };
/* What a text is that could not be read as what was wanted, for people; NULL: nothing we know. */
const char *tls_pem_words(const char *text, size_t n, enum tls_pem wanted);

/* Fills in the hash. */
int tls_public_key_hash(struct tls_public_key *key);

/* Takes the text out of what GnuTLS exported, which it frees. */
char *tls_take_text(gnutls_datum_t *exported);

static inline gnutls_datum_t tls_datum(const void *bytes, size_t n)
{
    return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)bytes, .size = (unsigned int)n};
}
