/* The state on its way to the disk and back: DIR/runtime.json and its journal, as
 * lib/base/state_file.h keeps them. Touches the disk. */
#pragma once

#include "lib/base/state_file.h"
#include "runtime/state.h"

/* 0 or an outcome of state_file_load() but STATE_FILE_DAMAGED: that is -EBADMSG, with a text that
 * says what to do. With STATE_FILE_NONE *ret_state is untouched. */
int state_disk_load(struct state_file *file, struct state *ret_state);
/* On disk when it returns 0. */
int state_disk_store(struct state_file *file, const struct state *state);
/* Likewise; from is what was stored last. Costs what has changed when that is routes. */
int state_disk_store_change(struct state_file *file, const struct state *from,
                            const struct state *to);
/* For what is in force already: a failure is logged, and mended by the next change. */
void state_disk_save(struct state_file *file, const struct state *state);
