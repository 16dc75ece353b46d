/* Keyrings and clients for tests. */
#include "tests/unit/tls/keyring_bed.h"

#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/tls/pem_file.h"
#include "tests/unit/cmocka.h"

#define PROVED(call) assert_true((call) >= 0)

static struct tls_cert *issue(const struct keyring_bed *bed, const char *node,
                              const struct tls_key *key)
{
    const struct tls_cert_order order = {TLS_KIND_NODE, node, {0}, bed->now, DAY};
    struct tls_cert *cert = NULL;

    assert_int_equal(tls_ca_issue(bed->ca, tls_key_public(key), &order, &cert), 0);
    return cert;
}

void keyring_bed_write_cert(const struct keyring_bed *bed, const char *node,
                            const struct tls_key *key)
{
    AUTO_TLS_CERT struct tls_cert *cert = issue(bed, node, key);

    assert_int_equal(pem_file_write_cert(bed->cert_file, cert), 0);
}

int keyring_bed_make(void **ret)
{
    struct keyring_bed *bed = NEW(struct keyring_bed);

    memcpy(bed->dir, "/tmp/quilt-test-XXXXXX", 23);
    assert_non_null(mkdtemp(bed->dir));
    bed->cert_file = mem_printf("%s/node.pem", bed->dir);
    bed->key_file = mem_printf("%s/node-key.pem", bed->dir);
    bed->ca_file = mem_printf("%s/ca.pem", bed->dir);
    bed->files = (struct tls_keyring_files){bed->cert_file, bed->key_file, bed->ca_file};
    bed->now = clock_unix_s();
    assert_int_equal(tls_ca_new(CLUSTER, bed->now, &bed->ca), 0);
    assert_int_equal(tls_key_new(&bed->key), 0);
    assert_int_equal(pem_file_write_key(bed->key_file, bed->key), 0);
    assert_int_equal(pem_file_write_cert(bed->ca_file, tls_ca_cert(bed->ca)), 0);
    keyring_bed_write_cert(bed, NODE, bed->key);
    *ret = bed;
    return 0;
}

int keyring_bed_drop(void **state)
{
    struct keyring_bed *bed = *state;

    (void)unlink(bed->cert_file);
    (void)unlink(bed->key_file);
    (void)unlink(bed->ca_file);
    assert_int_equal(rmdir(bed->dir), 0);
    tls_ca_free(bed->ca);
    tls_key_free(bed->key);
    free(bed->cert_file);
    free(bed->key_file);
    free(bed->ca_file);
    free(bed);
    return 0;
}

struct tls_keyring *keyring_bed_load(const struct keyring_bed *bed)
{
    struct tls_keyring *keyring = NULL;

    if (tls_keyring_load(&bed->files, &keyring) < 0)
        fail_msg("%s", err_text());
    return keyring;
}

/* ---- clients -------------------------------------------------------------------------------- */

static void set_certificate(struct keyring_client *client, const struct keyring_client_order *order)
{
    int64_t now = clock_unix_s();
    const struct forge_order wanted = {.uris = {order->uri},
                                       .purposes = FORGE_CLIENT,
                                       .not_before = now - DAY,
                                       .not_after =
                                           order->not_after ? order->not_after : now + HOUR};
    AUTO_TLS_KEY struct tls_key *key = NULL;
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    AUTO_SECRET char *key_pem = NULL;
    AUTO_FREE char *cert_pem = NULL;

    assert_int_equal(tls_key_new(&key), 0);
    cert = forge_cert(key, order->ca, &wanted);
    key_pem = tls_key_to_pem(key);
    cert_pem = tls_cert_to_pem(cert);
    PROVED(gnutls_certificate_set_x509_key_mem(
        client->credentials,
        &(gnutls_datum_t){(unsigned char *)cert_pem, (unsigned int)strlen(cert_pem)},
        &(gnutls_datum_t){(unsigned char *)key_pem, (unsigned int)strlen(key_pem)},
        GNUTLS_X509_FMT_PEM));
}

void keyring_client_init(struct keyring_client *client, int fd,
                         const struct keyring_client_order *order)
{
    client->fd = fd;
    PROVED(gnutls_certificate_allocate_credentials(&client->credentials));
    if (order->ca)
        set_certificate(client, order);
    PROVED(gnutls_init(&client->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL));
    PROVED(gnutls_priority_set_direct(client->session,
                                      order->priorities ? order->priorities : "NORMAL", NULL));
    PROVED(gnutls_credentials_set(client->session, GNUTLS_CRD_CERTIFICATE, client->credentials));
    if (order->protocol) {
        const gnutls_datum_t name = {(unsigned char *)(uintptr_t)order->protocol,
                                     (unsigned int)strlen(order->protocol)};

        PROVED(gnutls_alpn_set_protocols(client->session, &name, 1, 0));
    }
    gnutls_transport_set_int(client->session, fd);
}

void keyring_client_deinit(struct keyring_client *client)
{
    gnutls_deinit(client->session);
    gnutls_certificate_free_credentials(client->credentials);
    close(client->fd);
}
