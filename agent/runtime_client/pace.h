/* How soon one route is asked for again: a route that the runtime could not make, or said to have
 * made and the kernel does not show, is not asked for in a circle. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pace {
    unsigned int tries; /* in a row, without a quiet while between */
    int64_t last_ms;
    int64_t not_before_ms;
};

/* A call ended, in failure or not. */
void pace_ended(struct pace *pace, bool is_ok, int64_t now_ms);
