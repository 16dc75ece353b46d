/* Any text as a certificate request, or a private key: what is taken has a key that can be used. */
#include <stdlib.h>
#include <string.h>

#include "lib/tls/key.h"
#include "tests/fuzz/fuzz.h"

static void private_key(const char *text, size_t n)
{
    AUTO_TLS_KEY struct tls_key *key = NULL, *again = NULL;
    AUTO_SECRET char *pem = NULL;
    struct sha256 a, b;

    if (tls_key_from_pem(text, n, &key) < 0)
        return;
    pem = tls_key_to_pem(key);
    if (tls_key_from_pem(pem, strlen(pem), &again) < 0)
        abort();
    a = tls_key_spki(key);
    b = tls_key_spki(again);
    if (!sha256_equal(&a, &b))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const struct sha256 nothing;
    AUTO_TLS_PUBLIC_KEY struct tls_public_key *half = NULL;
    struct sha256 spki;

    private_key((const char *)bytes, n);
    if (tls_csr_from_pem((const char *)bytes, n, &half) < 0)
        return 0;
    spki = tls_public_key_spki(half);
    if (sha256_equal(&spki, &nothing))
        abort();
    return 0;
}
