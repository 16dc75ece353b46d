/* The store in one SQLite file: loading it, and committing change sets in groups. */
#include "control/store/sqlite.h"

#include <assert.h>
#include <string.h>

#include "control/store/sqlite_copy.h"
#include "control/store/sqlite_file.h"
#include "control/store/wal_room.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

/* Changes that are kept at least for people to look at; the latest also carries the revision. The
 * oldest go so many at a time: each time costs a page more than a commit needs. */
#define CHANGES_KEPT 10000
#define CHANGES_STEP 1000
/* The write-ahead log goes back into the file when it has this many pages (10 MiB). A registration
 * changes pages all over the file, since ids are random: the more of them a checkpoint finds
 * changed twice, the less it has to write. */
#define WAL_PAGES_MAX 2500
/* What the log grows to until then: a page has a header there, and the last commit goes beyond. */
#define WAL_ROOM_BYTES ((size_t)(WAL_PAGES_MAX + 250) * (4096 + 24))

enum sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_SAVEPOINT,
    SQL_RELEASE,
    SQL_ROLLBACK_TO,
    SQL_CREATE,
    SQL_UPDATE,
    SQL_DELETE,
    SQL_LOG,
    SQL_TRIM,
    SQL_PROBE,
    SQL_LOAD,
    SQL_REVISION,
    SQL_COUNT
};

static const char *const sql_texts[] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SAVEPOINT] = "SAVEPOINT one",
    [SQL_RELEASE] = "RELEASE one",
    [SQL_ROLLBACK_TO] = "ROLLBACK TO one",
    [SQL_CREATE] = "INSERT INTO records(kind, id, created_revision, revision, key, body) "
                   "VALUES(?1, ?2, ?3, ?3, ?6, ?4)",
    [SQL_UPDATE] = "UPDATE records SET revision = ?3, key = ?6, body = ?4 "
                   "WHERE kind = ?1 AND id = ?2 AND revision = ?5",
    [SQL_DELETE] = "DELETE FROM records WHERE kind = ?1 AND id = ?2 AND revision = ?5",
    [SQL_LOG] = "INSERT INTO changes(revision, kind, id, verb, at) VALUES(?1, ?2, ?3, ?4, ?5)",
    [SQL_TRIM] = "DELETE FROM changes WHERE revision <= ?1",
    [SQL_PROBE] = "UPDATE probe SET writes = writes + 1",
    [SQL_LOAD] = "SELECT kind, id, created_revision, revision, body FROM records "
                 "ORDER BY created_revision, kind, id",
    [SQL_REVISION] = "SELECT coalesce(max(revision), 0) FROM changes",
};
static_assert(ARRAY_LEN(sql_texts) == SQL_COUNT, "a text a statement");

static const struct {
    enum sql sql;
    const char *word;
} verbs[] = {
    [STORE_CREATE] = {SQL_CREATE, "create"},
    [STORE_UPDATE] = {SQL_UPDATE, "update"},
    [STORE_DELETE] = {SQL_DELETE, "delete"},
};

struct store_sqlite {
    struct store store;
    char *path;
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT];
    uint64_t revision; /* of the latest committed change */
    int wal_pages;
};

static struct store_sqlite *self(struct store *store)
{
    return CONTAINER_OF(store, struct store_sqlite, store);
}

/* An outcome of store.h from one of SQLite's codes; negative with a text when it is none. */
static int outcome_of(struct store_sqlite *s, int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return STORE_DONE;
    case SQLITE_FULL:
        return STORE_FULL;
    case SQLITE_CONSTRAINT:
        return STORE_CONFLICT;
    default:
        return err_fail(EIO, "write %s: %s (SQLite error %d, errno %d)", s->path,
                        sqlite3_errmsg(s->db), sqlite3_extended_errcode(s->db),
                        sqlite3_system_errno(s->db));
    }
}

