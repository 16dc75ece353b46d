/* Whether files have changed, without reading them. */
#include <sys/stat.h>

#include "lib/base/file.h"

/* FNV-1a: unlike in a sum, two changes do not cancel out. */
#define STAMP_BEGIN 14695981039346656037ULL
#define STAMP_PRIME 1099511628211ULL

static uint64_t mix(uint64_t stamp, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        stamp = (stamp ^ (value >> (8 * i) & 0xff)) * STAMP_PRIME;
    return stamp;
}

uint64_t file_stamp(const char *const paths[], size_t count)
{
    uint64_t stamp = STAMP_BEGIN;

    for (size_t i = 0; i < count; i++) {
        struct stat st = {.st_ino = 0};

        if (paths[i] && stat(paths[i], &st) < 0)
            st = (struct stat){.st_ino = 0};
        stamp = mix(stamp, st.st_ino);
        stamp = mix(stamp, (uint64_t)st.st_size);
        stamp = mix(stamp, (uint64_t)st.st_mtim.tv_sec);
        stamp = mix(stamp, (uint64_t)st.st_mtim.tv_nsec);
    }
    return stamp;
}
