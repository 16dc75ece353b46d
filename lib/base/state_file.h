/* What a daemon remembers: DIR/NAME.json, the save before it beside it, what has changed since in
 * DIR/NAME.journal, and a lock on DIR.
 *
 *     {"sha256":"<64 hex digits>","content":{"save":"<16 hex digits>",...}}
 *
 * The checksum is over the bytes of the content as they stand in the file; the number in it makes
 * each save another one, so that a journal (lib/base/journal.h) belongs to exactly one. A save
 * leaves the old file or the new one, never half of one, and at every moment one of the two names
 * is a whole file. A file that is damaged is put aside as NAME.json.damaged, so that no later save
 * can take it for the one before. Touches the disk.
 */
#pragma once

#include "lib/base/journal.h"
#include "lib/base/json.h"
#include "lib/base/random.h"

struct state_file {
    char *path;
    char *previous;
    char *damaged;
    int lock_fd;
    struct journal journal;
    size_t save_bytes; /* of the save that the journal follows; 0: there is none to follow */
};

/* Makes the directory, takes the lock. -EWOULDBLOCK: another process uses it. */
int state_file_open(const char *dir, const char *name, struct state_file *ret_file);
/* Also of a zeroed one whose lock_fd is -1. */
void state_file_close(struct state_file *file);

/* A name for the directory, on this boot of this host: a UUID that no other process has while this
 * one has the lock, and that the next one has which takes it. "": the kernel does not say enough.
 */
void state_file_home(const struct state_file *file, char ret_id[static UUID_TEXT_SIZE]);

/* Understands the content, or fails with a text and leaves what data points to as it was. */
typedef int (*state_file_read_fn)(const json_t *content, void *data);

struct state_file_reader {
    state_file_read_fn save;   /* all there is */
    state_file_read_fn change; /* one record; NULL: this daemon appends none */
    void *data;
};

enum state_file_outcome {
    STATE_FILE_NONE = 1, /* nothing was saved yet */
    STATE_FILE_PREVIOUS, /* the last save is lost, this is the one before */
    STATE_FILE_DAMAGED   /* neither can be used; the text says why, and both are left in place */
};

/* 0: the last save with all changes since, or an outcome; negative when the disk fails. */
int state_file_load(struct state_file *file, const struct state_file_reader *reader);
/* On disk when it returns 0. content: the JSON text of an object. */
int state_file_save(struct state_file *file, const char *content);

enum state_file_append_outcome {
    STATE_FILE_SAVE_FIRST = 1, /* not written: there is no save to follow, or the journal is long */
};
/* A change since the save, on disk when it returns 0: costs what the change is large. record: JSON
 * on one line. After a failure the next change needs a save. */
int state_file_append(struct state_file *file, const char *record);

/* Whether there are changes since the save. */
bool state_file_has_changes(const struct state_file *file);

/* Removes both saves and the journal; they are gone from the disk when it returns 0. One that
 * cannot be removed keeps no other from going. */
int state_file_erase(struct state_file *file);
