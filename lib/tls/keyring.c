/* A certificate, its key and CAs, read from files. */
#include "lib/tls/keyring.h"

#include <sys/stat.h>

#include "lib/base/error.h"
#include "lib/tls/internal.h"
#include "lib/tls/pem_file.h"

/* FNV-1a over what changes when a file is written or replaced. */
#define STAMP_BEGIN 14695981039346656037ULL
#define STAMP_PRIME 1099511628211ULL

static uint64_t mix(uint64_t stamp, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        stamp = (stamp ^ (value >> (8 * i) & 0xff)) * STAMP_PRIME;
    return stamp;
}

uint64_t tls_keyring_stamp(const struct tls_keyring_files *files)
{
    const char *const paths[] = {files->cert_file, files->key_file, files->ca_file};
    uint64_t stamp = STAMP_BEGIN;
    struct stat st;

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (stat(paths[i], &st) < 0)
            return 0;
        stamp = mix(stamp, st.st_ino);
        stamp = mix(stamp, (uint64_t)st.st_size);
        stamp = mix(stamp, (uint64_t)st.st_mtim.tv_sec);
        stamp = mix(stamp, (uint64_t)st.st_mtim.tv_nsec);
    }
    return stamp;
}

static int check(const struct tls_keyring_files *files, struct tls_keyring *k)
{
    const struct sha256 spki = tls_key_spki(k->key);
    int r;

    if (!sha256_equal(&tls_cert_facts(k->cert)->spki, &spki))
        return err_fail(EINVAL, "the certificate %s is not for the key %s", files->cert_file,
                        files->key_file);
    r = tls_cert_identity(k->cert, &k->identity);
    return r < 0 ? err_wrap(r, "%s", files->cert_file) : 0;
}

static int make_credentials(struct tls_keyring *k)
{
    gnutls_certificate_credentials_t credentials;
    int r = gnutls_certificate_allocate_credentials(&credentials);

    if (r < 0)
        return tls_fail(r, "credentials");
    k->credentials = credentials;
    r = gnutls_certificate_set_x509_key(credentials, &k->cert->handle, 1, k->key->handle);
    return r < 0 ? tls_fail(r, "credentials") : 0;
}

static int read_files(const struct tls_keyring_files *files, struct tls_keyring *k)
{
    int r = pem_file_read_key(files->key_file, &k->key);

    if (r == 0)
        r = pem_file_read_cert(files->cert_file, &k->cert);
    if (r == 0)
        r = pem_file_read_trust(files->ca_file, &k->trust);
    return r;
}

int tls_keyring_load(const struct tls_keyring_files *files, struct tls_keyring **ret_keyring)
{
    AUTO_TLS_KEYRING struct tls_keyring *k = NEW(struct tls_keyring);
    int r;

    k->refs = 1;
    k->stamp = tls_keyring_stamp(files); /* before: what changes meanwhile is seen as a change */
    r = read_files(files, k);
    if (r == 0)
        r = check(files, k);
    if (r == 0)
        r = make_credentials(k);
    if (r < 0)
        return r;
    *ret_keyring = TAKE_PTR(k);
    return 0;
}

struct tls_keyring *tls_keyring_ref(struct tls_keyring *keyring)
{
    keyring->refs++;
    return keyring;
}

void tls_keyring_unref(struct tls_keyring *k)
{
    if (!k || --k->refs > 0)
        return;
    if (k->credentials)
        gnutls_certificate_free_credentials(k->credentials);
    tls_key_free(k->key);
    tls_cert_free(k->cert);
    tls_trust_free(k->trust);
    free(k);
}
