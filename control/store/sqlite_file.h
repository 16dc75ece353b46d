/* Opening the SQLite file: making it, migrating it, and judging whether it can be trusted. */
#pragma once

#include <sqlite3.h>

/* As store_sqlite_open(); *ret_db is ready to be written. */
int sqlite_file_open(const char *path, sqlite3 **ret_db);

/* Whether the content is whole: 0, or STORE_DAMAGED with a text that names path. */
int sqlite_file_check(sqlite3 *db, const char *path);

/* Starts an error text with this words, the path and SQLite's. STORE_DAMAGED when the file's
 * content is at fault, else a negative errno. */
int sqlite_file_fail(sqlite3 *db, const char *path, const char *doing);
