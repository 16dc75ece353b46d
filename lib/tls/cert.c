/* Certificates, read: what they say is copied once, into plain facts. */
#include "lib/tls/cert.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/base/strbuf.h"
#include "lib/tls/internal.h"

/* ---- reading ------------------------------------------------------------------------------- */

/* A distinguished name is somebody else's text; it goes into logs. */
static void copy_name(gnutls_datum_t *name, char ret_text[static TLS_DN_SIZE])
{
    AUTO_STRBUF struct strbuf safe = {0};
    AUTO_FREE char *text = tls_take_text(name);

    strbuf_add_printable(&safe, text);
    (void)snprintf(ret_text, TLS_DN_SIZE, "%s", safe.data ? safe.data : "");
}

static int read_names(gnutls_x509_crt_t handle, struct tls_cert_facts *facts)
{
    gnutls_datum_t name;
    int r = gnutls_x509_crt_get_dn3(handle, &name, 0);

    if (r >= 0)
        copy_name(&name, facts->subject);
    if (r >= 0 || r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        r = gnutls_x509_crt_get_issuer_dn3(handle, &name, 0);
    if (r >= 0)
        copy_name(&name, facts->issuer);
    return r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ? 0 : r;
}

static int read_serial(gnutls_x509_crt_t handle, struct tls_cert_facts *facts)
{
    unsigned char serial[(TLS_SERIAL_SIZE - 1) / 2];
    size_t n = sizeof serial;
    int r = gnutls_x509_crt_get_serial(handle, serial, &n);

    for (size_t i = 0; r >= 0 && i < n; i++)
        (void)snprintf(facts->serial + 2 * i, 3, "%02x", serial[i]);
    return r;
}

static int read_keys(gnutls_x509_crt_t handle, struct tls_cert_facts *facts)
{
    size_t n = SHA256_SIZE;
    struct sha256 id;
    int r = gnutls_x509_crt_get_key_id(handle, GNUTLS_KEYID_USE_SHA256, facts->spki.bytes, &n);

    if (r < 0)
        return r;
    n = SHA256_SIZE;
    if (gnutls_x509_crt_get_authority_key_id(handle, id.bytes, &n, NULL) >= 0 && n == SHA256_SIZE)
        facts->issuer_spki = id;
    return 0;
}

static int read_facts(gnutls_x509_crt_t handle, struct tls_cert_facts *facts)
{
    unsigned int is_critical, is_ca = 0;
    int r = read_names(handle, facts);

    if (r >= 0)
        r = read_serial(handle, facts);
    if (r >= 0)
        r = read_keys(handle, facts);
    if (r < 0)
        return r;
    facts->not_before = gnutls_x509_crt_get_activation_time(handle);
    facts->not_after = gnutls_x509_crt_get_expiration_time(handle);
    if (facts->not_before == -1 || facts->not_after == -1)
        return GNUTLS_E_ASN1_DER_ERROR;
    r = gnutls_x509_crt_get_basic_constraints(handle, &is_critical, &is_ca, NULL);
    facts->is_ca = is_ca != 0;
    return r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ? 0 : r;
}

static int fail_import(const void *bytes, size_t n, gnutls_x509_crt_fmt_t format, int code)
{
    bool is_pem = format == GNUTLS_X509_FMT_PEM;
    const char *words = is_pem ? tls_pem_words(bytes, n, TLS_PEM_CERT) : NULL;

    return words ? err_fail(EINVAL, "not a certificate in PEM: %s", words)
                 : tls_fail(code, "not a certificate in %s", is_pem ? "PEM" : "DER");
}

static int import(const void *bytes, size_t n, gnutls_x509_crt_fmt_t format,
                  struct tls_cert **ret_cert)
{
    AUTO_TLS_CERT struct tls_cert *cert = NULL;
    gnutls_datum_t data = tls_datum(bytes, n);
    int r;

    if (n > TLS_PEM_MAX)
        return err_fail(EINVAL, "certificate: longer than %d bytes", TLS_PEM_MAX);
    cert = NEW(struct tls_cert);
    r = gnutls_x509_crt_init(&cert->handle);
    if (r >= 0)
        r = gnutls_x509_crt_import(cert->handle, &data, format);
    if (r >= 0)
        r = read_facts(cert->handle, &cert->facts);
    if (r < 0)
        return fail_import(bytes, n, format, r);
    *ret_cert = TAKE_PTR(cert);
    return 0;
}

int tls_cert_from_pem(const char *pem, size_t n, struct tls_cert **ret_cert)
{
    return import(pem, n, GNUTLS_X509_FMT_PEM, ret_cert);
}

int tls_cert_from_der(const void *der, size_t n, struct tls_cert **ret_cert)
{
    return import(der, n, GNUTLS_X509_FMT_DER, ret_cert);
}

void tls_cert_free(struct tls_cert *cert)
{
    if (cert && cert->handle)
        gnutls_x509_crt_deinit(cert->handle);
    free(cert);
}

char *tls_cert_to_pem(const struct tls_cert *cert)
{
    gnutls_datum_t out;

    if (gnutls_x509_crt_export2(cert->handle, GNUTLS_X509_FMT_PEM, &out) < 0)
        mem_exhausted(0); /* nothing else is left that can fail */
    return tls_take_text(&out);
}

struct tls_cert *tls_cert_copy(const struct tls_cert *cert)
{
    struct tls_cert *copy = NULL;
    gnutls_datum_t der;

    if (gnutls_x509_crt_export2(cert->handle, GNUTLS_X509_FMT_DER, &der) < 0)
        mem_exhausted(0); /* nothing else is left that can fail */
    if (tls_cert_from_der(der.data, der.size, &copy) < 0)
        mem_exhausted(der.size);
    gnutls_free(der.data);
    return copy;
}

const struct tls_cert_facts *tls_cert_facts(const struct tls_cert *cert)
{
    return &cert->facts;
}

bool tls_cert_is_for_key(const struct tls_cert *cert, const struct tls_key *key)
{
    const struct sha256 spki = tls_key_spki(key);

    return sha256_equal(&cert->facts.spki, &spki);
}

/* ---- names --------------------------------------------------------------------------------- */

struct name {
    unsigned int type; /* GNUTLS_SAN_... */
    size_t n;
    char bytes[256];
};

/* The index-th name: 0, GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE behind the last one. One that is
 * longer than any of ours has n = 0. */
static int get_name(const struct tls_cert *cert, unsigned int index, struct name *ret_name)
{
    unsigned int is_critical;
    int r;

    *ret_name = (struct name){.n = sizeof ret_name->bytes};
    r = gnutls_x509_crt_get_subject_alt_name2(cert->handle, index, ret_name->bytes, &ret_name->n,
                                              &ret_name->type, &is_critical);
    if (r == GNUTLS_E_SHORT_MEMORY_BUFFER)
        ret_name->n = 0;
    return r < 0 && r != GNUTLS_E_SHORT_MEMORY_BUFFER ? r : 0;
}

int tls_cert_identity(const struct tls_cert *cert, struct tls_identity *ret_identity)
{
    struct name name, uri = {0};
    unsigned int uris = 0, i = 0;
    int r;

    for (; (r = get_name(cert, i, &name)) == 0; i++)
        if (name.type == GNUTLS_SAN_URI) {
            uri = name;
            uris++;
        }
    if (r != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return tls_fail(r, "the names in the certificate");
    if (uris != 1)
        return err_fail(EINVAL, "the certificate has %u URIs among its names instead of one", uris);
    return tls_identity_from_uri(uri.bytes, uri.n, ret_identity);
}

static bool has_name(const struct tls_cert *cert, unsigned int type, const void *bytes, size_t n)
{
    struct name name;

    for (unsigned int i = 0; get_name(cert, i, &name) == 0; i++)
        if (name.type == type && name.n == n && memcmp(name.bytes, bytes, n) == 0)
            return true;
    return false;
}

bool tls_cert_covers(const struct tls_cert *cert, const struct tls_names *names)
{
    for (size_t i = 0; i < names->host_count; i++)
        if (!has_name(cert, GNUTLS_SAN_DNSNAME, names->hosts[i], strlen(names->hosts[i])))
            return false;
    for (size_t i = 0; i < names->addr_count; i++) {
        uint32_t addr_be = htonl(names->addrs[i]);

        if (!has_name(cert, GNUTLS_SAN_IPADDRESS, &addr_be, sizeof addr_be))
            return false;
    }
    return true;
}

bool tls_cert_is_for_host(const struct tls_cert *cert, const char *host)
{
    return gnutls_x509_crt_check_hostname(cert->handle, host) != 0;
}

char *tls_cert_host(const struct tls_cert *cert)
{
    struct name name;

    for (unsigned int i = 0; get_name(cert, i, &name) == 0; i++) {
        AUTO_FREE char *text = mem_printf("%.*s", (int)name.n, name.bytes);

        if (name.type == GNUTLS_SAN_DNSNAME && parse_hostname(text) == 0 &&
            strcmp(text, "localhost") != 0)
            return TAKE_PTR(text);
    }
    return NULL;
}

size_t tls_cert_addrs(const struct tls_cert *cert, uint32_t *ret_addrs, size_t max)
{
    struct name name;
    size_t count = 0;
    uint32_t addr_be;

    for (unsigned int i = 0; count < max && get_name(cert, i, &name) == 0; i++)
        if (name.type == GNUTLS_SAN_IPADDRESS && name.n == sizeof addr_be) {
            memcpy(&addr_be, name.bytes, sizeof addr_be);
            ret_addrs[count++] = ntohl(addr_be);
        }
    return count;
}

/* ---- renewal ------------------------------------------------------------------------------- */

#define RENEW_FROM_PERCENT 50
#define RENEW_SPAN_PERCENT 20

int64_t tls_cert_renew_at(const struct tls_cert_facts *facts, uint64_t random)
{
    int64_t made = facts->not_before + TLS_BACKDATE_S;
    int64_t begin = made < facts->not_after ? made : facts->not_before;
    int64_t life = facts->not_after - begin;
    int64_t span = life * RENEW_SPAN_PERCENT / 100;

    if (life <= 0)
        return facts->not_after;
    return begin + life * RENEW_FROM_PERCENT / 100 +
           (span > 0 ? (int64_t)(random % (uint64_t)span) : 0);
}
