/* Opening the SQLite file, and judging whether it can be trusted. */
#include "control/store/sqlite_file.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "control/store/schema.h"
#include "control/store/sqlite.h"
#include "control/store/sqlite_check.h"
#include "control/store/sqlite_new.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"

/* "QMsh": says in the file's header whose it is (file(1) and we read it there). */
#define APPLICATION_ID 0x514d7368

#define LOCK_TRIES 8
#define LOCK_WAIT_NS 50000000ULL

/* ---- what is said -------------------------------------------------------------------------- */

int sqlite_file_damaged(const char *fmt, ...)
{
    char words[ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    (void)err_fail(EIO,
                   "%srestore the file from a backup and remove its -wal and -shm ('man "
                   "quilt-mesh-control', BACKUP), or move all three away to begin a new cluster "
                   "(then 'quiltctl node accept-cluster' on every node; over TLS move the pki "
                   "directory away, too, and give every node a new token)",
                   words);
    return STORE_DAMAGED;
}

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
    case SQLITE_ERROR: /* our own words do not fit what is there */
    case SQLITE_CONSTRAINT:
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
        return sqlite_file_damaged("%s %s: %s; ", doing, path, sqlite3_errmsg(db));
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

    return sqlite_file_damaged("%s is damaged: %s; ", path, why);
}

/* ---- its version --------------------------------------------------------------------------- */

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

static int read_version(sqlite3 *db, const char *path, int *ret_version)
{
    int r = read_int(db, path, "PRAGMA user_version", ret_version);

    if (r == 0 && *ret_version < 1)
        return sqlite_file_damaged("%s says that it is of schema %d, which there never was; ", path,
                                   *ret_version);
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

/* What a step writes may be lost with the log as anything may; so the log is begun first, as soon
 * as there is a place to say so. A full disk is no harm where nothing has to be written. */
static int bring_up_to_date(sqlite3 *db, const char *path, int version, struct sqlite_log *log)
{
    int r;

    if (version < schema_version())
        log_info("bringing the database up to date", LOG_S("path", path), LOG_I("schema", version),
                 LOG_I("to", schema_version()));
    r = sqlite_file_migrate(db, path, SCHEMA_WITH_WAL);
    if (r == 0)
        r = sqlite_log_renew(log);
    if (r == STORE_FULL && version < schema_version())
        r = err_fail(ENOSPC, "bring %s up to date: no room on its disk", path);
    if (r == STORE_FULL)
        return 0;
    return r != 0 ? r : sqlite_file_migrate(db, path, schema_version());
}

/* ---- judging ------------------------------------------------------------------------------- */

static int check_owner(sqlite3 *db, const char *path)
{
    int id = 0;
    int r = read_int(db, path, "PRAGMA application_id", &id);

    if (r != 0 || id == APPLICATION_ID)
        return r;
    return sqlite_file_damaged("%s is an SQLite file of another program; ", path);
}

/* Exclusive before the first access, so that there is no shared memory file. What SQLite finds
 * senseless then may be so because of the log. */
static int lock(sqlite3 *db, const char *path, bool is_copy)
{
    int r = run(db, path, "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT");
    int judged = is_copy || r < 0 ? 0 : sqlite_log_judge(path);

    return judged != 0 ? judged : r;
}

/* A backup gets a log with its first opening. A journal on the disk would be taken for a crash's if
 * it were left beside another file; what changes is a few bytes of one sector. */
static int make_logged(sqlite3 *db, const char *path, bool is_copy)
{
    int r = is_copy ? run(db, path, "PRAGMA journal_mode=MEMORY") : 0;
    int is_logged = 0;

    if (r == 0)
        r = run(db, path, "PRAGMA journal_mode=WAL");
    if (r == 0)
        r = read_int(db, path, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &is_logged);
    if (r == 0 && !is_logged)
        r = err_fail(ENOTSUP, "open %s: SQLite keeps no log for it; is it on a disk of this host?",
                     path);
    return r;
}

static int check_content(sqlite3 *db, const char *path, int version)
{
    int r = sqlite_check_whole(db, path);

    return r == 0 ? sqlite_check_story(db, path, version) : r;
}

/* The order matters: nothing is looked at that somebody else may change, and nothing written to a
 * file that is not ours, whole, of a known version and beside its log. */
static int prepare(sqlite3 *db, const char *path, bool is_copy, struct sqlite_log *log)
{
    int version = 0;
    int r = lock(db, path, is_copy);

    if (r == 0)
        r = check_owner(db, path);
    if (r == 0)
        r = read_version(db, path, &version);
    if (r == 0)
        r = run(db, path,
                "PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; PRAGMA cache_size=-8192");
    if (r == 0)
        r = check_content(db, path, version);
    if (r == 0)
        r = make_logged(db, path, is_copy);
    if (r == 0)
        r = bring_up_to_date(db, path, version, log);
    /* For a CHECK with a list SQLite makes a table for each row that it writes. What we write there
     * are words of our own; what is in the file has just been checked. */
    return r != 0 ? r : run(db, path, "PRAGMA ignore_check_constraints=ON");
}

/* ---- what lies there ----------------------------------------------------------------------- */

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

static bool has_content(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_size > 0;
}

/* SQLite would play what lies beside the file into it, whatever it is of. The log is looked for
 * first: a process that has just opened the backup has made it a file that is none, and then a log.
 */
static int check_company(const char *path, const char *wal, bool *ret_is_copy)
{
    AUTO_FREE char *journal = mem_printf("%.*sjournal", (int)strlen(wal) - 3, wal);
    bool is_logged = has_content(wal);

    *ret_is_copy = store_sqlite_look(path) == STORE_SQLITE_COPY;
    if (*ret_is_copy && is_logged)
        return sqlite_file_damaged("%s is a backup that was put in place, and %s beside it is the "
                                   "log of the file before it; remove that, or ",
                                   path, wal);
    if (has_content(journal))
        return sqlite_file_damaged("%s beside %s is of another program or of another file; remove "
                                   "it, or ",
                                   journal, path);
    return 0;
}

static int check_kind(const char *path, const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return err_fail(EISDIR, "open %s: it is a directory; --db-path names the file in it", path);
    if (!S_ISREG(st->st_mode))
        return err_fail(EINVAL, "open %s: it is no regular file", path);
    if (st->st_size == 0)
        return sqlite_file_damaged("%s is empty, which it never is when it is whole; ", path);
    return 0;
}

/* It may be that there is none, but not that one was lost. */
static int check_missing(const char *path, const char *wal)
{
    struct stat st;

    if (lstat(path, &st) == 0)
        return err_fail(ENOENT, "open %s: it is a link to what is not there", path);
    if (access(wal, F_OK) == 0)
        return sqlite_file_damaged("%s is gone, but %s is there; ", path, wal);
    return 0;
}

/* 0: it can be opened. Makes it when there is none. */
static int ensure_file(const char *path, const struct store_change *first)
{
    AUTO_FREE char *wal = sqlite_log_path(path);
    struct stat st;
    int r;

    if (stat(path, &st) == 0) {
        r = check_kind(path, &st);
        return r != 0 ? r : check_place(path, wal);
    }
    if (errno != ENOENT)
        return file_fail(errno, "open", path);
    r = check_missing(path, wal);
    return r != 0 ? r : sqlite_new_make(path, first);
}

/* ---- life ---------------------------------------------------------------------------------- */

/* Until all is known to be well, closing leaves the log as it is. */
static int set_closing(sqlite3 *db, bool puts_back)
{
    return sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !puts_back, NULL) == SQLITE_OK
               ? 0
               : err_fail(EIO, "SQLite cannot leave a log alone");
}

