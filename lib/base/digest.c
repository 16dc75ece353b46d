/* SHA-256 by GnuTLS. */
#include "lib/base/digest.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "lib/base/hex.h"

struct sha256 sha256_of(const void *bytes, size_t n)
{
    struct sha256 digest = {{0}};

    /* SHA-256 is always there; a GnuTLS without it ends here rather than hashing to zeros. */
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, n, digest.bytes) < 0)
        __builtin_trap();
    return digest;
}

void sha256_format(const struct sha256 *digest, char ret_text[static SHA256_HEX_SIZE])
{
    (void)hex_write(digest->bytes, SHA256_SIZE, ret_text);
}

bool sha256_equal(const struct sha256 *a, const struct sha256 *b)
{
    return gnutls_memcmp(a->bytes, b->bytes, SHA256_SIZE) == 0;
}

void sha256_hex(const void *bytes, size_t n, char ret_text[static SHA256_HEX_SIZE])
{
    struct sha256 digest = sha256_of(bytes, n);

    sha256_format(&digest, ret_text);
}

bool secret_equal(const char *a, const char *b)
{
    size_t n = strlen(a);

    return strlen(b) == n && gnutls_memcmp(a, b, n) == 0;
}
