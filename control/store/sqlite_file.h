/* Opening the SQLite file, and judging whether it can be trusted. */
#pragma once

#include <assert.h>
#include <sqlite3.h>

#include "control/store/sqlite_log.h"
#include "control/store/store.h"

/* A row of the log of changes: the revision times this, and which operation of its change set. */
#define SQLITE_FILE_CHANGE_ROWS 8
static_assert(STORE_OPS_MAX <= SQLITE_FILE_CHANGE_ROWS, "a row an operation");

/* As store_sqlite_open(); log (at the place where it stays) has the handle, which is ready to be
 * written. Nothing of the file is changed, nor of its log, when it is refused. */
int sqlite_file_open(const char *path, const struct store_change *first, struct sqlite_log *log);
/* is_whole: all that was written is known to be so, and the log goes back into the file. */
void sqlite_file_close(struct sqlite_log *log, bool is_whole);

/* Brings a file to this version of the schema, a step a transaction. */
int sqlite_file_migrate(sqlite3 *db, const char *path, int version);

/* Starts an error text with these words, which end in "; " or ", or ", and how to recover. Returns
 * STORE_DAMAGED. */
int sqlite_file_damaged(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Starts an error text with this words, the path and SQLite's. STORE_DAMAGED when the file's
 * content is at fault, else a negative errno. */
int sqlite_file_fail(sqlite3 *db, const char *path, const char *doing);

/* An outcome of store.h from one of SQLite's codes for a write; negative with a text when it is
 * none. */
int sqlite_file_outcome(sqlite3 *db, const char *path, int code);
