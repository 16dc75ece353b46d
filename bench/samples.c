/* Measured durations, kept one by one: no bucket rounds a tail away. */
#include "bench/samples.h"

#include <stdlib.h>
#include <time.h>

#include "lib/base/mem.h"

void samples_deinit(struct samples *s)
{
    free(s->us);
    *s = (struct samples){0};
}

void samples_add(struct samples *s, int64_t us)
{
    if (s->count == s->size) {
        s->size = s->size ? 2 * s->size : 1024;
        s->us = mem_resize(s->us, s->size, sizeof *s->us);
    }
    s->us[s->count++] = us;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

double samples_percentile_ms(struct samples *s, double share)
{
    size_t rank = (size_t)((double)s->count * share);

    if (s->count == 0)
        return 0;
    qsort(s->us, s->count, sizeof *s->us, compare);
    return (double)s->us[rank < s->count ? rank : s->count - 1] / 1000;
}

int64_t bench_now_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}
