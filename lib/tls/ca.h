/* The cluster's certificate authority: what makes certificates.
 *
 * Its own certificate: self-signed, O = cluster id, CN = "Quilt Mesh CA " and the first eight
 * characters of its pin, CA:true with path length 0, for signing certificates and revocation lists,
 * ten years. Each certificate's key identifier is the SHA-256 of its SubjectPublicKeyInfo (RFC 7093
 * section 2, method 4), so a certificate tells the pin of the CA it is from. Pure but for the
 * random numbers.
 */
#pragma once

#include "lib/tls/cert.h"

#define TLS_CA_LIFE_S (10LL * 365 * 24 * 3600)

struct tls_ca;

/* A new one, or (with a key that is taken over) a new certificate for a key that has one already:
 * it has the same pin, and what the old one signed stays good. now: Unix seconds. */
int tls_ca_new(const char *cluster_id, int64_t now, struct tls_ca **ret_ca);
int tls_ca_from_key(struct tls_key *key, const char *cluster_id, int64_t now,
                    struct tls_ca **ret_ca);
/* Takes over both on success. -EINVAL with a text: they do not belong together, the certificate is
 * no CA's, or it does not name a cluster. */
int tls_ca_from_parts(struct tls_cert *cert, struct tls_key *key, struct tls_ca **ret_ca);
void tls_ca_free(struct tls_ca *ca);

const struct tls_cert *tls_ca_cert(const struct tls_ca *ca);
const struct tls_key *tls_ca_key(const struct tls_ca *ca);
const char *tls_ca_cluster_id(const struct tls_ca *ca);

/* What a certificate is to say. Who it is for decides what it is good for: a node's for TLS client
 * and server, a user's for client, the control plane's for server. */
struct tls_cert_order {
    enum tls_kind kind;
    const char *name;       /* as in struct tls_identity */
    struct tls_names names; /* of a node or the control plane; may be empty */
    int64_t now;            /* Unix seconds */
    int64_t life_s;         /* from now on; cut where the CA's own life ends */
};
/* -EINVAL: a bad name, or names for a user. -ESTALE: the CA's own certificate is not valid now. */
int tls_ca_issue(const struct tls_ca *ca, const struct tls_public_key *key,
                 const struct tls_cert_order *order, struct tls_cert **ret_cert);

DEFINE_CLEANUP(struct tls_ca *, tls_ca_free);
#define AUTO_TLS_CA CLEANUP(cleanup_tls_ca_free)
