/* A server's certificates as others made them, judged by GnuTLS, as its clients have them judged.
 */
#include "lib/tls/chain.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/tls/internal.h"
#include "lib/tls/server.h"

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END "-----END CERTIFICATE-----"

/* Whether now is in their lives is another question. */
#define FLAGS (GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS)

/* ---- reading ------------------------------------------------------------------------------- */

/* Takes the certificate at the beginning of the text; *ret_n is how long it is. */
static int add_first(struct tls_chain *chain, const char *pem, size_t n, size_t *ret_n)
{
    const char *end = memmem(pem, n, END, sizeof END - 1);
    int r;

    if (!end)
        return err_fail(EINVAL, "a certificate is cut off");
    if (chain->count == TLS_CHAIN_CERTS_MAX)
        return err_fail(EINVAL, "more than %d certificates", TLS_CHAIN_CERTS_MAX);
    *ret_n = (size_t)(end - pem) + sizeof END - 1;
    r = tls_cert_from_pem(pem, *ret_n, &chain->certs[chain->count]);
    if (r == 0)
        chain->count++;
    return r;
}

static int fail_empty(const char *pem, size_t n)
{
    const char *words = tls_pem_words(pem, n, TLS_PEM_CERT);

    return err_fail(EINVAL, "no certificate in PEM%s%s", words ? ": " : "", words ? words : "");
}

static int add_all(struct tls_chain *chain, const char *pem, size_t n)
{
    const char *end = pem + n, *at = memmem(pem, n, BEGIN, sizeof BEGIN - 1);
    size_t length = 0;

    if (!at)
        return fail_empty(pem, n);
    for (; at; at = memmem(at, (size_t)(end - at), BEGIN, sizeof BEGIN - 1)) {
        int r = add_first(chain, at, (size_t)(end - at), &length);

        if (r < 0)
            return r;
        at += length;
    }
    return 0;
}

int tls_chain_from_pem(const char *pem, size_t n, struct tls_chain **ret_chain)
{
    AUTO_TLS_CHAIN struct tls_chain *chain = NEW(struct tls_chain);
    int r = n > TLS_BUNDLE_MAX ? err_fail(EINVAL, "longer than %d bytes", TLS_BUNDLE_MAX)
                               : add_all(chain, pem, n);

    if (r == 0)
        *ret_chain = TAKE_PTR(chain);
    return r;
}

void tls_chain_free(struct tls_chain *chain)
{
    for (size_t i = 0; chain && i < chain->count; i++)
        tls_cert_free(chain->certs[i]);
    free(chain);
}

const struct tls_cert *tls_chain_own(const struct tls_chain *chain)
{
    return chain->certs[0];
}

/* ---- who vouches for it -------------------------------------------------------------------- */

/* What a client finds that believes these CAs, in GnuTLS's bits. It puts chains in order itself. */
static unsigned int find_faults(const struct tls_chain *chain, struct tls_cert *const cas[],
                                size_t ca_count)
{
    gnutls_x509_crt_t shown[TLS_CHAIN_CERTS_MAX], trusted[TLS_BUNDLE_CAS_MAX];
    unsigned int faults = GNUTLS_CERT_INVALID | GNUTLS_CERT_SIGNER_NOT_FOUND;
    gnutls_x509_trust_list_t list;

    for (size_t i = 0; i < chain->count; i++)
        shown[i] = chain->certs[i]->handle;
    for (size_t i = 0; i < ca_count; i++)
        trusted[i] = cas[i]->handle;
    if (gnutls_x509_trust_list_init(&list, 0) < 0)
        mem_exhausted(0);
    (void)gnutls_x509_trust_list_add_cas(list, trusted, (unsigned int)ca_count, 0);
    if (gnutls_x509_trust_list_verify_crt2(list, shown, (unsigned int)chain->count, NULL, 0, FLAGS,
                                           &faults, NULL) < 0)
        faults = GNUTLS_CERT_INVALID | GNUTLS_CERT_SIGNER_NOT_FOUND;
    gnutls_x509_trust_list_deinit(list, 0);
    return faults;
}

static bool is_root(const struct tls_cert *cert)
{
    return cert->facts.is_ca && tls_cert_is_signed_by(cert, cert);
}

static int add_roots(const struct tls_chain *chain, const struct tls_chain *among,
                     bool are_vouching, struct tls_trust *roots)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < among->count; i++) {
        struct tls_cert *cert = among->certs[i];

        if (is_root(cert) && (find_faults(chain, &cert, 1) == 0) == are_vouching)
            r = tls_trust_add(roots, tls_cert_copy(cert));
    }
    return r;
}

int tls_chain_roots(const struct tls_chain *chain, const struct tls_chain *among,
                    struct tls_trust **ret_roots)
{
    AUTO_TLS_TRUST struct tls_trust *roots = NEW(struct tls_trust);
    const struct tls_cert *last = among->certs[among->count - 1];
    int r = add_roots(chain, among, true, roots);

