/* The write-ahead log, and the file that knows that it needs one. */
#include "control/store/sqlite_log.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "control/store/sqlite_file.h"
#include "control/store/wal_look.h"
#include "control/store/wal_need.h"
#include "control/store/wal_room.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "lib/base/strbuf.h"

/* The log goes back into the file when it has this many pages (10 MiB). The more of them a
 * checkpoint finds changed twice, the less it has to write. (A test has fewer.) */
#ifndef LOG_PAGES_MAX
#define LOG_PAGES_MAX 2500
#endif
/* What it grows to until then: a page has a header there, and the last commit goes beyond. */
#define ROOM_BYTES ((size_t)(LOG_PAGES_MAX + LOG_PAGES_MAX / 10) * (4096 + 24))
/* A log without room for this, or a disk without for the file to grow by it, counts as full, so
 * that whatever is asked, a large change or a probe, the answer is the same. */
#define ROOM_BYTES_MIN ((size_t)64 * (4096 + 24))
/* To ask the disk for that takes a fifth of a commit's time, so an answer is good for a while. */
#define LOOK_PAGES 32
#define LOOK_MS 50

char *sqlite_log_path(const char *path)
{
    AUTO_FREE char *real = realpath(path, NULL);

    return mem_printf("%s-wal", real ? real : path);
}

/* ---- judging ------------------------------------------------------------------------------- */

struct need {
    struct wal_need wal;
    uint32_t page; /* where the file has this */
};

static char *uri_of(const char *path)
{
    AUTO_FREE char *real = realpath(path, NULL);
    AUTO_STRBUF struct strbuf uri = {0};

    strbuf_adds(&uri, "file:");
    for (const char *p = real ? real : path; *p; p++)
        strbuf_addf(&uri, isalnum((unsigned char)*p) || strchr("/._-~", *p) ? "%c" : "%%%02X",
                    (unsigned char)*p);
    strbuf_adds(&uri, "?immutable=1"); /* as if there were no log */
    return strbuf_take(&uri);
}

/* false: the file says nothing. It is of an earlier version, or its pages are being written; a cut
 * in the middle of that leaves them as they are until the log has been put back again. */
static bool read_need(const char *path, struct need *ret_need)
{
    AUTO_FREE char *uri = uri_of(path);
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    const char *text = NULL;
    bool says;

    if (sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
                        NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT need, rootpage FROM wal, sqlite_schema WHERE name = 'wal'",
                           -1, &row, NULL) == SQLITE_OK &&
        sqlite3_step(row) == SQLITE_ROW)
        text = (const char *)sqlite3_column_text(row, 0);
    says = text && wal_need_parse(text, &ret_need->wal);
    if (says)
        ret_need->page = (uint32_t)sqlite3_column_int64(row, 1);
    (void)sqlite3_finalize(row);
    (void)sqlite3_close(db);
    return says;
}

static bool is_of(const struct wal_facts *wal, uint32_t salt)
{
    return wal->has_header && wal->salt == salt;
}

/* What is wrong with the log of a file that needs it, or NULL. */
static const char *find_fault(const struct need *need, const struct wal_facts *wal)
{
    if (wal->bytes == 0)
        return "is gone";
    if (wal->bytes < need->wal.bytes)
        return "has been cut off";
    if (!wal->has_header)
        return "is damaged at its beginning";
    if (!is_of(wal, need->wal.salt) && !is_of(wal, need->wal.salt - 1))
        return "is the log of another file or time (move it away)";
    return NULL;
}

/* Of one that needs none: it has not got anything yet, or is in the file already. */
static bool is_harmless(const struct need *need, const struct wal_facts *wal)
{
    return wal->frames == 0 || is_of(wal, need->wal.salt) || wal->only_page == need->page;
}

static int tell_loss(const char *path, const char *wal_path, const char *fault)
{
    return sqlite_file_damaged("%s, which has the latest changes, %s; put the right one there, or "
                               "give them up (sqlite3 '%s' 'UPDATE wal SET need = 0'), or ",
                               wal_path, fault, path);
}

static int tell_foreign(const char *path, const char *wal_path)
{
    return sqlite_file_damaged("%s is the log of another file or time, and %s is whole without: "
                               "move the log away, or ",
                               wal_path, path);
}

/* A file that says nothing may have a log in which anything lies behind its end. */
int sqlite_log_judge(const char *path)
{
    AUTO_FREE char *wal_path = sqlite_log_path(path);
    const char *fault = NULL;
    struct wal_facts wal;
    struct need need = {0};
    int r = wal_look(wal_path, &wal);

    if (r < 0 || !read_need(path, &need))
        return r;
    if (need.wal.bytes == 0 && !is_harmless(&need, &wal))
        return tell_foreign(path, wal_path);
    if (need.wal.bytes > 0)
        fault = find_fault(&need, &wal);
    if (!fault && wal.is_broken)
        fault = "is damaged before its end";
    return fault ? tell_loss(path, wal_path, fault) : 0;
}

/* ---- writing ------------------------------------------------------------------------------- */

static int put_back(struct sqlite_log *log)
{
    int frames = 0, done = 0;
    int r = sqlite_file_outcome(
        log->db, log->path,
        sqlite3_wal_checkpoint_v2(log->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &done));

    if (r == 0 && frames != done)
        return err_fail(EIO, "write %s: %d of %d pages of its log are left", log->path,
                        frames - done, frames);
    return r;
}