static int run(struct store_sqlite *s, enum sql which)
{
    int outcome = outcome_of(s, sqlite3_step(s->statements[which]));

    (void)sqlite3_reset(s->statements[which]); /* repeats the failure that step has told */
    return outcome;
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    (void)sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

static void bind_u64(sqlite3_stmt *statement, int index, uint64_t value)
{
    (void)sqlite3_bind_int64(statement, index, (int64_t)value);
}

typedef int write_fn(struct store_sqlite *s, struct store_change *change, uint64_t *revision);

/* ---- committing ---------------------------------------------------------------------------- */

static int log_op(struct store_sqlite *s, const struct store_op *op, uint64_t revision, int64_t at)
{
    sqlite3_stmt *statement = s->statements[SQL_LOG];

    bind_u64(statement, 1, revision);
    bind_text(statement, 2, op->kind);
    bind_text(statement, 3, op->id);
    bind_text(statement, 4, verbs[op->verb].word);
    (void)sqlite3_bind_int64(statement, 5, at);
    return run(s, SQL_LOG);
}

static int write_op(struct store_sqlite *s, const struct store_op *op, uint64_t revision,
                    int64_t at)
{
    sqlite3_stmt *statement = s->statements[verbs[op->verb].sql];
    int r;

    bind_text(statement, 1, op->kind);
    bind_text(statement, 2, op->id);
    if (op->verb != STORE_DELETE) {
        bind_u64(statement, 3, revision);
        bind_text(statement, 4, op->body);
        bind_text(statement, 6, op->key); /* NULL binds NULL */
    }
    if (op->verb != STORE_CREATE)
        bind_u64(statement, 5, op->if_revision);
    r = run(s, verbs[op->verb].sql);
    if (r != STORE_DONE)
        return r;
    if (sqlite3_changes(s->db) != 1)
        return STORE_CONFLICT;
    return log_op(s, op, revision, at);
}

static int write_ops(struct store_sqlite *s, const struct store_change *change, uint64_t revision)
{
    int r = STORE_DONE;

    if (change->op_count == 0)
        return change->copy ? STORE_DONE : run(s, SQL_PROBE);
    for (size_t i = 0; i < change->op_count && r == STORE_DONE; i++)
        r = write_op(s, &change->ops[i], revision, change->at_unix_s);
    return r;
}

/* One change set inside the transaction, where a conflict spoils all that is in it. */
static int write_change(struct store_sqlite *s, struct store_change *change, uint64_t *revision)
{
    uint64_t next = change->op_count > 0 ? *revision + 1 : *revision;

    change->outcome = write_ops(s, change, next);
    change->revision = 0;
    if (change->outcome == STORE_DONE)
        *revision = change->revision = next;
    return change->outcome;
}

/* The same, but a conflict takes back only its own operations. */
static int try_change(struct store_sqlite *s, struct store_change *change, uint64_t *revision)
{
    int r = run(s, SQL_SAVEPOINT);

    if (r == STORE_DONE)
        r = write_change(s, change, revision);
    if (r == STORE_CONFLICT)
        r = run(s, SQL_ROLLBACK_TO);
    return r == STORE_DONE ? run(s, SQL_RELEASE) : r;
}

static int trim(struct store_sqlite *s, uint64_t revision)
{
    if (revision <= CHANGES_KEPT || revision / CHANGES_STEP == s->revision / CHANGES_STEP)
        return STORE_DONE;
    bind_u64(s->statements[SQL_TRIM], 1, revision - CHANGES_KEPT);
    return run(s, SQL_TRIM);
}

static int write_all(struct store_sqlite *s, struct store_change *first, write_fn *write,
                     uint64_t *ret_revision)
{
    uint64_t revision = s->revision;
    int r = run(s, SQL_BEGIN);

    for (struct store_change *c = first; c && r == STORE_DONE; c = store_change_next(c))
        r = write(s, c, &revision);
    if (r == STORE_DONE)
        r = trim(s, revision);
    if (r == STORE_DONE)
        r = run(s, SQL_COMMIT);
    if (r == STORE_DONE)
        *ret_revision = revision;
    return r;
}

/* SQLite has rolled back by itself after some errors; then there is nothing to do. */
static void roll_back(struct store_sqlite *s)
{
    if (!sqlite3_get_autocommit(s->db))
        (void)run(s, SQL_ROLLBACK);
}

/* Conflicts are as good as never, so nobody pays for them (a savepoint keeps a copy of each page
 * that is changed) until there is one. Then it is found anew, by trying. */
static int write_group(struct store_sqlite *s, struct store_change *first, uint64_t *ret_revision)
{
    int r = write_all(s, first, write_change, ret_revision);

    if (r != STORE_CONFLICT)
        return r;
    roll_back(s);
    return write_all(s, first, try_change, ret_revision);
}

/* A file that was moved or deleted takes writes without complaint, and they are lost. */
static int check_in_place(struct store_sqlite *s)
{
    int has_moved = 0;

    if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved) != SQLITE_OK)
        return err_fail(EIO, "look whether %s is still in its place", s->path);
    return has_moved ? err_fail(ESTALE, "%s was moved or deleted while it was in use", s->path) : 0;
}

/* What is in the log is durable, so a full disk is no harm here: a later attempt will do. Any other
 * failure leaves it open what the file holds. */
