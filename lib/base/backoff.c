/* Growing pauses with full jitter. */
#include "lib/base/backoff.h"

int64_t backoff_next_ms(struct backoff *b, uint64_t random)
{
    int64_t ceiling_ms = b->base_ms;

    for (unsigned int i = 0; i < b->attempts && ceiling_ms < b->max_ms; i++)
        ceiling_ms *= 2;
    if (ceiling_ms > b->max_ms)
        ceiling_ms = b->max_ms;
    b->attempts++;
    if (ceiling_ms <= b->min_ms)
        return b->min_ms;
    return b->min_ms + (int64_t)(random % (uint64_t)(ceiling_ms - b->min_ms + 1));
}

void backoff_reset(struct backoff *b)
{
    b->attempts = 0;
}
