/* Hexadecimal digits. */
#include "lib/base/hex.h"

char *hex_write(const void *bytes, size_t n, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;

    for (size_t i = 0; i < n; i++) {
        unsigned char byte = in[i];

        ret_text[2 * i] = digits[byte >> 4];
        ret_text[2 * i + 1] = digits[byte & 15];
    }
    ret_text[2 * n] = '\0';
    return ret_text + 2 * n;
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}