/* In a transaction of its own. What is there already SQLite does not write. */
static int write_need(struct sqlite_log *log, uint32_t salt, off_t bytes)
{
    const struct wal_need need = {.salt = salt, .bytes = (uint64_t)bytes};
    char text[WAL_NEED_SIZE];
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(log->db, "UPDATE wal SET need = ?1", -1, &statement, NULL);
    int r;

    if (code == SQLITE_OK) {
        wal_need_print(&need, text);
        (void)sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
        code = sqlite3_step(statement);
    }
    r = sqlite_file_outcome(log->db, log->path, code);
    (void)sqlite3_finalize(statement);
    return r;
}

/* The file comes to need the next life of the log, and then the log begins that. Not the other way
 * round, and what is in between is no loss either: while the log has this life, all of it is in the
 * file. */
static int begin_next(struct sqlite_log *log)
{
    uint32_t salt = 0, begun = 0;
    struct stat st;
    int r = wal_read_salt(log->wal_path, &salt);

    if (r == 0 && stat(log->wal_path, &st) < 0)
        r = err_sys(errno, "stat %s", log->wal_path);
    if (r == 0)
        r = write_need(log, salt + 1, st.st_size);
    if (r == 0)
        r = put_back(log);
    if (r == 0)
        r = write_need(log, salt + 1, 0);
    if (r == 0)
        r = wal_read_salt(log->wal_path, &begun);
    if (r == 0 && begun != salt + 1)
        r = err_fail(EIO, "%s has not begun anew", log->wal_path);
    if (r != 0)
        return r;
    log->dev = st.st_dev;
    log->inode = st.st_ino;
    log->bytes = st.st_size;
    return 0;
}

static int make_room(struct sqlite_log *log)
{
    int r = wal_room_make(log->wal_path, ROOM_BYTES_MIN, ROOM_BYTES);

    return r == -ENOSPC || r == -EDQUOT ? STORE_FULL : r;
}

/* Behind the end of a log that was found, or of a transaction that was given up, may lie what has
 * the same salts as what is written next. So everything is put into the file, and the first frame
 * is one of new salts, before anything counts. The directory is synced because nobody knows whether
 * the one who made the file or the log came to it. */
static int begin(struct sqlite_log *log)
{
    int r = put_back(log);

    if (r == 0)
        r = write_need(log, (uint32_t)random_u64(), 0); /* some frame */
    if (r == 0)
        r = make_room(log);
    if (r == 0)
        r = file_sync_parent(log->wal_path);
    return r;
}

static int check_disk(struct sqlite_log *log)
{
    int64_t now_ms = clock_boot_ms();
    uint64_t left = 0;
    int r;

    if (log->has_room && log->pages - log->looked_at_pages < LOOK_PAGES &&
        now_ms - log->looked_at_ms < LOOK_MS)
        return 0;
    r = wal_room_left(log->path, &left);
    log->has_room = r == 0 && left >= ROOM_BYTES_MIN;
    log->looked_at_pages = log->pages;
    log->looked_at_ms = now_ms;
    return r == 0 && !log->has_room ? STORE_FULL : r;
}

int sqlite_log_renew(struct sqlite_log *log)
{
    int r = check_disk(log);

    if (r != 0 || (log->is_begun && log->pages < LOG_PAGES_MAX))
        return r;
    log->is_begun = false;
    r = begin(log);
    if (r == 0)
        r = begin_next(log);
    log->is_begun = r == 0;
    return r;
}

void sqlite_log_spoil(struct sqlite_log *log)
{
    log->is_begun = false;
}

/* What is in a log that has lost its name is not lost yet. */
static int save(struct sqlite_log *log)
{
    int r = put_back(log);

    if (r < 0)
        return err_wrap(r, "%s was moved or deleted while it was in use", log->wal_path);
    return err_fail(ESTALE, "%s was moved or deleted while it was in use%s", log->wal_path,
                    r == 0 ? "; what was in it has been put into the file" : "");
}

/* No time is asked for. One that somebody has asked for is a finer one at the next write, and then
 * the flush has to store the inode as well: a third of a commit's time (Documentation/filesystems/
 * multigrain-ts.rst). */
int sqlite_log_check_in_place(struct sqlite_log *log)
{
    struct statx st;

    if (!log->is_begun)
        return 0;
    if (statx(AT_FDCWD, log->wal_path, 0, STATX_INO | STATX_SIZE, &st) < 0)
        return errno == ENOENT ? save(log) : file_fail(errno, "look at", log->wal_path);
    if (makedev(st.stx_dev_major, st.stx_dev_minor) != log->dev || st.stx_ino != log->inode)
        return save(log);
    return st.stx_size < (uint64_t)log->bytes
               ? err_fail(ESTALE, "%s was cut off while it was in use", log->wal_path)
               : 0;
}

/* ---- life ---------------------------------------------------------------------------------- */

/* In the place of SQLite's own, which does checkpoints and ignores their errors. */
static int on_wal(void *data, sqlite3 *db, const char *name, int pages)
{
    struct sqlite_log *log = data;

    log->pages = pages;
    return SQLITE_OK;
}

void sqlite_log_init(struct sqlite_log *log, sqlite3 *db, const char *path)
{
    *log =
        (struct sqlite_log){.db = db, .path = mem_strdup(path), .wal_path = sqlite_log_path(path)};
    (void)sqlite3_wal_hook(db, on_wal, log);
}

void sqlite_log_deinit(struct sqlite_log *log)
{
    free(log->path);
    free(log->wal_path);
    *log = (struct sqlite_log){0};
}
