/* The largest packet that gets through to a peer: the largest that should, and where that does not
 * pass, halves between what passes and what does not. Pure.
 *
 * Packets are lost for other reasons, too. Each is sent with a small one beside it: a size has
 * failed only when several of it were lost while small ones were answered; and where less passes
 * than was known to, what should pass is tried once more before that is told.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What every host must take (RFC 791): not tried. */
#define LADDER_FLOOR_BYTES 576

struct ladder {
    uint32_t top_bytes;     /* what should pass; 0: not known yet */
    uint32_t passed_bytes;  /* of this search: the largest that did, */
    uint32_t failed_bytes;  /* and the smallest that did not; above the top: none */
    unsigned int tries;     /* of the size at hand, */
    unsigned int heard;     /* and answers to small ones meanwhile */
    int64_t next_ms;        /* when to try again */
    bool is_searching;      /* the first try was lost: now it takes many packets */
    uint32_t found_bytes;   /* by the latest search, to be confirmed; 0: nothing is */
    uint32_t largest_bytes; /* what is told; 0: not known */
};

/* What should pass; another value begins a search. */
void ladder_set_top(struct ladder *ladder, uint32_t top_bytes, int64_t now_ms);
/* The size to send now, with a small packet beside it, or 0. Asking counts as a try. may_search
 * false: the first one only, no search is begun. */
uint32_t ladder_try(struct ladder *ladder, bool may_search, int64_t now_ms);
/* When it should be asked, after its first try; INT64_MAX: a first one is to be made, which has no
 * time of its own, or one that would begin a search. */
int64_t ladder_due_ms(const struct ladder *ladder, bool may_search);
/* A packet of this size has arrived. */
void ladder_passed(struct ladder *ladder, uint32_t bytes, int64_t now_ms);
/* A small one was answered. */
void ladder_heard(struct ladder *ladder);
/* What should pass does not. */
bool ladder_is_short(const struct ladder *ladder);
