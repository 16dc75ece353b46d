/* The write-ahead log, and the file that knows that it needs one.
 *
 * SQLite takes a log that is missing, cut off or another file's for what it should be. So the file
 * itself says in the row of its table wal, read without the log, of which first salt the log is
 * that it needs and how long that is at least; 0 bytes: it needs none. The log has in its first
 * frame that the file needs none: who has put all of the log back into the file has put this there
 * as well, whoever it is.
 *
 *     the file says          the log
 *     needs none             none                              at rest
 *     needs none             salt 6: nothing but the row       being begun
 *     needs 7, 11 MB         salt 6, and all of it is in the file
 *     needs 7, 11 MB         salt 7                            in use
 *     needs 7, 11 MB         none, or short, or salt 3         something is lost
 *     needs none             salt 3: all kinds of pages        another file's
 *     nothing                any                               a page is torn, or an earlier
 * version
 *
 * What may lie there after a crash at each step: docs/decisions/the-file-knows-its-log.md.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sqlite_log {
    sqlite3 *db; /* borrowed */
    char *path;  /* of the file; owned */
    char *wal_path;
    bool is_begun; /* with salts that no leftover has, and the file knows; else it stays as it is */
    int pages;     /* that it has come to */
    bool has_room; /* the disk, at the latest look */
    int looked_at_pages;
    int64_t looked_at_ms;
    dev_t dev; /* when it was begun */
    ino_t inode;
    off_t bytes;
};

/* The log's path; the caller frees. SQLite has it beside what path leads to. */
char *sqlite_log_path(const char *path);

/* Before anything is written: whether the file, which this process has locked, and its log belong
 * together and are whole. 0, STORE_DAMAGED with a text, or negative. */
int sqlite_log_judge(const char *path);

/* log is at a place of its own as long as db is open. */
void sqlite_log_init(struct sqlite_log *log, sqlite3 *db, const char *path);
void sqlite_log_deinit(struct sqlite_log *log);

/* Puts the log back into the file and begins it anew, when it is time to: at first, and whenever it
 * is long. To be called before each transaction. 0, STORE_FULL (nothing may be written; it may work
 * later), or negative. */
int sqlite_log_renew(struct sqlite_log *log);
/* After a transaction that found no room: what it has left behind the log's end must not be taken
 * for something of the next ones. */
void sqlite_log_spoil(struct sqlite_log *log);
/* Whether the log that is written to is the one that the next start will find: 0, or -ESTALE. */
int sqlite_log_check_in_place(struct sqlite_log *log);
