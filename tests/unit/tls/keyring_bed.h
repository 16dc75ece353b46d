/* A directory with a node's certificate, its key and its CA, and clients' certificates of that CA.
 */
#pragma once

#include <gnutls/gnutls.h>

#include "lib/tls/keyring.h"
#include "tests/unit/tls/forge.h"

struct keyring_bed {
    char dir[32];
    char *cert_file, *key_file, *ca_file;
    struct tls_keyring_files files; /* these */
    struct tls_ca *ca;
    struct tls_key *key;
    int64_t now; /* the real one, Unix seconds */
};

/* For cmocka's setup and teardown. */
int keyring_bed_make(void **ret);
int keyring_bed_drop(void **state);

/* Another certificate for the node, of this name and key, into its file. */
void keyring_bed_write_cert(const struct keyring_bed *bed, const char *node,
                            const struct tls_key *key);
struct tls_keyring *keyring_bed_load(const struct keyring_bed *bed);

/* One end of a TLS connection: a client. */
struct keyring_client {
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    int fd;
};

struct keyring_client_order {
    const struct tls_ca *ca; /* NULL: shows no certificate */
    const char *uri;         /* in it */
    int64_t not_after;       /* 0: in an hour */
    const char *priorities;  /* NULL: as usual */
    const char *protocol;    /* NULL: names none */
};
/* Takes over the socket, which does not block. */
void keyring_client_init(struct keyring_client *client, int fd,
                         const struct keyring_client_order *order);
void keyring_client_deinit(struct keyring_client *client);
