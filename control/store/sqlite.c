/* The store in one SQLite file: loading it, and committing change sets in groups.
 *
 * What a commit costs is the pages it changes. So rows lie in the order of their making, whatever
 * they are about, and the file has no index: what is new goes to the last page of two tables. What
 * is there already, and in which row, the index in memory says (index.h).
 */
#include "control/store/sqlite.h"

#include <assert.h>
#include <string.h>

#include "control/store/index.h"
#include "control/store/sqlite_copy.h"
#include "control/store/sqlite_file.h"
#include "lib/base/error.h"

/* Changes that are kept at least for people to look at; the latest also carries the revision. The
 * oldest go so many at a time: each time costs pages that a commit does not need. */
#define CHANGES_KEPT 10000
#define CHANGES_STEP 1000

enum sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_CREATE,
    SQL_UPDATE,
    SQL_DELETE,
    SQL_LOG,
    SQL_TRIM,
    SQL_PROBE,
    SQL_LOAD,
    SQL_INDEX,
    SQL_REVISION,
    SQL_COUNT
};

static const char *const sql_texts[] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_CREATE] = "INSERT INTO records(row, kind, id, created_revision, revision, key, body) "
                   "VALUES(?1, ?5, ?6, ?2, ?2, ?3, ?4)",
    [SQL_UPDATE] = "UPDATE records SET revision = ?2, key = ?3, body = ?4 WHERE row = ?1",
    [SQL_DELETE] = "DELETE FROM records WHERE row = ?1",
    [SQL_LOG] = "INSERT INTO changes(row, revision, kind, id, verb, at) "
                "VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [SQL_TRIM] = "DELETE FROM changes WHERE row < ?1",
    [SQL_PROBE] = "UPDATE probe SET writes = writes + 1",
    [SQL_LOAD] = "SELECT kind, id, created_revision, revision, body FROM records "
                 "ORDER BY created_revision, kind, id",
    [SQL_INDEX] = "SELECT kind, id, revision, key, row FROM records",
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
    sqlite3 *db; /* the log's */
    struct sqlite_log log;
    sqlite3_stmt *statements[SQL_COUNT];
    struct index *index;
    uint64_t revision; /* of the latest committed change */
    bool is_broken;    /* what the file holds is unknown */
};

static struct store_sqlite *self(struct store *store)
{
    return CONTAINER_OF(store, struct store_sqlite, store);
}

static int run(struct store_sqlite *s, enum sql which)
{
    int outcome = sqlite_file_outcome(s->db, s->path, sqlite3_step(s->statements[which]));

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

/* ---- committing ---------------------------------------------------------------------------- */

static int log_op(struct store_sqlite *s, const struct store_op *op, uint64_t revision,
                  uint64_t number, int64_t at)
{
    sqlite3_stmt *statement = s->statements[SQL_LOG];

    bind_u64(statement, 1, revision * SQLITE_FILE_CHANGE_ROWS + number);
    bind_u64(statement, 2, revision);
    bind_text(statement, 3, op->kind);
    bind_text(statement, 4, op->id);
    bind_text(statement, 5, verbs[op->verb].word);
    (void)sqlite3_bind_int64(statement, 6, at);
    return run(s, SQL_LOG);
}

static int write_op(struct store_sqlite *s, const struct store_op *op, uint64_t revision,
                    int64_t row)
{
    sqlite3_stmt *statement = s->statements[verbs[op->verb].sql];
    int r;

    (void)sqlite3_bind_int64(statement, 1, row);
    if (op->verb != STORE_DELETE) {
        bind_u64(statement, 2, revision);
        bind_text(statement, 3, op->key); /* NULL binds NULL */
        bind_text(statement, 4, op->body);
    }
    if (op->verb == STORE_CREATE) {
        bind_text(statement, 5, op->kind);
        bind_text(statement, 6, op->id);
    }
    r = run(s, verbs[op->verb].sql);
    if (r == STORE_DONE && sqlite3_changes(s->db) != 1)
        return err_fail(EIO, "write %s: the row of %s %s is gone", s->path, op->kind, op->id);
    return r;
}

static int write_ops(struct store_sqlite *s, const struct store_change *change, uint64_t revision,
                     const int64_t *rows)
{
    int r = STORE_DONE;

    if (change->op_count == 0)
        return change->copy ? STORE_DONE : run(s, SQL_PROBE);
    for (size_t i = 0; i < change->op_count && r == STORE_DONE; i++) {
        r = write_op(s, &change->ops[i], revision, rows[i]);
        if (r == STORE_DONE)
            r = log_op(s, &change->ops[i], revision, i, change->at_unix_s);
    }
    return r;
}

/* A change set that does not fit is left out, and has its outcome. */
static int write_change(struct store_sqlite *s, struct store_change *change, uint64_t *revision)
{
    uint64_t next = change->op_count > 0 ? *revision + 1 : *revision;
    int64_t rows[STORE_OPS_MAX];
    int r;

    change->revision = 0;
    change->outcome = index_apply(s->index, change, next, rows);
    if (change->outcome != STORE_DONE)
        return STORE_DONE;
    r = write_ops(s, change, next, rows);
    if (r == STORE_DONE)
        *revision = change->revision = next;
    return r;
}

static int trim(struct store_sqlite *s, uint64_t revision)
{
    if (revision <= CHANGES_KEPT || revision / CHANGES_STEP == s->revision / CHANGES_STEP)
        return STORE_DONE;
    bind_u64(s->statements[SQL_TRIM], 1, (revision - CHANGES_KEPT + 1) * SQLITE_FILE_CHANGE_ROWS);
    return run(s, SQL_TRIM);
}

static int write_group(struct store_sqlite *s, struct store_change *first, uint64_t *ret_revision)
{
    uint64_t revision = s->revision;
    int r = run(s, SQL_BEGIN);

    for (struct store_change *c = first; c && r == STORE_DONE; c = store_change_next(c))
        r = write_change(s, c, &revision);
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

/* A file that was moved or deleted takes writes without complaint, and they are lost. */
static int check_in_place(struct store_sqlite *s)
{
    int has_moved = 0;

    if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved) != SQLITE_OK)
        return err_fail(EIO, "look whether %s is still in its place", s->path);
    return has_moved ? err_fail(ESTALE, "%s was moved or deleted while it was in use", s->path) : 0;
}

