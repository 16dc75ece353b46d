/* Making certificates. */
#include "lib/tls/ca.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/base32.h"
#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/base/random.h"
#include "lib/tls/internal.h"

#define SERIAL_BYTES 16
#define PIN_SHOWN 8

struct tls_ca {
    struct tls_cert *cert;
    struct tls_key *key;
    char cluster_id[UUID_TEXT_SIZE];
};

/* What a certificate is good for, by whom it is for. */
static const struct {
    bool is_client;
    bool is_server;
} purposes[] = {
    [TLS_KIND_NODE] = {.is_client = true, .is_server = true},
    [TLS_KIND_USER] = {.is_client = true},
    [TLS_KIND_CONTROL] = {.is_server = true},
};
static_assert(ARRAY_LEN(purposes) == TLS_KIND_COUNT, "a purpose for each kind");

static void cleanup_crt(const gnutls_x509_crt_t *handle)
{
    if (*handle)
        gnutls_x509_crt_deinit(*handle);
}
#define AUTO_CRT CLEANUP(cleanup_crt)

/* ---- what all certificates have ------------------------------------------------------------ */

static int set_serial(gnutls_x509_crt_t crt)
{
    unsigned char serial[SERIAL_BYTES];

    random_bytes(serial, sizeof serial);
    serial[0] = (serial[0] & 0x3f) | 0x40; /* positive, and of full length */
    return gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
}

static int set_life(gnutls_x509_crt_t crt, int64_t from, int64_t to)
{
    int r = gnutls_x509_crt_set_activation_time(crt, from);

    return r < 0 ? r : gnutls_x509_crt_set_expiration_time(crt, to);
}

/* O and CN, for people. */
static int set_subject(gnutls_x509_crt_t crt, const char *cluster_id, const char *name)
{
    int r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, cluster_id,
                                          (unsigned int)strlen(cluster_id));

    if (r < 0)
        return r;
    return gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                         (unsigned int)strlen(name));
}

static int set_key_ids(gnutls_x509_crt_t crt, struct sha256 subject, struct sha256 issuer)
{
    int r = gnutls_x509_crt_set_subject_key_id(crt, subject.bytes, SHA256_SIZE);

    return r < 0 ? r : gnutls_x509_crt_set_authority_key_id(crt, issuer.bytes, SHA256_SIZE);
}

/* A handle that was written to does not show all that it got: what we hand out was read anew. */
static int read_back(gnutls_x509_crt_t crt, struct tls_cert **ret_cert)
{
    gnutls_datum_t der;
    int r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der);

    if (r < 0)
        return tls_fail(r, "make a certificate");
    r = tls_cert_from_der(der.data, der.size, ret_cert);
    gnutls_free(der.data);
    return r;
}

/* ---- the CA's own -------------------------------------------------------------------------- */

static int fill_ca(gnutls_x509_crt_t crt, const struct tls_key *key, const char *cluster_id,
                   int64_t now)
{
    struct sha256 pin = tls_key_spki(key);
    char text[BASE32_LEN(SHA256_SIZE) + 1];
    AUTO_FREE char *name = NULL;
    int r;

    base32_encode(pin.bytes, SHA256_SIZE, text);
    name = mem_printf("Quilt Mesh CA %.*s", PIN_SHOWN, text);
    r = gnutls_x509_crt_set_version(crt, 3);
    if (r >= 0)
        r = set_serial(crt);
    if (r >= 0)
        r = set_life(crt, now - TLS_BACKDATE_S, now + TLS_CA_LIFE_S);
    if (r >= 0)
        r = set_subject(crt, cluster_id, name);
    if (r >= 0)
        r = gnutls_x509_crt_set_pubkey(crt, tls_key_public(key)->handle);
    if (r >= 0)
        r = set_key_ids(crt, pin, pin);
    if (r >= 0)
        r = gnutls_x509_crt_set_basic_constraints(crt, 1, 0);
    if (r >= 0)
        r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
    return r < 0 ? r : gnutls_x509_crt_sign2(crt, crt, key->handle, GNUTLS_DIG_SHA256, 0);
}

