/* Which of the overlay's objects have been repaired, and how often: each has patience of its own,
 * so that a fight over one does not slow another. Pure.
 */
#pragma once

#include "agent/overlay/diff.h"
#include "lib/base/hash.h"
#include "lib/base/patience.h"

enum repairs_answer {
    REPAIRS_GO,
    REPAIRS_FIGHT,    /* go, but say that somebody else keeps changing it; once for each fight */
    REPAIRS_FIGHT_ON, /* go; somebody else still does */
    REPAIRS_WAIT
};

struct repairs_entry {
    uint64_t key;
    struct patience patience;
    UT_hash_handle hh;
};

struct repairs {
    struct repairs_entry *by_key;
};

void repairs_deinit(struct repairs *repairs);

/* May this change, a repair, be written now? REPAIRS_WAIT: not before *ret_due_ms. */
enum repairs_answer repairs_ask(struct repairs *repairs, const struct overlay_change *change,
                                int64_t now_ms, int64_t *ret_due_ms);

/* Forgets what has been quiet for long. */
void repairs_prune(struct repairs *repairs, int64_t now_ms);
