/* SHA-256, for secrets at rest and for the names of keys. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SHA256_SIZE 32
#define SHA256_HEX_SIZE 65

struct sha256 {
    unsigned char bytes[SHA256_SIZE];
};

/* The SHA-256 of n bytes. */
struct sha256 sha256_of(const void *bytes, size_t n);
/* As 64 lower-case hex digits. */
void sha256_format(const struct sha256 *digest, char ret_text[static SHA256_HEX_SIZE]);
/* In a time that does not tell where they differ. */
bool sha256_equal(const struct sha256 *a, const struct sha256 *b);

/* The SHA-256 of n bytes as 64 lower-case hex digits. */
void sha256_hex(const void *bytes, size_t n, char ret_text[static SHA256_HEX_SIZE]);

/* Whether two texts are the same, in a time that does not tell where they differ. */
bool secret_equal(const char *a, const char *b);
