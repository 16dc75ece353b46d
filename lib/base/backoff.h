/* Growing pauses between attempts, with full jitter: each pause is drawn evenly from
 * [min_ms, base_ms * 2^attempts], capped at max_ms, so that many clients of one dead server do not
 * come back together. */
#pragma once

#include <stdint.h>

struct backoff {
    int64_t min_ms;
    int64_t base_ms;
    int64_t max_ms;
    unsigned int attempts; /* since the last success */
};

/* The pause before the next attempt; random is any random number (random_u64). */
int64_t backoff_next_ms(struct backoff *b, uint64_t random);

/* After a success. */
void backoff_reset(struct backoff *b);
