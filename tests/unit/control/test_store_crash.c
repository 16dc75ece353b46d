/* Power cuts at each step of the file's life, and of its log's: whatever the disk has then, the
 * next start opens it and finds all that was acknowledged, and nothing else. */
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>

#include "control/store/schema.h"
#include "control/store/sqlite_file.h"
#include "lib/base/file.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/control/crash_world.h"

static void assert_cuts(const struct world *w, size_t at_least)
{
    if (w->cuts < at_least)
        fail_msg("%zu cuts are no test", w->cuts);
    print_message("%zu cuts\n", w->cuts);
}

static void any_cut_in_any_of_many_lives_is_survived(void **state)
{
    struct world *w = *state;

    w->odds = 60;
    for (int file = 0; file < 2 * world_times(); file++) {
        world_begin_anew(w);
        world_live(w, 25);
    }
    assert_cuts(w, 500);
}

static void whatever_part_of_little_has_arrived_is_survived(void **state)
{
    struct world *w = *state;

    w->all_of = 4;
    for (int file = 0; file < world_times(); file++) {
        world_begin_anew(w);
        world_live(w, 4);
    }
    assert_cuts(w, 500);
}

/* ---- what is put in its place -------------------------------------------------------------- */

/* As an operator restores a backup: the file is replaced, and its log removed. */
static void restore_backup(struct world *w)
{
    struct store *store = NULL;
    struct store_copy copy;

    if (world_open(w, &store)) {
        world_check(w, store);
        for (int i = 0; i < 4; i++) {
            cut_disk_fill((int)world_draw(w, 16), false);
            assert_true(world_commit(w, store));
        }
        store_copy(store, &copy);
        assert_non_null(copy.bytes);
        world_close(w, store);
        world_empty(w);
        assert_int_equal(file_write_atomic(w->path, copy.bytes, copy.n, 0600), 0);
        store_copy_deinit(&copy);
        w->story.under_way = w->story.acknowledged;
        return;
    }
    world_close(w, store);
}

static void any_cut_after_a_backup_was_restored_is_survived(void **state)
{
    struct world *w = *state;

    w->odds = 60;
    world_begin_anew(w);
    for (int round = 0; round < 6 * world_times(); round++) {
        world_live(w, 2);
        restore_backup(w);
        cut_deinit(&w->next);
    }
    assert_cuts(w, 200);
}

/* ---- what a program of before has left ----------------------------------------------------- */

static void run_sql(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

static sqlite3 *open_plainly(const struct world *w)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
    run_sql(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                "PRAGMA wal_autocheckpoint=15");
    return db;
}

static void begin_with_version(struct world *w, int version)
{
    sqlite3 *db;

    world_begin_anew(w);
    db = open_plainly(w);
    assert_int_equal(sqlite_file_migrate(db, w->path, version), 0);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void commit_plainly(struct world *w, sqlite3 *db, int version)
{
    uint64_t revision = ++w->story.under_way;
    uint32_t number = world_draw(w, NODES);
    struct node *node = &w->story.nodes[number];
    bool is_new = !node->created;
    AUTO_FREE char *body = world_make_body(world_draw_size(w));
    AUTO_FREE char *record =
        is_new ? mem_printf("INSERT INTO records(kind, id, created_revision, revision, body)"
                            " VALUES('node', 'n%u', %" PRIu64 ", %" PRIu64 ", '%s')",
                            number, revision, revision, body)
               : mem_printf("UPDATE records SET revision = %" PRIu64 ", body = '%s'"
                            " WHERE id = 'n%u'",
                            revision, body, number);
    bool has_rows = version >= SCHEMA_WITH_ROWS;
    AUTO_FREE char *row = mem_printf("%" PRIu64 ",", revision * SQLITE_FILE_CHANGE_ROWS);
    AUTO_FREE char *sql =
        mem_printf("BEGIN; %s; INSERT INTO changes(%s kind, id, verb, at, revision)"
                   " VALUES(%s 'node', 'n%u', '%s', 0, %" PRIu64 "); COMMIT",
                   record, has_rows ? "row," : "", has_rows ? row : "", number,
                   is_new ? "create" : "update", revision);

    *node = (struct node){is_new ? revision : node->created, revision, strlen(body)};
    world_write_text(w, revision);
    run_sql(db, sql);
    w->story.acknowledged = revision;
}

static void learn_plainly(struct world *w, sqlite3 *db)
{
    sqlite3_stmt *rows = NULL;
    uint64_t revision = 0;

    memset(w->story.nodes, 0, sizeof w->story.nodes);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT id, created_revision, revision, length(body),"
                                        " max(revision) OVER () FROM records",
                                        -1, &rows, NULL),
                     SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        w->story.nodes[sqlite3_column_text(rows, 0)[1] - '0'] = (struct node){
            (uint64_t)sqlite3_column_int64(rows, 1), (uint64_t)sqlite3_column_int64(rows, 2),
            (size_t)sqlite3_column_int64(rows, 3)};
        revision = (uint64_t)sqlite3_column_int64(rows, 4);
    }
    assert_int_equal(sqlite3_finalize(rows), SQLITE_OK);
    assert_true(revision == w->story.acknowledged || revision == w->story.under_way);
    w->story.acknowledged = w->story.under_way = revision;
}

/* Such a program goes on in the log that a crash has left. */
static void live_as_before(struct world *w, int version)
{
    uint32_t commits = world_draw(w, 10);
    sqlite3 *db;

    cut_disk_watch(w->live, world_step, w);
    db = open_plainly(w);
    learn_plainly(w, db);
    for (uint32_t i = 0; i < commits; i++)
        commit_plainly(w, db, version);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    world_close(w, NULL);
}

static void any_cut_of_an_upgrade_is_survived(void **state)
{
    struct world *w = *state;

    for (int round = 0; round < 6 * world_times(); round++) {
        int version = 1 + round % 3;

        begin_with_version(w, version);
        w->odds = 30;
        for (uint32_t lives = 1 + world_draw(w, 4); lives > 0; lives--) {
            live_as_before(w, version);
            world_begin_after_a_cut(w);
        }
        w->odds = 60;
        world_live(w, 4);
    }
    assert_cuts(w, 500);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(any_cut_in_any_of_many_lives_is_survived),
        WORLD(whatever_part_of_little_has_arrived_is_survived),
        WORLD(any_cut_after_a_backup_was_restored_is_survived),
        WORLD(any_cut_of_an_upgrade_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
