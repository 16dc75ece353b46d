/* Requests for certificates. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/tls/internal.h"

static void cleanup_crq(const gnutls_x509_crq_t *request)
{
    if (*request)
        gnutls_x509_crq_deinit(*request);
}
#define AUTO_CRQ CLEANUP(cleanup_crq)

/* For those who look at a request with other tools; some take none without a subject. */
#define SUBJECT "quilt-mesh"

static int fill(gnutls_x509_crq_t request, const struct tls_key *key)
{
    int r = gnutls_x509_crq_set_version(request, 1);

    if (r >= 0)
        r = gnutls_x509_crq_set_dn_by_oid(request, GNUTLS_OID_X520_COMMON_NAME, 0, SUBJECT,
                                          sizeof SUBJECT - 1);
    if (r >= 0)
        r = gnutls_x509_crq_set_key(request, key->handle);
    if (r >= 0)
        r = gnutls_x509_crq_sign2(request, key->handle, GNUTLS_DIG_SHA256, 0);
    return r;
}

int tls_csr_new(const struct tls_key *key, char **ret_pem)
{
    AUTO_CRQ gnutls_x509_crq_t request = NULL;
    gnutls_datum_t out;
    int r = gnutls_x509_crq_init(&request);

    if (r >= 0)
        r = fill(request, key);
    if (r >= 0)
        r = gnutls_x509_crq_export2(request, GNUTLS_X509_FMT_PEM, &out);
    if (r < 0)
        return tls_fail(r, "make a certificate request");
    *ret_pem = tls_take_text(&out);
    return 0;
}

static int take_public(gnutls_x509_crq_t request, struct tls_public_key *key)
{
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    int r = gnutls_pubkey_init(&key->handle);

    if (r >= 0)
        r = gnutls_pubkey_import_x509_crq(key->handle, request, 0);
    if (r < 0)
        return tls_fail(r, "certificate request: its public key");
    if (gnutls_pubkey_get_pk_algorithm(key->handle, NULL) != GNUTLS_PK_ECDSA ||
        gnutls_pubkey_export_ecc_raw(key->handle, &curve, NULL, NULL) < 0 ||
        curve != GNUTLS_ECC_CURVE_SECP256R1)
        return err_fail(EINVAL, "certificate request: the key is not of ECDSA on P-256");
    return 0;
}

int tls_csr_from_pem(const char *pem, size_t n, struct tls_public_key **ret_key)
{
    AUTO_TLS_PUBLIC_KEY struct tls_public_key *key = NEW(struct tls_public_key);
    AUTO_CRQ gnutls_x509_crq_t request = NULL;
    gnutls_datum_t text = tls_datum(pem, n);
    int r;

    if (n > TLS_PEM_MAX)
        return err_fail(EINVAL, "certificate request: longer than %d bytes", TLS_PEM_MAX);
    r = gnutls_x509_crq_init(&request);
    if (r >= 0)
        r = gnutls_x509_crq_import(request, &text, GNUTLS_X509_FMT_PEM);
    if (r < 0)
        return tls_fail(r, "certificate request: not one in PEM (PKCS#10)");
    r = take_public(request, key);
    if (r < 0)
        return r;
    r = gnutls_x509_crq_verify(request, 0);
    if (r < 0)
        return tls_fail(r, "certificate request: not signed with its own key");
    r = tls_public_key_hash(key);
    if (r == 0)
        *ret_key = TAKE_PTR(key);
    return r;
}
