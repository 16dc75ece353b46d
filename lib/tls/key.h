/* Keys and requests for certificates.
 *
 * What we make is ECDSA on the curve P-256 (FIPS 186-4). A key is known by the SHA-256 of its
 * SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), its SPKI hash: the same in the private key, in a
 * request, in every certificate made for it, in a CA's pin. Pure but for the random numbers.
 */
#pragma once

#include "lib/base/digest.h"
#include "lib/base/secret.h"

/* The longest text of one key, request or certificate. */
#define TLS_PEM_MAX 16384

struct tls_key;        /* a private key; overwritten when freed */
struct tls_public_key; /* what a certificate is made for */

/* A new private key. */
int tls_key_new(struct tls_key **ret_key);
/* PKCS#8 or the older forms, not encrypted; of any kind that GnuTLS knows, for people may bring
 * their own. -EINVAL with a text, which quotes nothing. */
int tls_key_from_pem(const char *pem, size_t n, struct tls_key **ret_key);
void tls_key_free(struct tls_key *key);
/* PKCS#8. Caller frees with secret_free(). */
char *tls_key_to_pem(const struct tls_key *key);
struct sha256 tls_key_spki(const struct tls_key *key);
/* Its public half, owned by the key. */
const struct tls_public_key *tls_key_public(const struct tls_key *key);

struct sha256 tls_public_key_spki(const struct tls_public_key *key);
void tls_public_key_free(struct tls_public_key *key);

/* A request for a certificate (PKCS#10, RFC 2986) with the key's proof of possession and a subject
 * that means nothing. Caller frees *ret_pem. */
int tls_csr_new(const struct tls_key *key, char **ret_pem);
/* Takes the public key out of a request, when whoever made it had the private one and it is of
 * P-256. What else the request says is for nobody. -EINVAL with a text. */
int tls_csr_from_pem(const char *pem, size_t n, struct tls_public_key **ret_key);

DEFINE_CLEANUP(struct tls_key *, tls_key_free);
DEFINE_CLEANUP(struct tls_public_key *, tls_public_key_free);
#define AUTO_TLS_KEY CLEANUP(cleanup_tls_key_free)
#define AUTO_TLS_PUBLIC_KEY CLEANUP(cleanup_tls_public_key_free)