static int open_handle(const char *path, sqlite3 **ret_db)
{
    sqlite3 *db = NULL;
    int r =
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK
            ? set_closing(db, false)
            : sqlite_file_fail(db, path, "open");

    if (r != 0) {
        (void)sqlite3_close(db);
        return r;
    }
    *ret_db = db;
    return 0;
}

static int open_once(const char *path, const struct store_change *first, struct sqlite_log *log)
{
    AUTO_FREE char *wal = sqlite_log_path(path);
    sqlite3 *db = NULL;
    bool is_copy = false;
    int r = ensure_file(path, first);

    if (r == 0)
        r = check_company(path, wal, &is_copy);
    if (r == 0)
        r = open_handle(path, &db);
    if (r != 0)
        return r;
    sqlite_log_init(log, db, path);
    r = prepare(db, path, is_copy, log);
    if (r == -EBUSY) { /* what lies beside the file is of who has it */
        (void)sqlite3_close(db);
        sqlite_log_deinit(log);
    } else if (r != 0) {
        sqlite_file_close(log, false);
    }
    return r;
}

/* Two that begin at the same moment may each keep the lock from the other. */
int sqlite_file_open(const char *path, const struct store_change *first, struct sqlite_log *log)
{
    int r = open_once(path, first, log);

    for (int i = 1; r == -EBUSY && i < LOCK_TRIES; i++) {
        struct timespec wait = {.tv_nsec = (long)(random_u64() % LOCK_WAIT_NS)};

        (void)nanosleep(&wait, NULL);
        r = open_once(path, first, log);
    }
    if (r == 0)
        sqlite_new_sweep(path);
    return r;
}

/* To look into a log SQLite makes one where there is none. */
static void remove_empty(const char *wal)
{
    struct stat st;

    if (stat(wal, &st) == 0 && st.st_size == 0)
        (void)unlink(wal);
}

void sqlite_file_close(struct sqlite_log *log, bool is_whole)
{
    if (is_whole && log->is_begun)
        (void)set_closing(log->db, true);
    else
        remove_empty(log->wal_path);
    (void)sqlite3_close(log->db);
    sqlite_log_deinit(log);
}
