/* SHA-256, for secrets at rest. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SHA256_HEX_SIZE 65

/* The SHA-256 of n bytes as 64 lower-case hex digits. */
void sha256_hex(const void *bytes, size_t n, char ret_text[static SHA256_HEX_SIZE]);

/* Whether two texts are the same, in a time that does not tell where they differ. */
bool secret_equal(const char *a, const char *b);