int tls_ca_from_key(struct tls_key *key, const char *cluster_id, int64_t now,
                    struct tls_ca **ret_ca)
{
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    AUTO_CRT gnutls_x509_crt_t crt = NULL;
    int r = parse_uuid(cluster_id);

    if (r < 0)
        return err_wrap(r, "make a CA: cluster id");
    r = gnutls_x509_crt_init(&crt);
    if (r >= 0)
        r = fill_ca(crt, key, cluster_id, now);
    if (r < 0)
        return tls_fail(r, "make a CA");
    r = read_back(crt, &cert);
    if (r == 0)
        r = tls_ca_from_parts(cert, key, ret_ca);
    if (r == 0)
        (void)TAKE_PTR(cert);
    return r;
}

int tls_ca_new(const char *cluster_id, int64_t now, struct tls_ca **ret_ca)
{
    AUTO_TLS_KEY struct tls_key *key = NULL;
    int r = tls_key_new(&key);

    if (r == 0)
        r = tls_ca_from_key(key, cluster_id, now, ret_ca);
    if (r == 0)
        (void)TAKE_PTR(key);
    return r;
}

/* O of the subject. */
static int read_cluster_id(gnutls_x509_crt_t crt, char ret_id[static UUID_TEXT_SIZE])
{
    char text[UUID_TEXT_SIZE];
    size_t n = sizeof text;

    if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, 0, text, &n) < 0 ||
        n != sizeof text - 1 || parse_uuid(text) < 0)
        return err_fail(EINVAL,
                        "the CA's certificate does not name a cluster (O is no cluster id)");
    memcpy(ret_id, text, sizeof text);
    return 0;
}

int tls_ca_from_parts(struct tls_cert *cert, struct tls_key *key, struct tls_ca **ret_ca)
{
    struct sha256 pin = tls_key_spki(key);
    char cluster_id[UUID_TEXT_SIZE];
    struct tls_ca *ca;
    int r;

    if (!cert->facts.is_ca)
        return err_fail(EINVAL, "the certificate is not a CA's (CA:true is missing)");
    if (!sha256_equal(&cert->facts.spki, &pin))
        return err_fail(EINVAL, "the CA's certificate and private key do not belong together");
    r = read_cluster_id(cert->handle, cluster_id);
    if (r < 0)
        return r;
    ca = NEW(struct tls_ca);
    ca->cert = cert;
    ca->key = key;
    memcpy(ca->cluster_id, cluster_id, sizeof cluster_id);
    *ret_ca = ca;
    return 0;
}

void tls_ca_free(struct tls_ca *ca)
{
    if (!ca)
        return;
    tls_cert_free(ca->cert);
    tls_key_free(ca->key);
    free(ca);
}

const struct tls_cert *tls_ca_cert(const struct tls_ca *ca)
{
    return ca->cert;
}

const struct tls_key *tls_ca_key(const struct tls_ca *ca)
{
    return ca->key;
}

const char *tls_ca_cluster_id(const struct tls_ca *ca)
{
    return ca->cluster_id;
}

/* ---- for others ---------------------------------------------------------------------------- */

static int check_order(const struct tls_ca *ca, const struct tls_cert_order *order,
                       struct tls_identity *ret_identity)
{
    const struct tls_cert_facts *own = &ca->cert->facts;
    bool is_control = order->kind == TLS_KIND_CONTROL;
    int r = is_control ? 0 : tls_name_check(order->name);

