/* Whom to believe: the CAs that a cluster has, and what they vouch for. Pure.
 *
 * Mostly there is one CA; while it is replaced there are two. A peer shows a chain, its own
 * certificate first. One of our CAs has to have signed that certificate itself: there are no
 * intermediates, and whatever else stands in the chain has to be one of our CAs.
 */
#pragma once

#include "lib/tls/cert.h"

#define TLS_BUNDLE_MAX 65536 /* bytes */
#define TLS_BUNDLE_CAS_MAX 16
#define TLS_CHAIN_MAX 4

struct tls_trust;

/* From one or more CA certificates in PEM; one that comes twice counts once. -EINVAL with a text.
 */
int tls_trust_from_pem(const char *pem, size_t n, struct tls_trust **ret_trust);
void tls_trust_free(struct tls_trust *trust);
/* Caller frees. */
char *tls_trust_to_pem(const struct tls_trust *trust);
size_t tls_trust_count(const struct tls_trust *trust);
const struct tls_cert *tls_trust_ca(const struct tls_trust *trust, size_t index);

/* SPKI hashes of CAs. */
struct tls_pins {
    struct sha256 items[TLS_BUNDLE_CAS_MAX];
    size_t count;
};
/* Of all of them. */
struct tls_pins tls_trust_pins(const struct tls_trust *trust);
/* Whether one of the CAs has this SPKI hash. */
bool tls_trust_has_pin(const struct tls_trust *trust, const struct sha256 *pin);
/* Whether none of the CAs would go by tls_trust_keep_pinned(). */
bool tls_trust_is_pinned(const struct tls_trust *trust, const struct sha256 *pins, size_t count);

enum tls_trust_outcome {
    TLS_EXPIRED = 1,   /* all else is well: who has the key may renew */
    TLS_NOT_YET_VALID, /* all else is well: a clock is wrong */
    TLS_CA_EXPIRED,    /* the CA that signed it has expired itself */
    TLS_UNKNOWN_ISSUER,
    TLS_WRONG_PURPOSE, /* not for this end of a connection; or a CA's own certificate */
    TLS_MALFORMED,     /* no certificate, or one that does not say who it is for */
    TLS_OTHER_CLUSTER,
    TLS_NOT_PINNED,
    TLS_WRONG_NAME /* not for the name that it was asked by */
};

/* For a bundle that came from somebody not yet trusted: keeps only the CAs whose SPKI hash is one
 * of the pins and that have signed themselves. One good CA in a bundle says nothing about the
 * others. TLS_NOT_PINNED with a text when none is left; the bundle is unchanged then. */
int tls_trust_keep_pinned(struct tls_trust *trust, const struct sha256 *pins, size_t count);

enum tls_purpose { TLS_PURPOSE_CLIENT, TLS_PURPOSE_SERVER };

struct tls_der {
    const unsigned char *bytes; /* borrowed */
    size_t n;
};

struct tls_question {
    const struct tls_der *chain; /* the peer's own certificate first */
    size_t chain_len;
    enum tls_purpose purpose; /* which end of the connection the peer is */
    const char *cluster_id;   /* whose it has to be */
    int64_t now;              /* Unix seconds */
};

struct tls_peer {
    struct tls_identity identity;
    struct sha256 spki;
    struct sha256 ca_spki; /* of the CA that signed */
    char serial[TLS_SERIAL_SIZE];
    int64_t not_before;
    int64_t not_after;
};

/* 0: trusted; or an outcome, with a text (err_text()) that a person can act on. *ret_peer is also
 * written with TLS_EXPIRED and TLS_NOT_YET_VALID. That the peer has the key is TLS's business, what
 * the name in the URL has to do with it libcurl's, whether it was revoked the caller's. */
int tls_trust_verify(const struct tls_trust *trust, const struct tls_question *question,
                     struct tls_peer *ret_peer);

DEFINE_CLEANUP(struct tls_trust *, tls_trust_free);
#define AUTO_TLS_TRUST CLEANUP(cleanup_tls_trust_free)
