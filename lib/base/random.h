/* Random numbers from the kernel, and what is made of them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define UUID_TEXT_SIZE 37 /* 36 characters and the NUL */

void random_bytes(void *buf, size_t n);
uint64_t random_u64(void);

/* A version 4 UUID (RFC 9562 section 5.4), lower case. */
void random_uuid(char ret_text[static UUID_TEXT_SIZE]);

/* A version 7 UUID (RFC 9562 section 5.7), lower case: later ones sort behind earlier ones, to the
 * millisecond; 74 bits are random. */
void random_uuid_at(int64_t unix_ms, char ret_text[static UUID_TEXT_SIZE]);

/* n random bytes as 2n lower-case hex digits and a NUL. */
void random_hex(char *ret_text, size_t n);
