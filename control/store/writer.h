/* The store's thread: the loop hands change sets in and gets them back with their outcome.
 *
 *     loop ── writer_submit ──> queue ──> thread: all that is queued, one commit ──> done(change)
 *
 * While one commit is on its way to the disk the next ones gather, and go together. So the cost of
 * a durable write is shared, and the loop never waits for a disk.
 */
#pragma once

#include <stddef.h>

#include "control/store/store.h"
#include "lib/base/loop.h"

struct writer;

struct writer_callbacks {
    /* A change set with its outcome, in the order of submission; it is the receiver's again. */
    void (*done)(struct store_change *change, void *data);
    /* Once: the store failed and what it holds is unknown. done is not called any more. */
    void (*broken)(const char *text, void *data);
    void *data;
};

struct writer_stats {
    uint64_t commits; /* that went through */
    uint64_t changes; /* in them, probes not counted */
    uint64_t commits_full;
    int64_t commit_us; /* time of all commits that went through */
};

/* store (borrowed) is the thread's until writer_free(). */
int writer_new(struct loop *loop, struct store *store, const struct writer_callbacks *callbacks,
               struct writer **ret_writer);
/* Waits for the thread to commit what is queued; nothing is called back any more. */
void writer_free(struct writer *writer);

void writer_submit(struct writer *writer, struct store_change *change);
/* Change sets that are submitted and not yet called back. */
size_t writer_pending(const struct writer *writer);
const struct writer_stats *writer_stats(const struct writer *writer);
