/* Base32 as people can read it out: RFC 4648 section 6 in lower case, without padding. */
#pragma once

#include <stddef.h>

/* The characters that n bytes make. */
#define BASE32_LEN(n) (((n)*8 + 4) / 5)

/* Writes BASE32_LEN(n) characters and a NUL. */
void base32_encode(const void *bytes, size_t n, char *ret_text);

enum base32_outcome {
    BASE32_BAD_LENGTH = 1, /* text_len is not BASE32_LEN(n) */
    BASE32_BAD_CHARACTER,  /* not of a to z, 2 to 7 */
    BASE32_LEFT_OVER       /* the bits of the last character beyond the last byte are not zero */
};

/* Reads exactly n bytes from text_len characters; *ret_bytes is written only on success. Each text
 * that is taken is the only one of its bytes. n is 64 at most. */
int base32_decode(const char *text, size_t text_len, void *ret_bytes, size_t n);
