/* A copy of an SQLite database that is in use. */
#pragma once

#include <sqlite3.h>
#include <stddef.h>

/* As its header says (https://sqlite.org/fileformat2.html, section 1.3). */
enum sqlite_copy_kind {
    SQLITE_COPY_PLAIN = 1, /* not opened since; a log beside it is not its */
    SQLITE_COPY_LOGGED = 2 /* written and read with a log */
};

/* All that is committed, also what is still in the write-ahead log, as the bytes of one file; takes
 * no room on the disk, so it works when that is full. The copy is opened and checked: STORE_DAMAGED
 * when it is not whole. path is for the texts. */
int sqlite_copy(sqlite3 *db, const char *path, enum sqlite_copy_kind kind, char **ret_bytes,
                size_t *ret_n);
