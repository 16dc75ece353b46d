/* A certificate, its key and CAs, read from files. */
#include "lib/tls/keyring.h"

#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/tls/internal.h"
#include "lib/tls/pem_file.h"

uint64_t tls_keyring_stamp(const struct tls_keyring_files *files)
{
    const char *const paths[] = {files->cert_file, files->key_file, files->ca_file};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (access(paths[i], F_OK) < 0)
            return 0;
    return file_stamp(paths, ARRAY_LEN(paths));
}

static int check(const struct tls_keyring_files *files, struct tls_keyring *k)
{
    int r;

    if (!tls_cert_is_for_key(k->cert, k->key))
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
    int r = pem_file_read_given_key(files->key_file, &k->key);

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
