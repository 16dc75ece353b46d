/* How often one object may be repaired. Ten times at once is fine (somebody tries things out); an
 * object that is altered over and over is being fought for by another program, and then each repair
 * waits longer, up to 5 s, instead of both spinning. Pure.
 */
#pragma once

#include <stdint.h>

#include "agent/overlay/diff.h"
#include "lib/base/hash.h"

enum patience_answer {
    PATIENCE_GO,
    PATIENCE_FIGHT, /* go, but say that somebody else keeps changing it; once for each fight */
    PATIENCE_WAIT
};

struct patience_entry {
    uint64_t key;
    unsigned int count;
    int64_t last_ms;
    int64_t wait_until_ms;
    UT_hash_handle hh;
};

struct patience {
    struct patience_entry *by_key;
};

void patience_deinit(struct patience *patience);

/* May this change, a repair, be written now? PATIENCE_WAIT: not before *ret_due_ms. */
enum patience_answer patience_ask(struct patience *patience, const struct overlay_change *change,
                                  int64_t now_ms, int64_t *ret_due_ms);

/* Forgets what has been quiet for long. */
void patience_prune(struct patience *patience, int64_t now_ms);
