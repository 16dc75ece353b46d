/* What a file says of the log that it needs, as the text of its row. */
#include "control/store/wal_need.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SALT_AT 5
#define SALT_DIGITS 8
#define BYTES_AT 20
#define BYTES_DIGITS 12
#define SUM_AT 32 /* " sum=" and the digits: of what is before */
#define BYTES_MAX ((UINT64_C(1) << 4 * BYTES_DIGITS) - 1)

/* FNV-1a. */
static uint32_t sum_of(const char *text, size_t n)
{
    uint32_t sum = 2166136261U;

    for (size_t i = 0; i < n; i++)
        sum = (sum ^ (unsigned char)text[i]) * 16777619U;
    return sum;
}

void wal_need_print(const struct wal_need *need, char ret_text[static WAL_NEED_SIZE])
{
    (void)snprintf(ret_text, WAL_NEED_SIZE, "salt=%08" PRIx32 " bytes=%012" PRIx64, need->salt,
                   need->bytes & BYTES_MAX);
    (void)snprintf(ret_text + SUM_AT, WAL_NEED_SIZE - SUM_AT, " sum=%08" PRIx32,
                   sum_of(ret_text, SUM_AT));
}

/* What is no digit makes another text when it is printed again. */
static uint64_t read_hex(const char *text, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++) {
        const char *digit = memchr(digits, text[i], sizeof digits - 1);

        value = value << 4 | (digit ? (uint64_t)(digit - digits) : 0);
    }
    return value;
}

bool wal_need_parse(const char *text, struct wal_need *ret_need)
{
    char again[WAL_NEED_SIZE];
    struct wal_need need = {0};

    if (strcmp(text, "0") != 0) {
        if (strlen(text) != WAL_NEED_SIZE - 1)
            return false;
        need.salt = (uint32_t)read_hex(text + SALT_AT, SALT_DIGITS);
        need.bytes = read_hex(text + BYTES_AT, BYTES_DIGITS);
        wal_need_print(&need, again);
        if (strcmp(text, again) != 0)
            return false;
    }
    *ret_need = need;
    return true;
}
