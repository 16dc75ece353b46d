/* What one end of a TLS connection shows and whom it believes: a certificate of the cluster's, its
 * key, and CAs, in three files. Touches the disk.
 *
 * A keyring does not change. When its files have, another one is loaded, and who began with the one
 * before keeps it: they are counted.
 */
#pragma once

#include "lib/tls/trust.h"

struct tls_keyring_files {
    const char *cert_file;
    const char *key_file;
    const char *ca_file;
};

/* Others read it. */
struct tls_keyring {
    unsigned int refs;
    struct tls_key *key;
    struct tls_cert *cert; /* for this key */
    struct tls_trust *trust;
    struct tls_identity identity; /* that of the certificate */
    uint64_t stamp;               /* of the files, as they were */
    void *credentials;            /* GnuTLS's; for lib/tls/session.h */
};

/* Tells files that were written, or replaced, from what they were before; 0 when one is missing. */
uint64_t tls_keyring_stamp(const struct tls_keyring_files *files);
/* Fails as reading them does (lib/tls/pem_file.h), and with -EINVAL when certificate and key do not
 * belong together, or the certificate tells no identity; with a text. That it is in time, and from
 * one of the CAs, is not looked at. */
int tls_keyring_load(const struct tls_keyring_files *files, struct tls_keyring **ret_keyring);
struct tls_keyring *tls_keyring_ref(struct tls_keyring *keyring);
void tls_keyring_unref(struct tls_keyring *keyring);

DEFINE_CLEANUP(struct tls_keyring *, tls_keyring_unref);
#define AUTO_TLS_KEYRING CLEANUP(cleanup_tls_keyring_unref)
