/* Where the store tests begin, and what they say to a store. */
#include "tests/unit/control/store_bed.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/store/memory.h"
#include "control/store/sqlite.h"
#include "lib/base/mem.h"
#include "lib/base/strbuf.h"
#include "tests/unit/cmocka.h"

int store_bed_make(void **state)
{
    struct store_bed *f = NEW(struct store_bed);

    (void)stpcpy(f->dir, "/tmp/quilt-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = mem_printf("%s/mesh.db", f->dir);
    *state = f;
    return 0;
}

int store_bed_make_memory(void **state)
{
    struct store_bed *f;

    (void)store_bed_make(state);
    f = *state;
    f->store = store_memory_new();
    return 0;
}

int store_bed_make_sqlite(void **state)
{
    struct store_bed *f;

    (void)store_bed_make(state);
    f = *state;
    f->is_sqlite = true;
    assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
    return 0;
}

int store_bed_drop(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = mem_printf("%s-wal", f->path);

    store_free(f->store);
    (void)unlink(f->path);
    (void)unlink(wal);
    assert_int_equal(rmdir(f->dir), 0); /* nothing else may be left in it */
    free(f->path);
    free(f);
    return 0;
}

void store_bed_reopen(struct store_bed *f)
{
    if (!f->is_sqlite)
        return;
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
}

int bed_add_text(const struct store_record *record, void *data)
{
    strbuf_addf(data, "%s/%s@%llu/%llu=%s ", record->kind, record->id,
                (unsigned long long)record->created_revision, (unsigned long long)record->revision,
                record->body);
    return 0;
}

void assert_records(struct store *store, const char *expected, uint64_t expected_revision)
{
    AUTO_STRBUF struct strbuf text = {0};
    uint64_t revision = 99;

    strbuf_adds(&text, "");
    assert_int_equal(store_load(store, bed_add_text, &text, &revision), 0);
    assert_string_equal(text.data ? text.data : "", expected);
    assert_int_equal(revision, expected_revision);
}

int bed_commit_one(struct store *store, struct store_change *change)
{
    int outcome;

    change->item.next = NULL;
    assert_int_equal(store_commit(store, change), 0);
    outcome = change->outcome;
    assert_int_equal(change->revision > 0, outcome == STORE_DONE && change->op_count > 0);
    store_change_deinit(change);
    return outcome;
}

int bed_create(struct store *store, const char *kind, const char *id, const char *body)
{
    struct store_change change = {0};

    store_add_create(&change, kind, id, NULL, mem_strdup(body));
    return bed_commit_one(store, &change);
}

int bed_create_keyed(struct store *store, const char *kind, const char *id, const char *key)
{
    struct store_change change = {0};

    store_add_create(&change, kind, id, key, mem_strdup("{}"));
    return bed_commit_one(store, &change);
}

int bed_update(struct store *store, const char *id, uint64_t if_revision, const char *body)
{
    struct store_change change = {0};

    store_add_update(&change, "node", id, if_revision, NULL, mem_strdup(body));
    return bed_commit_one(store, &change);
}

int bed_delete(struct store *store, const char *id, uint64_t if_revision)
{
    struct store_change change = {0};

    store_add_delete(&change, "node", id, if_revision);
    return bed_commit_one(store, &change);
}

/* ---- the file, from outside ---------------------------------------------------------------- */

void bed_crash(struct store_bed *f, int nodes)
{
    int status = 1;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
        for (int i = 1; i <= nodes; i++) {
            char id[16];

            (void)snprintf(id, sizeof id, "n%d", i);
            assert_int_equal(bed_create(f->store, "node", id, "{}"), STORE_DONE);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

void bed_run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int64_t bed_read_number(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    int64_t number;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    number = sqlite3_column_int64(row, 0);
    assert_int_equal(sqlite3_finalize(row), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}

void bed_overwrite(const char *path, off_t at, size_t n)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    AUTO_FREE char *bytes = mem_alloc(n);

    memset(bytes, 0xa5, n);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), n);
}

int bed_open_code(const char *path)
{
    struct store *store = NULL;
    int r = store_sqlite_open(path, NULL, &store);

    store_free(store);
    return r;
}