    if (r == 0 && order->kind == TLS_KIND_USER &&
        order->names.host_count + order->names.addr_count > 0)
        r = err_fail(EINVAL, "a user has no host names or addresses");
    for (size_t i = 0; r == 0 && i < order->names.host_count; i++)
        r = parse_hostname(order->names.hosts[i]);
    if (r == 0 && order->life_s <= 0)
        r = err_fail(EINVAL, "a life of %lld s", (long long)order->life_s);
    if (r < 0)
        return err_wrap(r, "issue a certificate");
    if (order->now < own->not_before || order->now >= own->not_after)
        return err_fail(ESTALE, "issue a certificate: the CA itself is %s by this host's clock",
                        order->now < own->not_before ? "not yet valid" : "expired");
    *ret_identity = (struct tls_identity){.kind = order->kind};
    memcpy(ret_identity->cluster_id, ca->cluster_id, UUID_TEXT_SIZE);
    (void)snprintf(ret_identity->name, TLS_NAME_SIZE, "%s", is_control ? "" : order->name);
    return 0;
}

static int add_name(gnutls_x509_crt_t crt, gnutls_x509_subject_alt_name_t type, const void *bytes,
                    size_t n)
{
    return gnutls_x509_crt_set_subject_alt_name(crt, type, bytes, (unsigned int)n,
                                                GNUTLS_FSAN_APPEND);
}

static int set_names(gnutls_x509_crt_t crt, const char *uri, const struct tls_names *names)
{
    int r = add_name(crt, GNUTLS_SAN_URI, uri, strlen(uri));

    for (size_t i = 0; r >= 0 && i < names->host_count; i++)
        r = add_name(crt, GNUTLS_SAN_DNSNAME, names->hosts[i], strlen(names->hosts[i]));
    for (size_t i = 0; r >= 0 && i < names->addr_count; i++) {
        uint32_t addr_be = htonl(names->addrs[i]);

        r = add_name(crt, GNUTLS_SAN_IPADDRESS, &addr_be, sizeof addr_be);
    }
    return r;
}

static int set_purposes(gnutls_x509_crt_t crt, enum tls_kind kind)
{
    int r = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);

    if (r >= 0)
        r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (r >= 0 && purposes[kind].is_client)
        r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    if (r >= 0 && purposes[kind].is_server)
        r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    return r;
}

static int fill(gnutls_x509_crt_t crt, const struct tls_ca *ca, const struct tls_cert_order *order,
                const struct tls_identity *identity)
{
    const char *word = tls_kind_word(identity->kind);
    int64_t from = ca->cert->facts.not_before, end = ca->cert->facts.not_after;
    char uri[TLS_URI_SIZE];
    int r;

    if (from < order->now - TLS_BACKDATE_S)
        from = order->now - TLS_BACKDATE_S;
    if (order->life_s < end - order->now)
        end = order->now + order->life_s;
    tls_identity_to_uri(identity, uri);
    r = gnutls_x509_crt_set_version(crt, 3);
    if (r >= 0)
        r = set_serial(crt);
    if (r >= 0)
        r = set_life(crt, from, end);
    if (r >= 0)
        r = set_subject(crt, identity->cluster_id, identity->name[0] ? identity->name : word);
    if (r >= 0)
        r = set_names(crt, uri, &order->names);
    return r < 0 ? r : set_purposes(crt, identity->kind);
}

int tls_ca_issue(const struct tls_ca *ca, const struct tls_public_key *key,
                 const struct tls_cert_order *order, struct tls_cert **ret_cert)
{
    AUTO_CRT gnutls_x509_crt_t crt = NULL;
    struct tls_identity identity;
    int r = check_order(ca, order, &identity);

    if (r < 0)
        return r;
    r = gnutls_x509_crt_init(&crt);
    if (r >= 0)
        r = fill(crt, ca, order, &identity);
    if (r >= 0)
        r = gnutls_x509_crt_set_pubkey(crt, key->handle);
    if (r >= 0)
        r = set_key_ids(crt, key->spki, ca->cert->facts.spki);
    if (r >= 0)
        r = gnutls_x509_crt_sign2(crt, ca->cert->handle, ca->key->handle, GNUTLS_DIG_SHA256, 0);
    if (r < 0)
        return tls_fail(r, "issue a certificate");
    return read_back(crt, ret_cert);
}
