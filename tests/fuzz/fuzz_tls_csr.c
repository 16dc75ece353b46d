/* Any text as a certificate request, or a private key: what is taken has a key that can be used.
 * What does not begin as PEM is DER, and gets its PEM here, or no mutation would get through the
 * Base64. */
#include <gnutls/gnutls.h>
#include <stdbool.h>
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

static void request(const char *text, size_t n)
{
    static const struct sha256 nothing;
    AUTO_TLS_PUBLIC_KEY struct tls_public_key *half = NULL;
    struct sha256 spki;

    if (tls_csr_from_pem(text, n, &half) < 0)
        return;
    spki = tls_public_key_spki(half);
    if (sha256_equal(&spki, &nothing))
        abort();
}

/* In exactly its own memory: nothing behind it may be read. */
static char *to_pem(const char *title, const uint8_t *bytes, size_t n, size_t *ret_n)
{
    const gnutls_datum_t der = {(unsigned char *)(uintptr_t)bytes, (unsigned int)n};
    gnutls_datum_t out;
    char *pem;

    if (gnutls_pem_base64_encode2(title, &der, &out) < 0)
        abort();
    pem = mem_copy(out.data, out.size);
    *ret_n = out.size;
    gnutls_free(out.data);
    return pem;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO_FREE char *first = NULL, *second = NULL;
    size_t first_n = n, second_n = n;
    bool is_der = n > 0 && bytes[0] == 0x30; /* a SEQUENCE */

    first = is_der ? to_pem("CERTIFICATE REQUEST", bytes, n, &first_n) : mem_copy(bytes, n);
    second = is_der ? to_pem("PRIVATE KEY", bytes, n, &second_n) : mem_copy(bytes, n);
    request(first, first_n);
    private_key(second, second_n);
    return 0;
}
