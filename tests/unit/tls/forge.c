/* Certificates as no CA of ours makes them. */
#include "tests/unit/tls/forge.h"

#include <string.h>

#include "lib/tls/internal.h"
#include "tests/unit/cmocka.h"

#define PROVED(call) assert_true((call) >= 0)

static void set_purposes(gnutls_x509_crt_t crt, unsigned int purposes)
{
    if (purposes & FORGE_CLIENT)
        PROVED(gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0));
    if (purposes & FORGE_SERVER)
        PROVED(gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0));
    if (purposes & FORGE_OTHER)
        PROVED(gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_ANY, 0));
}

static void set_names(gnutls_x509_crt_t crt, const struct forge_order *order)
{
    for (size_t i = 0; i < ARRAY_LEN(order->uris) && order->uris[i]; i++)
        PROVED(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, order->uris[i],
                                                    (unsigned int)strlen(order->uris[i]),
                                                    GNUTLS_FSAN_APPEND));
    if (order->host)
        PROVED(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, order->host,
                                                    (unsigned int)strlen(order->host),
                                                    GNUTLS_FSAN_APPEND));
}

static void set_extensions(gnutls_x509_crt_t crt, const struct forge_order *order)
{
    PROVED(gnutls_x509_crt_set_basic_constraints(crt, order->is_ca, -1));
    if (!order->has_no_usage)
        PROVED(gnutls_x509_crt_set_key_usage(crt, order->is_ca ? GNUTLS_KEY_KEY_CERT_SIGN
                                                               : GNUTLS_KEY_DIGITAL_SIGNATURE));
    if (order->has_odd_extension)
        PROVED(gnutls_x509_crt_set_extension_by_oid(crt, "1.2.3.4.5", "\x05", 2, 1));
    set_purposes(crt, order->purposes);
    set_names(crt, order);
}

static struct tls_cert *read_again(gnutls_x509_crt_t crt)
{
    struct tls_cert *cert = NULL;
    gnutls_datum_t der;

    PROVED(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der));
    assert_int_equal(tls_cert_from_der(der.data, der.size, &cert), 0);
    gnutls_free(der.data);
    return cert;
}

struct tls_cert *forge_signed(const struct tls_key *key, const struct tls_cert *issuer,
                              const struct tls_key *issuer_key, const struct forge_order *order)
{
    const char *name = order->name ? order->name : "forged";
    struct tls_cert *cert;
    gnutls_x509_crt_t crt;

    PROVED(gnutls_x509_crt_init(&crt));
    PROVED(gnutls_x509_crt_set_version(crt, 3));
    PROVED(gnutls_x509_crt_set_serial(crt, "\x01\x02", 2));
    PROVED(gnutls_x509_crt_set_activation_time(crt,
                                               order->not_before ? order->not_before : NOW - HOUR));
    PROVED(
        gnutls_x509_crt_set_expiration_time(crt, order->not_after ? order->not_after : NOW + DAY));
    PROVED(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                         (unsigned int)strlen(name)));
    PROVED(gnutls_x509_crt_set_key(crt, key->handle));
    set_extensions(crt, order);
    PROVED(gnutls_x509_crt_sign2(crt, issuer ? issuer->handle : crt, issuer_key->handle,
                                 GNUTLS_DIG_SHA256, 0));
    cert = read_again(crt);
    gnutls_x509_crt_deinit(crt);
    return cert;
}

struct tls_cert *forge_cert(const struct tls_key *key, const struct tls_ca *issuer,
                            const struct forge_order *order)
{
    return forge_signed(key, issuer ? tls_ca_cert(issuer) : NULL, issuer ? tls_ca_key(issuer) : key,
                        order);
}

unsigned char *forge_der(const struct tls_cert *cert, size_t *ret_n)
{
    unsigned char *bytes;
    gnutls_datum_t der;

    PROVED(gnutls_x509_crt_export2(cert->handle, GNUTLS_X509_FMT_DER, &der));
    bytes = mem_copy(der.data, der.size);
    *ret_n = der.size;
    gnutls_free(der.data);
    return bytes;
}

struct tls_cert *forge_broken(const struct tls_cert *cert)
{
    struct tls_cert *broken = NULL;
    size_t n;
    AUTO_FREE unsigned char *der = forge_der(cert, &n);

    der[n - 1] ^= 1;
    assert_int_equal(tls_cert_from_der(der, n, &broken), 0);
    return broken;
}
