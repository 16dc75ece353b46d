/* Base32, five bits a character. */
#include "lib/base/base32.h"

#include <assert.h>
#include <string.h>

#define BYTES_MAX 64

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

void base32_encode(const void *bytes, size_t n, char *ret_text)
{
    const unsigned char *p = bytes;
    unsigned int bits = 0, count = 0; /* count bits wait in the low end of bits */

    for (size_t i = 0; i < n; i++) {
        bits = (bits << 8 | p[i]) & 0xfff;
        for (count += 8; count >= 5; count -= 5)
            *ret_text++ = alphabet[bits >> (count - 5) & 31];
    }
    if (count > 0)
        *ret_text++ = alphabet[bits << (5 - count) & 31];
    *ret_text = '\0';
}

static int value_of(char c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    if (c >= '2' && c <= '7')
        return c - '2' + 26;
    return -1;
}

static int decode(const char *text, size_t text_len, unsigned char *bytes, size_t n)
{
    unsigned int bits = 0, count = 0;
    size_t used = 0;

    for (size_t i = 0; i < text_len; i++) {
        int value = value_of(text[i]);

        if (value < 0)
            return BASE32_BAD_CHARACTER;
        bits = (bits << 5 | (unsigned int)value) & 0xfff;
        count += 5;
        if (count >= 8 && used < n) {
            count -= 8;
            bytes[used++] = (unsigned char)(bits >> count & 0xff);
        }
    }
    return (bits & ((1U << count) - 1)) != 0 ? BASE32_LEFT_OVER : 0;
}

int base32_decode(const char *text, size_t text_len, void *ret_bytes, size_t n)
{
    unsigned char bytes[BYTES_MAX] = {0};
    int r;

    assert(n <= sizeof bytes);
    if (text_len != BASE32_LEN(n))
        return BASE32_BAD_LENGTH;
    r = decode(text, text_len, bytes, n);
    if (r == 0)
        memcpy(ret_bytes, bytes, n);
    explicit_bzero(bytes, sizeof bytes); /* it may be half a secret */
    return r;
}
