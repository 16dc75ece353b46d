/* Opening the SQLite file, and judging whether it can be trusted. */
#pragma once

#include <assert.h>
#include <sqlite3.h>

#include "control/store/store.h"

/* A row of the log of changes: the revision times this, and which operation of its change set. */
#define SQLITE_FILE_CHANGE_ROWS 8
static_assert(STORE_OPS_MAX <= SQLITE_FILE_CHANGE_ROWS, "a row an operation");

/* As store_sqlite_open(); *ret_db is ready to be written. */
int sqlite_file_open(const char *path, const struct store_change *first, sqlite3 **ret_db);

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