/* Nothing of the group is in the file, so it is to be nowhere. */
static void give_up(struct store_sqlite *s)
{
    roll_back(s);
    sqlite_log_spoil(&s->log);
    index_undo(s->index);
}

static void refuse_all(struct store_change *first)
{
    for (struct store_change *c = first; c; c = store_change_next(c)) {
        c->outcome = STORE_FULL;
        c->revision = 0;
    }
}

static int try_commit(struct store_sqlite *s, struct store_change *first)
{
    int r = check_in_place(s);

    if (r == 0)
        r = sqlite_log_check_in_place(&s->log);
    if (r == 0)
        r = sqlite_log_renew(&s->log);
    if (r == 0)
        r = write_group(s, first, &s->revision);
    if (r == STORE_FULL)
        give_up(s);
    return r;
}

/* A log that has no room to grow has some again when it has gone back into the file. */
static int commit(struct store *store, struct store_change *first)
{
    struct store_sqlite *s = self(store);
    int r = try_commit(s, first);

    if (r == STORE_FULL)
        r = try_commit(s, first);
    s->is_broken = r < 0;
    if (r == STORE_FULL)
        refuse_all(first);
    else if (r == 0)
        index_keep(s->index);
    return r < 0 ? r : 0;
}

static int copy(struct store *store, char **ret_bytes, size_t *ret_n)
{
    struct store_sqlite *s = self(store);

    return sqlite_copy(s->db, s->path, SQLITE_COPY_PLAIN, ret_bytes, ret_n);
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

static int index_row(struct store_sqlite *s)
{
    sqlite3_stmt *row = s->statements[SQL_INDEX];
    const struct store_record record = {
        .kind = (const char *)sqlite3_column_text(row, 0),
        .id = (const char *)sqlite3_column_text(row, 1),
        .revision = (uint64_t)sqlite3_column_int64(row, 2),
    };
    const char *key = (const char *)sqlite3_column_text(row, 3);

    if (!record.kind || !record.id)
        mem_exhausted(0);
    if (index_add(s->index, &record, key, sqlite3_column_int64(row, 4)) != STORE_DONE)
        return store_sqlite_distrust(s->path);
    return 0;
}

/* Whatever it says is decided here again, so it is held to the rules that a change is held to. */
static int fill_index(struct store_sqlite *s)
{
    int code = SQLITE_DONE;
    int r = 0;

    while (r == 0 && (code = sqlite3_step(s->statements[SQL_INDEX])) == SQLITE_ROW)
        r = index_row(s);
    if (r == 0 && code != SQLITE_DONE)
        r = sqlite_file_fail(s->db, s->path, "read");
    (void)sqlite3_reset(s->statements[SQL_INDEX]);
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
    if (s->db)
        sqlite_file_close(&s->log, !s->is_broken);
    index_free(s->index);
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

static int open_store(struct store_sqlite *s, const struct store_change *first)
{
    int r = sqlite_file_open(s->path, first, &s->log);

    if (r != 0)
        return r;
    s->db = s->log.db;
    r = prepare_all(s);
    if (r == 0)
        r = read_revision(s);
    if (r == 0)
        r = fill_index(s);
    s->is_broken = r != 0;
    return r;
}

int store_sqlite_open(const char *path, const struct store_change *first, struct store **ret_store)
{
    static const struct store_ops ops = {load, commit, copy, sqlite_store_free};
    struct store_sqlite *s = NEW(struct store_sqlite);
    int r;

    *s = (struct store_sqlite){.store = {&ops}, .path = mem_strdup(path), .index = index_new()};
    r = open_store(s, first);
    if (r != 0) {
        sqlite_store_free(&s->store);
        return r;
    }
    *ret_store = &s->store;
    return 0;
}
