/* Whether what is in the SQLite file can be trusted. */
#pragma once

#include <sqlite3.h>

/* That it is whole as a file: 0, or STORE_DAMAGED with a text that names path. */
int sqlite_check_whole(sqlite3 *db, const char *path);

/* That records and changes are of one story: each record is as its latest change says, and no
 * change is missing. version is that of the file's schema; of the first ones nothing is said. As
 * above. */
int sqlite_check_story(sqlite3 *db, const char *path, int version);
