/* Changes since a save, in a file of their own: who keeps much and changes little writes the
 * little.
 *
 *     <64 hex digits> {"put":...}\n       the digest is over the one before it and the text;
 *     <64 hex digits> {"put":...}\n       before the first one stands the save's own
 *
 * So a record that was cut, altered, taken out or put elsewhere does not fit, and neither does any
 * of another save. What does not fit is cut off by the next append. Touches the disk.
 */
#pragma once

#include "lib/base/digest.h"
#include "lib/base/json.h"

struct journal {
    char *path;                  /* owned */
    int fd;                      /* -1: not open yet */
    size_t bytes;                /* of the records that fit */
    char chain[SHA256_HEX_SIZE]; /* the last record's digest, or the save's */
};

/* Takes the path over. */
void journal_init(struct journal *journal, char *path);
/* Also of a zeroed one whose fd is -1. */
void journal_deinit(struct journal *journal);

/* From now on it is the journal of the save with this digest, and has no records. */
void journal_begin(struct journal *journal, const char *digest);

/* Understands a record, or fails with a text and leaves what data points to as it was. */
typedef int (*journal_read_fn)(const json_t *record, void *data);

/* Hands over every record, in order, up to the first that does not fit or is not understood.
 * *ret_lost: how many bytes of whole records begin there, and the text says why; a torn last one,
 * which nobody was told of, does not count. 0 when the very first does not fit: then the journal is
 * another save's. */
int journal_replay(struct journal *journal, journal_read_fn read, void *data, size_t *ret_lost);

/* On disk when it returns 0. text: JSON on one line. After a failure the record may be there or
 * not: begin anew with another save. */
int journal_append(struct journal *journal, const char *text);

/* Takes the file away; none there is fine. */
int journal_remove(struct journal *journal);
