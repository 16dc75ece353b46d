/* Whether a peer's certificate is to be believed. First whether it is authentic, then what it says,
 * last whether it is in time: so that "expired" means that all else was well. */
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/tls/internal.h"
#include "lib/tls/trust.h"

/* Time is looked at here, by the clock that was handed in. */
#define FLAGS                                                                        \
    (GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS | \
     GNUTLS_VERIFY_DO_NOT_ALLOW_SAME)

/* ---- words --------------------------------------------------------------------------------- */

#define WHO_SIZE 128

static void say_who(const struct tls_identity *identity, char ret_text[static WHO_SIZE])
{
    if (identity->kind == TLS_KIND_CONTROL)
        (void)snprintf(ret_text, WHO_SIZE, "the control plane's certificate");
    else
        (void)snprintf(ret_text, WHO_SIZE, "the certificate of %s %s",
                       tls_kind_word(identity->kind), identity->name);
}

/* ---- issuer -------------------------------------------------------------------------------- */

/* What is wrong with a certificate as the work of this CA, in GnuTLS's bits. */
static unsigned int find_faults(const struct tls_cert *cert, const struct tls_cert *ca)
{
    unsigned int faults = 0;

    if (!gnutls_x509_crt_check_issuer(cert->handle, ca->handle) ||
        gnutls_x509_crt_list_verify(&cert->handle, 1, &ca->handle, 1, NULL, 0, FLAGS, &faults) < 0)
        return GNUTLS_CERT_INVALID | GNUTLS_CERT_SIGNER_NOT_FOUND;
    return faults;
}

bool tls_cert_is_signed_by(const struct tls_cert *cert, const struct tls_cert *ca)
{
    return find_faults(cert, ca) == 0;
}

/* The CA that signed it, whatever it wrote into it. */
static const struct tls_cert *find_issuer(const struct tls_trust *trust,
                                          const struct tls_cert *cert, unsigned int *ret_faults)
{
    for (size_t i = 0; i < trust->count; i++) {
        unsigned int faults = find_faults(cert, trust->cas[i]);

        if (faults == 0 || faults == (GNUTLS_CERT_INVALID | GNUTLS_CERT_UNKNOWN_CRIT_EXTENSIONS)) {
            *ret_faults = faults;
            return trust->cas[i];
        }
    }
    return NULL;
}

/* Nobody vouches for it. If it says itself that it is of another cluster, that is the likely
 * reason, and refused is refused. */
static int refuse_stranger(const struct tls_cert *cert, const char *cluster_id)
{
    const struct tls_cert_facts *facts = &cert->facts;
    struct tls_identity identity;

    if (tls_cert_identity(cert, &identity) == 0 && strcmp(identity.cluster_id, cluster_id) != 0)
        return REFUSE(TLS_OTHER_CLUSTER, "the certificate is of cluster %s, this is cluster %s",
                      identity.cluster_id, cluster_id);
    if (strcmp(facts->subject, facts->issuer) == 0)
        return REFUSE(TLS_UNKNOWN_ISSUER, "the certificate of %s is signed by itself",
                      facts->subject);
    return REFUSE(TLS_UNKNOWN_ISSUER, "the certificate of %s is from %s, which is no CA of ours",
                  facts->subject, facts->issuer);
}

static bool is_one_of_ours(const struct tls_trust *trust, const struct tls_der *der)
{
    gnutls_datum_t bytes = tls_datum(der->bytes, der->n);

    for (size_t i = 0; i < trust->count; i++)
        if (gnutls_x509_crt_equals2(trust->cas[i]->handle, &bytes))
            return true;
    return false;
}

static int check_issuer(const struct tls_trust *trust, const struct tls_cert *cert,
                        const struct tls_question *question, const struct tls_cert **ret_ca)
{
    unsigned int faults = 0;
    const struct tls_cert *ca = find_issuer(trust, cert, &faults);

    if (!ca)
        return refuse_stranger(cert, question->cluster_id);
    if (faults != 0)
        return REFUSE(TLS_MALFORMED,
                      "the certificate of %s has a critical extension that this "
                      "version does not know",
                      cert->facts.subject);
    for (size_t i = 1; i < question->chain_len; i++)
        if (!is_one_of_ours(trust, &question->chain[i]))
            return REFUSE(TLS_UNKNOWN_ISSUER,
                          "the chain of %s has a certificate that is no CA of "
                          "ours",
                          cert->facts.subject);
    *ret_ca = ca;
    return 0;
}

/* ---- what it says -------------------------------------------------------------------------- */

