/* Which records there are, and under which keys: what decides whether an operation fits, without a
 * look into the file. Pure.
 *
 *     apply, apply, ...  ──> the disk has them ──> index_keep
 *                                        └───────> index_undo: as if they had never been
 *
 * It is filled with what the file holds, and rests on nothing else: neither on what the registry
 * has in memory, nor on its rules.
 */
#pragma once

#include "control/store/store.h"

struct index;

struct index *index_new(void);
void index_free(struct index *index);

/* A record that is stored, in this row of the file. STORE_CONFLICT, with a text, when the file has
 * it or its key twice. key: NULL: none. */
int index_add(struct index *index, const struct store_record *record, const char *key, int64_t row);

/* All operations of the change set, one after another: STORE_DONE, with the row of each (a record
 * that is created gets a row behind all others), or STORE_CONFLICT and nothing has happened. */
int index_apply(struct index *index, const struct store_change *change, uint64_t revision,
                int64_t ret_rows[static STORE_OPS_MAX]);
/* What was applied since the latest of these two is stored, or is not. */
void index_keep(struct index *index);
void index_undo(struct index *index);
