/* How many requests one identity may make: a number at once, then so many a second. Pure.
 *
 * Each request moves a time of its own on by its share of a second; who is further ahead of the
 * clock than his number at once reaches has to wait. Zeroes are a pace that nothing was taken of.
 */
#pragma once

#include <stdint.h>

struct pace_rule {
    unsigned int per_s; /* 1 to 1,000,000 */
    unsigned int at_once;
};

struct pace {
    int64_t paid_until_us;
};

/* 0: one is taken. Else the milliseconds to wait, at least 1, and nothing is taken. */
int64_t pace_take(struct pace *pace, const struct pace_rule *rule, int64_t now_ms);
