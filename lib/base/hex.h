/* Bytes as hexadecimal digits. */
#pragma once

#include <stddef.h>

/* Writes n bytes as 2n lower-case digits and a NUL; returns where the NUL is. The bytes may stand
 * in the second half of the 2n that are written. */
char *hex_write(const void *bytes, size_t n, char *ret_text);

/* The value of a digit of either case; -1: it is none. */
int hex_digit(char c);
