/* Any bytes as a certificate in DER: reading ends, what is found is text that can be shown, and
 * its PEM says the same. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/parse.h"
#include "lib/tls/cert.h"
#include "tests/fuzz/fuzz.h"

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

static void check_text(const char *text)
{
    for (const char *p = text; *p; p++)
        check((unsigned char)*p >= ' ' && *p != 0x7f);
}

static void check_identity(const struct tls_cert *cert)
{
    struct tls_identity identity, again;
    char uri[TLS_URI_SIZE];

    if (tls_cert_identity(cert, &identity) < 0)
        return;
    tls_identity_to_uri(&identity, uri);
    check(tls_identity_from_uri(uri, strlen(uri), &again) == 0);
    check(strcmp(again.name, identity.name) == 0 && again.kind == identity.kind);
}

static void check_addrs(const struct tls_cert *cert)
{
    uint32_t addrs[4];
    size_t count = tls_cert_addrs(cert, addrs, 4);
    const struct tls_names names = {.addrs = addrs, .addr_count = count};

    check(count <= 4 && tls_cert_covers(cert, &names));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const uint32_t addrs[] = {0x7f000001};
    static const char *const hosts[] = {"localhost"};
    const struct tls_names names = {hosts, 1, addrs, 1};
    AUTO_TLS_CERT struct tls_cert *cert = NULL, *again = NULL;
    AUTO_FREE char *pem = NULL;

    if (tls_cert_from_der(bytes, n, &cert) < 0)
        return 0;
    check_text(tls_cert_facts(cert)->subject);
    check_text(tls_cert_facts(cert)->issuer);
    check_identity(cert);
    check_addrs(cert);
    (void)tls_cert_covers(cert, &names);
    (void)tls_cert_renew_at(tls_cert_facts(cert), n);
    pem = tls_cert_to_pem(cert);
    check(strlen(pem) > TLS_PEM_MAX || tls_cert_from_pem(pem, strlen(pem), &again) == 0);
    check(!again || strcmp(tls_cert_facts(again)->serial, tls_cert_facts(cert)->serial) == 0);
    return 0;
}
