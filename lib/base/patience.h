/* How often one thing may be repaired. Ten times at once is fine (somebody tries things out); what
 * has to be repaired over and over is being fought for by another program, or the kernel keeps
 * refusing it, and then each repair waits longer, up to 5 s, instead of keeping the machine busy.
 * A repair is forgotten after 2 s of peace. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: never repaired. */
struct patience {
    unsigned int count;    /* repairs not forgotten yet */
    int64_t last_ms;       /* the latest repair, or the end of the wait for it */
    int64_t wait_until_ms; /* no repair before this */
};

/* May it be repaired now? If not: at wait_until_ms. */
bool patience_allows(const struct patience *patience, int64_t now_ms);
/* It is repaired now. True when this one is the first too many: worth saying, once a fight. */
bool patience_note(struct patience *patience, int64_t now_ms);
/* Whether nothing has happened for so long that it can be forgotten. */
bool patience_is_over(const struct patience *patience, int64_t now_ms);