    if (r == 0)
        r = add_roots(chain, among, false, roots);
    if (r == 0 && roots->count == 0)
        r = REFUSE(TLS_NOT_PINNED,
                   "no CA in it has signed itself, and no other can be pinned; the last "
                   "certificate is %s, from %s",
                   last->facts.subject, last->facts.issuer);
    if (r == 0)
        *ret_roots = TAKE_PTR(roots);
    return r;
}

/* ---- the way up ---------------------------------------------------------------------------- */

static const struct tls_cert *find_issuer(struct tls_cert *const certs[], size_t count,
                                          const struct tls_cert *cert)
{
    for (size_t i = 0; i < count; i++)
        if (tls_cert_is_signed_by(cert, certs[i]))
            return certs[i];
    return NULL;
}

/* The next one above a certificate; NULL: it is a root's work, its own, or nobody's here. */
static const struct tls_cert *climb(const struct tls_chain *chain, const struct tls_trust *roots,
                                    const struct tls_cert *cert)
{
    if (tls_cert_is_signed_by(cert, cert) || find_issuer(roots->cas, roots->count, cert))
        return NULL;
    return find_issuer(chain->certs, chain->count, cert);
}

static const struct tls_cert *find_top(const struct tls_chain *chain, const struct tls_trust *roots)
{
    const struct tls_cert *top = tls_chain_own(chain), *next = top;

    for (size_t i = 0; next && i < chain->count; i++) {
        top = next;
        next = climb(chain, roots, top);
    }
    return top;
}

/* ---- judging ------------------------------------------------------------------------------- */

int tls_chain_check_key(const struct tls_chain *chain, const struct tls_key *key)
{
    for (size_t i = 0; i < chain->count; i++) {
        const char *subject = chain->certs[i]->facts.subject;

        if (!tls_cert_is_for_key(chain->certs[i], key))
            continue;
        return i == 0 ? 0
                      : err_fail(EINVAL,
                                 "the certificate of the key (%s) is number %zu in it, and "
                                 "has to be the first",
                                 subject, i + 1);
    }
    return err_fail(EINVAL, "it is not for the key (%s)", tls_chain_own(chain)->facts.subject);
}

/* A certificate that says what its key is for, and does not say that it is for this. */
static bool may_not_sign(const struct tls_cert *cert)
{
    unsigned int usage = 0;

    return gnutls_x509_crt_get_key_usage(cert->handle, &usage, NULL) >= 0 &&
           (usage & GNUTLS_KEY_DIGITAL_SIGNATURE) == 0;
}

/* libcurl, which notes down all that is shown, fails at other keys ("Out of memory"). */
static int check_keys(const struct tls_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        int kind = gnutls_x509_crt_get_pk_algorithm(chain->certs[i]->handle, NULL);

        if (kind != GNUTLS_PK_RSA && kind != GNUTLS_PK_ECDSA)
            return err_fail(EINVAL, "%s has a key of %s: agents take RSA and ECDSA",
                            chain->certs[i]->facts.subject,
                            gnutls_pk_get_name((gnutls_pk_algorithm_t)kind));
    }
    return 0;
}

static int fail_faults(unsigned int faults)
{
    gnutls_datum_t text;
    AUTO_FREE char *words = NULL;

    if (gnutls_certificate_verification_status_print(faults, GNUTLS_CRT_X509, &text, 0) < 0)
        mem_exhausted(0);
    words = tls_take_text(&text);
    return err_fail(EINVAL, "clients refuse it: %s", words);
}

static int fail_issuer(const struct tls_chain *chain, const struct tls_trust *roots)
{
    const struct tls_cert *top = find_top(chain, roots);

    return REFUSE(TLS_UNKNOWN_ISSUER,
                  "%s is from %s, which is neither in it nor one of the CAs that the server is to "
                  "be known by",
                  top->facts.subject, top->facts.issuer);
}

int tls_chain_check(const struct tls_chain *chain, const struct tls_trust *roots)
{
    const struct tls_cert *own = tls_chain_own(chain);
    unsigned int faults;

    if (tls_server_may_show(own) != 0)
        return -EINVAL;
    if (may_not_sign(own))
        return err_fail(EINVAL,
                        "%s is of a key that may not sign (digitalSignature is missing among its "
                        "key usages), which a TLS server has to",
                        own->facts.subject);
    faults = find_faults(chain, roots->cas, roots->count);
    if (faults == 0)
        return check_keys(chain);
    return faults & GNUTLS_CERT_SIGNER_NOT_FOUND ? fail_issuer(chain, roots) : fail_faults(faults);
}

static int check_time(const struct tls_cert *cert, int64_t now)
{
    AUTO_FREE char *who = mem_printf("the certificate of %s", cert->facts.subject);

    return tls_check_time(&cert->facts, who, now);
}

int tls_chain_check_time(const struct tls_chain *chain, const struct tls_trust *roots, int64_t now)
{
    const struct tls_cert *at = tls_chain_own(chain);
    int r = check_time(at, now);

    for (size_t i = 0; r == 0 && i < chain->count; i++) {
        at = climb(chain, roots, at);
        if (!at)
            return check_time(roots->cas[0], now);
        r = check_time(at, now);
    }
    return r;
}
