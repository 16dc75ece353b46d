/* Opening the SQLite file, and judging whether it can be trusted. */
#include "control/store/sqlite_file.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "control/store/schema.h"
#include "control/store/sqlite.h"
#include "control/store/sqlite_new.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

/* "QMsh": says in the file's header whose it is (file(1) and we read it there). */
#define APPLICATION_ID 0x514d7368

static const char recovery[] =
    "restore the file from a backup, or move it away to begin a new cluster (then run 'quiltctl "
    "node accept-cluster' on every node; over TLS move the pki directory away, too, and give every "
    "node a new token)";

/* What the system has said last of the file, or of its log (SQLite's own answer is 0 for these). */
static int errno_of(sqlite3 *db, int pointer)
{
    sqlite3_file *file = NULL;
    int error = 0;

    if (db && sqlite3_file_control(db, "main", pointer, &file) == SQLITE_OK && file &&
        file->pMethods)
        (void)file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error;
}

static int fail(sqlite3 *db, const char *path, const char *doing)
{
    int of_file = errno_of(db, SQLITE_FCNTL_FILE_POINTER);
    int of_log = errno_of(db, SQLITE_FCNTL_JOURNAL_POINTER);

    return err_sys((sqlite3_errcode(db) & 0xff) == SQLITE_FULL ? ENOSPC
                   : of_log                                    ? of_log
                   : of_file                                   ? of_file
                                                               : EIO,
                   "%s %s: %s (SQLite error %d)", doing, path, sqlite3_errmsg(db),
                   sqlite3_extended_errcode(db));
}

int sqlite_file_fail(sqlite3 *db, const char *path, const char *doing)
{
    switch (sqlite3_errcode(db) & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        (void)err_fail(EIO, "%s %s: %s; %s", doing, path, sqlite3_errmsg(db), recovery);
        return STORE_DAMAGED;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_fail(EBUSY,
                        "%s %s: locked by another process; is a control plane running on it?",
                        doing, path);
    default:
        return fail(db, path, doing);
    }
}

/* SQLite knows a full disk, but not a quota that is used up. */
static bool is_out_of_room(sqlite3 *db, int code)
{
    int of_file, of_log;

    if ((code & 0xff) == SQLITE_FULL)
        return true;
    if (sqlite3_extended_errcode(db) != SQLITE_IOERR_WRITE)
        return false;
    of_file = errno_of(db, SQLITE_FCNTL_FILE_POINTER);
    of_log = errno_of(db, SQLITE_FCNTL_JOURNAL_POINTER);
    return (of_file == EDQUOT || of_log == EDQUOT) && (of_file == EDQUOT || of_file == 0) &&
           (of_log == EDQUOT || of_log == 0);
}

int sqlite_file_outcome(sqlite3 *db, const char *path, int code)
{
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
        return STORE_DONE;
    return is_out_of_room(db, code) ? STORE_FULL : fail(db, path, "write");
}

int store_sqlite_distrust(const char *path)
{
    AUTO_FREE char *why = mem_strdup(err_text());

    (void)err_fail(EIO, "%s is damaged: %s; %s", path, why, recovery);
    return STORE_DAMAGED;
}

static int run(sqlite3 *db, const char *path, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return sqlite_file_fail(db, path, "open");
    return 0;
}

/* The first column of the first row. */
static int read_int(sqlite3 *db, const char *path, const char *sql, int *ret)
{
    sqlite3_stmt *statement = NULL;
    int r = 0;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        *ret = sqlite3_column_int(statement, 0);
    else
        r = sqlite_file_fail(db, path, "read");
    (void)sqlite3_finalize(statement);
    return r;
}

static int open_handle(const char *path, sqlite3 **ret_db)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        int r = sqlite_file_fail(db, path, "open");

        (void)sqlite3_close(db);
        return r;
    }
    *ret_db = db;
    return 0;
}

static int read_version(sqlite3 *db, const char *path, int *ret_version)
{
    int r = read_int(db, path, "PRAGMA user_version", ret_version);

    if (r == 0 && *ret_version > schema_version())
        return err_fail(ENOTSUP,
                        "%s was written by a newer version (schema %d, this one knows %d); start "
                        "that version again, or restore a backup from before the upgrade",
                        path, *ret_version, schema_version());
    return r;
}

/* A crash leaves the version of before or the next one, with all that belongs to it. */
static int migrate_one(sqlite3 *db, const char *path, int from)
{
    AUTO_FREE char *sql =
        mem_printf("BEGIN IMMEDIATE; %s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
                   schema_step(from), APPLICATION_ID, from + 1);

    return run(db, path, sql);
}