static int read_leaf(const struct tls_question *question, struct tls_cert **ret_cert)
{
    if (question->chain_len == 0)
        return REFUSE(TLS_MALFORMED, "no certificate was shown");
    if (question->chain_len > TLS_CHAIN_MAX)
        return REFUSE(TLS_MALFORMED, "a chain of more than %d certificates", TLS_CHAIN_MAX);
    if (tls_cert_from_der(question->chain[0].bytes, question->chain[0].n, ret_cert) < 0)
        return TLS_MALFORMED;
    return 0;
}

/* GnuTLS takes a certificate that names no purpose for good for all; we do not. */
static bool has_purpose(const struct tls_cert *cert, const char *wanted)
{
    char oid[64];
    int r = 0;

    for (unsigned int i = 0; r >= 0; i++) {
        size_t n = sizeof oid;

        r = gnutls_x509_crt_get_key_purpose_oid(cert->handle, i, oid, &n, NULL);
        if (r >= 0 && strcmp(oid, wanted) == 0)
            return true;
        if (r == GNUTLS_E_SHORT_MEMORY_BUFFER)
            r = 0; /* a longer one than ours */
    }
    return false;
}

static bool may_sign(const struct tls_cert *cert)
{
    unsigned int usage = 0;

    return gnutls_x509_crt_get_key_usage(cert->handle, &usage, NULL) >= 0 &&
           (usage & GNUTLS_KEY_DIGITAL_SIGNATURE) != 0;
}

static const struct {
    const char *oid;
    const char *word;
} purposes[] = {
    [TLS_PURPOSE_CLIENT] = {GNUTLS_KP_TLS_WWW_CLIENT, "client"},
    [TLS_PURPOSE_SERVER] = {GNUTLS_KP_TLS_WWW_SERVER, "server"},
};

static int check_purpose(const struct tls_cert *cert, enum tls_purpose purpose, const char *who)
{
    if (!may_sign(cert) || !has_purpose(cert, purposes[purpose].oid))
        return REFUSE(TLS_WRONG_PURPOSE, "%s is not for a TLS %s", who, purposes[purpose].word);
    return 0;
}

static int check_identity(const struct tls_cert *cert, const char *cluster_id,
                          struct tls_identity *ret_identity)
{
    if (tls_cert_identity(cert, ret_identity) < 0)
        return TLS_MALFORMED;
    if (strcmp(ret_identity->cluster_id, cluster_id) != 0)
        return REFUSE(TLS_OTHER_CLUSTER, "the certificate is of cluster %s, this is cluster %s",
                      ret_identity->cluster_id, cluster_id);
    return 0;
}

static int check_time(const struct tls_cert_facts *facts, const struct tls_cert_facts *ca,
                      const char *who, int64_t now)
{
    char end[TLS_TIME_SIZE];

    if (now > ca->not_after) {
        tls_say_time(ca->not_after, end);
        return REFUSE(TLS_CA_EXPIRED, "the CA that signed %s has expired itself (%s): %s", who, end,
                      ca->subject);
    }
    if (now < ca->not_before)
        return tls_check_time(ca, ca->subject, now);
    return tls_check_time(facts, who, now);
}

static struct tls_peer describe(const struct tls_identity *identity,
                                const struct tls_cert_facts *facts, const struct tls_cert *ca)
{
    struct tls_peer peer = {
        .identity = *identity,
        .spki = facts->spki,
        .ca_spki = ca->facts.spki,
        .not_before = facts->not_before,
        .not_after = facts->not_after,
    };

    memcpy(peer.serial, facts->serial, sizeof peer.serial);
    return peer;
}

int tls_trust_verify(const struct tls_trust *trust, const struct tls_question *question,
                     struct tls_peer *ret_peer)
{
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    const struct tls_cert *ca = NULL;
    struct tls_identity identity;
    char who[WHO_SIZE];
    int r = read_leaf(question, &cert);

    if (r != 0)
        return r;
    if (cert->facts.is_ca)
        return REFUSE(TLS_WRONG_PURPOSE, "%s is a CA's own certificate, nobody's to show",
                      cert->facts.subject);
    r = check_issuer(trust, cert, question, &ca);
    if (r == 0)
        r = check_identity(cert, question->cluster_id, &identity);
    if (r != 0)
        return r;
    say_who(&identity, who);
    r = check_purpose(cert, question->purpose, who);
    if (r == 0)
        r = check_time(&cert->facts, &ca->facts, who, question->now);
    if (r == 0 || r == TLS_EXPIRED || r == TLS_NOT_YET_VALID)
        *ret_peer = describe(&identity, &cert->facts, ca);
    return r;
}
