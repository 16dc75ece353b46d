/* What a daemon remembers: DIR/NAME.json, the save before it beside it, and a lock on DIR.
 *
 *     {"sha256":"<64 hex digits>","content":{...}}
 *
 * The checksum is over the bytes of the content as they stand in the file. A save leaves the old
 * file or the new one, never half of one, and at every moment one of the two names is a whole file.
 * A file that is damaged is put aside as NAME.json.damaged, so that no later save can take it for
 * the one before. Touches the disk.
 */
#pragma once

#include "lib/base/json.h"

struct state_file {
    char *path;
    char *previous;
    char *damaged;
    int lock_fd;
};

/* Makes the directory, takes the lock. -EWOULDBLOCK: another process uses it. */
int state_file_open(const char *dir, const char *name, struct state_file *ret_file);
/* Also of a zeroed one whose lock_fd is -1. */
void state_file_close(struct state_file *file);

/* Understands the content, or fails with a text and leaves what data points to as it was. */
typedef int (*state_file_read_fn)(const json_t *content, void *data);

enum state_file_outcome {
    STATE_FILE_NONE = 1, /* nothing was saved yet */
    STATE_FILE_PREVIOUS, /* the last save is lost, this is the one before */
    STATE_FILE_DAMAGED   /* neither can be used; the text says why, and both are left in place */
};

/* 0: the last save, or an outcome; negative when the disk fails. */
int state_file_load(const struct state_file *file, state_file_read_fn read, void *data);
/* On disk when it returns 0. content: the JSON text of an object. */
int state_file_save(const struct state_file *file, const char *content);
/* Removes both saves. */
int state_file_erase(const struct state_file *file);