int sqlite_file_migrate(sqlite3 *db, const char *path, int version)
{
    int from = 0;
    int r = read_int(db, path, "PRAGMA user_version", &from);

    for (int i = from; r == 0 && i < version; i++)
        r = migrate_one(db, path, i);
    return r;
}

static int bring_up_to_date(sqlite3 *db, const char *path, int version)
{
    if (version < schema_version())
        log_info("bringing the database up to date", LOG_S("path", path), LOG_I("schema", version),
                 LOG_I("to", schema_version()));
    return sqlite_file_migrate(db, path, schema_version());
}

/* ---- judging ------------------------------------------------------------------------------- */

int sqlite_file_check(sqlite3 *db, const char *path)
{
    sqlite3_stmt *statement = NULL;
    const char *verdict;
    int r = 0;

    if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        r = sqlite_file_fail(db, path, "check");
    } else {
        verdict = (const char *)sqlite3_column_text(statement, 0);
        if (!verdict || strcmp(verdict, "ok") != 0) {
            (void)err_fail(EIO, "%s is damaged: %s; %s", path, verdict ? verdict : "?", recovery);
            r = STORE_DAMAGED;
        }
    }
    (void)sqlite3_finalize(statement);
    return r;
}

static int check_owner(sqlite3 *db, const char *path)
{
    int id = 0;
    int r = read_int(db, path, "PRAGMA application_id", &id);

    if (r != 0 || id == APPLICATION_ID)
        return r;
    (void)err_fail(EINVAL, "%s is an SQLite file of another program; %s", path, recovery);
    return STORE_DAMAGED;
}

/* The order matters: exclusive before the first access means no shared memory file and nobody
 * else; whose file it is, and of which version, before anything is written to it; and WAL is what
 * the rest builds on. Checkpoints are ours (automatic ones ignore their errors). */
static int prepare(sqlite3 *db, const char *path)
{
    int version = 0;
    int r = run(db, path, "PRAGMA locking_mode=EXCLUSIVE");

    if (r == 0)
        r = check_owner(db, path);
    if (r == 0)
        r = read_version(db, path, &version);
    if (r == 0)
        r = run(db, path,
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;"
                "PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
                "PRAGMA cache_size=-8192; PRAGMA wal_autocheckpoint=0;"
                "BEGIN IMMEDIATE; COMMIT");
    if (r == 0)
        r = sqlite_file_check(db, path);
    if (r == 0)
        r = bring_up_to_date(db, path, version);
    /* For a CHECK with a list SQLite makes a table for each row that it writes. What we write there
     * are words of our own; what is in the file has just been checked. */
    return r != 0 ? r : run(db, path, "PRAGMA ignore_check_constraints=ON");
}

/* SQLite opens for reading alone what it may not write, and says of the log that it is no file. */
static int check_access(const char *path)
{
    if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0 || errno == ENOENT)
        return 0;
    return file_fail(errno, "open", path);
}

static int check_place(const char *path, const char *wal)
{
    AUTO_FREE char *real = realpath(path, NULL);
    int r = check_access(path);

    if (r == 0)
        r = check_access(wal);
    if (r == 0 && real && faccessat(AT_FDCWD, dirname(real), W_OK | X_OK, AT_EACCESS) < 0)
        r = file_fail(errno, "create", wal);
    return r;
}

/* 0: it can be opened. Makes it when there is none, but never in place of one that was lost. */
static int ensure_file(const char *path, const struct store_change *first)
{
    AUTO_FREE char *wal = mem_printf("%s-wal", path);
    struct stat st;

    if (stat(path, &st) == 0) {
        if (st.st_size > 0)
            return check_place(path, wal);
        (void)err_fail(EIO, "%s is empty, which it never is when it is whole; %s", path, recovery);
        return STORE_DAMAGED;
    }
    if (errno != ENOENT)
        return file_fail(errno, "open", path);
    if (access(wal, F_OK) == 0) {
        (void)err_fail(EIO, "%s is gone, but %s is there; %s", path, wal, recovery);
        return STORE_DAMAGED;
    }
    return sqlite_new_make(path, first);
}

int sqlite_file_open(const char *path, const struct store_change *first, sqlite3 **ret_db)
{
    sqlite3 *db = NULL;
    int r = ensure_file(path, first);

    if (r == 0)
        r = open_handle(path, &db);
    if (r != 0)
        return r;
    r = prepare(db, path);
    if (r != 0) {
        (void)sqlite3_close(db);
        return r;
    }
    sqlite_new_sweep(path);
    *ret_db = db;
    return 0;
}
