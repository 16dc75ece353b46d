/* The state file: DIR/runtime.json, its predecessor beside it, and a lock. Touches the disk.
 *
 *     {"sha256": "<of the state's compact text>", "state": {...}}
 *
 * A save leaves the old file or the new one, never half. A file that does not pass its checksum is
 * put aside as runtime.json.damaged and the previous one, runtime.json.1, is taken.
 */
#pragma once

#include "runtime/state.h"

struct store {
    char *dir;
    char *path;
    char *previous;
    char *damaged;
    int lock_fd;
};

/* Makes the directory, takes the lock. -EWOULDBLOCK: another runtime uses it. */
int store_open(const char *dir, struct store *ret_store);
void store_close(struct store *store);

enum store_outcome {
    STORE_EMPTY = 1, /* there is none; *ret_state is untouched */
    STORE_PREVIOUS   /* the last save is lost, this is the one before */
};

/* 0 or an outcome; -EBADMSG when neither file is whole, the text says what to do. */
int store_load(struct store *store, struct state *ret_state);
/* On disk when it returns 0. */
int store_save(struct store *store, const struct state *state);
/* Removes all that was saved. */
int store_erase(struct store *store);
