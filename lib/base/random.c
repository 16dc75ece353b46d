/* Random numbers from getrandom(2), which cannot fail once the machine is up. */
#include "lib/base/random.h"

#include <sys/random.h>

#include "lib/base/hex.h"
#include "lib/base/mem.h"

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
    random_bytes(ret_text + n, n);
    (void)hex_write(ret_text + n, n, ret_text);
}

static void write_uuid(unsigned char b[static 16], unsigned char version,
                       char ret_text[static UUID_TEXT_SIZE])
{
    static const size_t ends[] = {4, 6, 8, 10, 16}; /* of the groups, in bytes */
    size_t from = 0;

    b[6] = (unsigned char)((b[6] & 0x0f) | version << 4);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        if (i > 0)
            *ret_text++ = '-';
        ret_text = hex_write(b + from, ends[i] - from, ret_text);
        from = ends[i];
    }
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
