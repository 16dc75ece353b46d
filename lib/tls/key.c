/* Private keys, their public halves, and requests for certificates. */
#include "lib/tls/key.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/tls/internal.h"

/* ---- public -------------------------------------------------------------------------------- */

static void public_deinit(struct tls_public_key *key)
{
    if (key->handle)
        gnutls_pubkey_deinit(key->handle);
}

int tls_public_key_hash(struct tls_public_key *key)
{
    size_t size = SHA256_SIZE;
    int r = gnutls_pubkey_get_key_id(key->handle, GNUTLS_KEYID_USE_SHA256, key->spki.bytes, &size);

    return r < 0 ? tls_fail(r, "hash the public key") : 0;
}

void tls_public_key_free(struct tls_public_key *key)
{
    if (key)
        public_deinit(key);
    free(key);
}

struct sha256 tls_public_key_spki(const struct tls_public_key *key)
{
    return key->spki;
}

/* ---- private ------------------------------------------------------------------------------- */

void tls_key_free(struct tls_key *key)
{
    if (!key)
        return;
    public_deinit(&key->half);
    if (key->handle)
        gnutls_x509_privkey_deinit(key->handle); /* overwrites it */
    free(key);
}

static int derive_public(struct tls_key *key)
{
    gnutls_privkey_t abstract;
    int r = gnutls_privkey_init(&abstract);

    if (r < 0)
        return tls_fail(r, "make a public key");
    r = gnutls_privkey_import_x509(abstract, key->handle, 0);
    if (r >= 0)
        r = gnutls_pubkey_init(&key->half.handle);
    if (r >= 0)
        r = gnutls_pubkey_import_privkey(key->half.handle, abstract, 0, 0);
    gnutls_privkey_deinit(abstract);
    return r < 0 ? tls_fail(r, "make a public key") : tls_public_key_hash(&key->half);
}

static int key_alloc(struct tls_key **ret_key)
{
    AUTO_TLS_KEY struct tls_key *key = NEW(struct tls_key);
    int r = gnutls_x509_privkey_init(&key->handle);

    if (r < 0)
        return tls_fail(r, "make a private key");
    *ret_key = TAKE_PTR(key);
    return 0;
}

int tls_key_new(struct tls_key **ret_key)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    int r = key_alloc(&key);

    if (r < 0)
        return r;
    r = gnutls_x509_privkey_generate(key->handle, GNUTLS_PK_ECDSA,
                                     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (r < 0)
        return tls_fail(r, "make a private key");
    r = derive_public(key);
    if (r == 0)
        *ret_key = TAKE_PTR(key);
    return r;
}

static int fail_import(const char *pem, size_t n, int code)
{
    const char *words = tls_pem_words(pem, n, TLS_PEM_KEY);

    return words ? err_fail(EINVAL, "private key: %s", words)
                 : tls_fail(code, "private key: not an unencrypted one in PEM");
}

int tls_key_from_pem(const char *pem, size_t n, struct tls_key **ret_key)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    gnutls_datum_t text = tls_datum(pem, n);
    int r;

    if (n > TLS_PEM_MAX)
        return err_fail(EINVAL, "private key: longer than %d bytes", TLS_PEM_MAX);
    r = key_alloc(&key);
    if (r < 0)
        return r;
    /* Not its successor, which tries encrypted forms too and reads behind the end of one (3.7). */
    r = gnutls_x509_privkey_import(key->handle, &text, GNUTLS_X509_FMT_PEM);
    if (r < 0)
        return fail_import(pem, n, r);
    r = derive_public(key);
    if (r == 0)
        *ret_key = TAKE_PTR(key);
    return r;
}

char *tls_key_to_pem(const struct tls_key *key)
{
    gnutls_datum_t out;

    if (gnutls_x509_privkey_export2_pkcs8(key->handle, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
                                          &out) < 0)
        mem_exhausted(0); /* nothing else is left that can fail */
    return tls_take_text(&out);
}

struct sha256 tls_key_spki(const struct tls_key *key)
{
    return key->half.spki;
}

const struct tls_public_key *tls_key_public(const struct tls_key *key)
{
    return &key->half;
}
