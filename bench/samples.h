/* Durations that were measured, and what is said about them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A zeroed struct is empty. */
struct samples {
    int64_t *us; /* owned */
    size_t count;
    size_t size;
};

void samples_deinit(struct samples *samples);
void samples_add(struct samples *samples, int64_t us);
/* Sorts them. share: 0.5 is the median, 1 the worst. 0 when there are none. */
double samples_percentile_ms(struct samples *samples, double share);

/* The clock they are measured by. */
int64_t bench_now_us(void);
