/* The store in one SQLite file, held by one process.
 *
 * The file is made whole under another name and then renamed, so a file that is empty or half is
 * never one of ours: it is damaged, and refused. It is opened exclusively (no second process, no
 * shared-memory file) in WAL mode with synchronous=FULL: what is committed survives a power cut.
 * An error of the disk leaves the outcome of a commit unknown, which store_commit() says; whoever
 * gets it ends, and the next start reads the truth.
 */
#pragma once

#include "control/store/store.h"

/* Opens the file, or makes it (mode 0600), with first in it as its first change set (creations
 * only; NULL: empty), so that there is never one without. STORE_DAMAGED with a text that names the
 * file and says how to recover: it is not whole, or not ours. Negative: -EBUSY when another process
 * holds it. */
int store_sqlite_open(const char *path, const struct store_change *first, struct store **ret_store);

/* What there is before it is opened. */
enum store_sqlite_file {
    STORE_SQLITE_NONE,
    STORE_SQLITE_COPY, /* store_copy()'s, put there and not opened since */
    STORE_SQLITE_OTHER
};
enum store_sqlite_file store_sqlite_look(const char *path);

/* For who finds what was loaded senseless: adds the file and how to recover to the latest error
 * text. Returns STORE_DAMAGED. */
int store_sqlite_distrust(const char *path);