static int checkpoint(struct store_sqlite *s)
{
    int code, r;

    if (s->wal_pages < WAL_PAGES_MAX)
        return 0;
    code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    r = outcome_of(s, code);
    return r == STORE_FULL ? 0 : r;
}

static int commit(struct store *store, struct store_change *first)
{
    struct store_sqlite *s = self(store);
    int r = check_in_place(s);

    if (r < 0)
        return r;
    r = write_group(s, first, &s->revision);
    if (r == STORE_DONE)
        return checkpoint(s);
    if (r < 0)
        return r;
    roll_back(s);
    for (struct store_change *c = first; c; c = store_change_next(c)) {
        c->outcome = STORE_FULL;
        c->revision = 0;
    }
    return 0;
}

static int copy(struct store *store, char **ret_bytes, size_t *ret_n)
{
    struct store_sqlite *s = self(store);

    return sqlite_copy(s->db, s->path, ret_bytes, ret_n);
}

static int on_wal(void *data, sqlite3 *db, const char *name, int pages)
{
    struct store_sqlite *s = data;

    s->wal_pages = pages;
    return SQLITE_OK;
}

/* ---- loading ------------------------------------------------------------------------------- */

static int load_row(struct store_sqlite *s, store_record_fn fn, void *data)
{
    sqlite3_stmt *row = s->statements[SQL_LOAD];
    const struct store_record record = {
        .kind = (const char *)sqlite3_column_text(row, 0),
        .id = (const char *)sqlite3_column_text(row, 1),
        .created_revision = (uint64_t)sqlite3_column_int64(row, 2),
        .revision = (uint64_t)sqlite3_column_int64(row, 3),
        .body = (const char *)sqlite3_column_text(row, 4),
    };
    int r;

    if (!record.kind || !record.id || !record.body)
        mem_exhausted(0);
    r = fn(&record, data);
    return r == STORE_DAMAGED ? store_sqlite_distrust(s->path) : r;
}

static int load(struct store *store, store_record_fn fn, void *data, uint64_t *ret_revision)
{
    struct store_sqlite *s = self(store);
    int code = SQLITE_DONE;
    int r = 0;

    while (r == 0 && (code = sqlite3_step(s->statements[SQL_LOAD])) == SQLITE_ROW)
        r = load_row(s, fn, data);
    if (r == 0 && code != SQLITE_DONE)
        r = sqlite_file_fail(s->db, s->path, "read");
    (void)sqlite3_reset(s->statements[SQL_LOAD]);
    if (r == STORE_DAMAGED || r == 0)
        *ret_revision = s->revision;
    return r;
}

static int read_revision(struct store_sqlite *s)
{
    if (sqlite3_step(s->statements[SQL_REVISION]) != SQLITE_ROW)
        return sqlite_file_fail(s->db, s->path, "read");
    s->revision = (uint64_t)sqlite3_column_int64(s->statements[SQL_REVISION], 0);
    (void)sqlite3_reset(s->statements[SQL_REVISION]);
    return 0;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void sqlite_store_free(struct store *store)
{
    struct store_sqlite *s = self(store);

    for (size_t i = 0; i < SQL_COUNT; i++)
        (void)sqlite3_finalize(s->statements[i]);
    (void)sqlite3_close(s->db); /* puts the log back into the file; if it cannot, the log stays */
    free(s->path);
    free(s);
}

static int prepare_all(struct store_sqlite *s)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        if (sqlite3_prepare_v3(s->db, sql_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &s->statements[i], NULL) != SQLITE_OK)
            return sqlite_file_fail(s->db, s->path, "prepare for");
    }
    return 0;
}

int store_sqlite_open(const char *path, struct store **ret_store)
{
    static const struct store_ops ops = {load, commit, copy, sqlite_store_free};
    sqlite3 *db = NULL;
    struct store_sqlite *s;
    int r = sqlite_file_open(path, &db);

    if (r != 0)
        return r;
    s = NEW(struct store_sqlite);
    *s = (struct store_sqlite){.store = {&ops}, .path = mem_strdup(path), .db = db};
    (void)sqlite3_wal_hook(db, on_wal, s);
    r = prepare_all(s);
    if (r == 0)
        r = read_revision(s);
    if (r == 0 && wal_room_make(path, WAL_ROOM_BYTES) < 0)
        log_warn("writes will be slower at first", LOG_ERR());
    if (r != 0) {
        sqlite_store_free(&s->store);
        return r;
    }
    *ret_store = &s->store;
    return 0;
}
