/* Random numbers from getrandom(2), which cannot fail once the machine is up. */
#include "lib/base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *buf, size_t n)
{
    unsigned char *p = buf;

    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0)
            continue; /* EINTR before the pool is ready: the only failure a valid buffer can meet */
        p += got;
        n -= (size_t)got;
    }
}

uint64_t random_u64(void)
{
    uint64_t v;

    random_bytes(&v, sizeof v);
    return v;
}

/* The bytes come at once, into the text's second half, and are overtaken by their digits only when
 * they have been read. */
void random_hex(char *ret_text, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char *bytes = (unsigned char *)ret_text + n;

    random_bytes(bytes, n);
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = bytes[i];

        ret_text[2 * i] = digits[byte >> 4];
        ret_text[2 * i + 1] = digits[byte & 15];
    }
    ret_text[2 * n] = '\0';
}

static void write_uuid(unsigned char b[static 16], unsigned char version,
                       char ret_text[static UUID_TEXT_SIZE])
{
    b[6] = (unsigned char)((b[6] & 0x0f) | version << 4);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    (void)snprintf(ret_text, UUID_TEXT_SIZE,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                   b[14], b[15]);
}

void random_uuid(char ret_text[static UUID_TEXT_SIZE])
{
    unsigned char b[16];

    random_bytes(b, sizeof b);
    write_uuid(b, 4, ret_text);
}

/*      0          6    8
 *     [ unix_ms ][ random ... ]     big endian; version and variant as in all UUIDs
 */
void random_uuid_at(int64_t unix_ms, char ret_text[static UUID_TEXT_SIZE])
{
    unsigned char b[16];

    for (int i = 0; i < 6; i++)
        b[i] = (unsigned char)((uint64_t)unix_ms >> (40 - 8 * i));
    random_bytes(b + 6, sizeof b - 6);
    write_uuid(b, 7, ret_text);
}
