/* What only the store on disk can meet: other processes, other programs, other versions, damage. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "control/store/schema.h"
#include "control/store/sqlite.h"
#include "control/store/sqlite_new.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/strbuf.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/control/mesh.h"
#include "tests/unit/control/store_bed.h"

static void the_file_is_for_its_owner_only(void **state)
{
    struct store_bed *f = *state;
    struct stat st;

    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_second_process_is_told_that_it_is_locked(void **state)
{
    struct store_bed *f = *state;
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(bed_open_code(f->path) == -EBUSY && strstr(err_text(), "locked by another process")
                  ? 0
                  : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void random_bytes_are_no_store(void **state)
{
    struct store_bed *f = *state;
    char bytes[2048];

    memset(bytes, 0x5a, sizeof bytes);
    assert_int_equal(file_write_atomic(f->path, bytes, sizeof bytes, 0600), 0);
    assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
    assert_says(f->path);
    assert_says("restore the file from a backup");
}

static void an_empty_file_is_no_store(void **state)
{
    struct store_bed *f = *state;

    assert_int_equal(file_write_atomic(f->path, "", 0, 0600), 0);
    assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
    assert_says("is empty");
}

static void a_log_without_its_file_is_not_taken_for_a_new_store(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = mem_printf("%s-wal", f->path);

    assert_int_equal(file_write_atomic(wal, "x", 1, 0600), 0);
    assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
    assert_says("is gone");
}

static void the_latest_ten_thousand_changes_are_kept_for_people(void **state)
{
    static struct store_change changes[500];
    struct store_bed *f = *state;

    for (int number = 0; number < 12500; number++) {
        struct store_change *change = &changes[number % 500];
        char id[16];

        (void)snprintf(id, sizeof id, "%d", number);
        store_add_create(change, "node", id, NULL, mem_strdup("{}"));
        change->item.next = number % 500 < 499 ? &changes[number % 500 + 1].item : NULL;
        if (change->item.next)
            continue;
        assert_int_equal(store_commit(f->store, &changes[0]), 0);
        for (int i = 0; i < 500; i++)
            store_change_deinit(&changes[i]);
    }
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(bed_read_number(f->path, "SELECT max(revision) FROM changes"), 12500);
    assert_in_range(bed_read_number(f->path, "SELECT count(*) FROM changes"), 10000, 11000);
    assert_int_equal(bed_read_number(f->path, "SELECT count(*) FROM records"), 12500);
}

static void a_file_of_another_program_is_left_alone(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *before = NULL, *after = NULL;
    size_t n = 0, n_after = 0;

    bed_run_sql(f->path, "CREATE TABLE songs(title)");
    assert_int_equal(file_read(f->path, 1 << 20, &before, &n), 0);
    assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
    assert_says("another program");
    assert_int_equal(file_read(f->path, 1 << 20, &after, &n_after), 0);
    assert_int_equal(n, n_after);
    assert_memory_equal(before, after, n);
}

static void make_first_version(const char *path)
{
    AUTO_FREE char *sql = mem_printf(
        "PRAGMA application_id=0x514d7368; PRAGMA user_version=1; %s"
        "INSERT INTO records VALUES('node', 'b', 2, 5, '10.0.0.2', '{}'),"
        "  ('node', 'a', 4, 4, NULL, '{}'), ('lease', 's', 2, 2, 'b', '{}');"
        "INSERT INTO changes VALUES(2, 'lease', 's', 'create', 10), (2, 'node', 'b', 'create', 10),"
        "  (4, 'node', 'a', 'create', 20), (5, 'node', 'b', 'update', 30),"
        "  (6, 'node', 'c', 'delete', 40);",
        schema_step(0));

    bed_run_sql(path, sql);
}

static void a_file_of_the_first_version_is_brought_up_to_date(void **state)
{
    struct store_bed *f = *state;

    make_first_version(f->path);
    assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
    assert_records(f->store, "lease/s@2/2={} node/b@2/5={} node/a@4/4={} ", 6);
    assert_int_equal(bed_create_keyed(f->store, "node", "d", "10.0.0.2"), STORE_CONFLICT);
    assert_int_equal(bed_create_keyed(f->store, "lease", "s", NULL), STORE_CONFLICT);
    assert_int_equal(bed_update(f->store, "b", 5, "{}"), STORE_DONE);
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(bed_read_number(f->path, "SELECT count(*) FROM nodes"), 2);
    assert_int_equal(bed_read_number(f->path, "SELECT count(*) FROM subnets"), 1);
    assert_int_equal(bed_read_number(f->path, "SELECT count(*) FROM reservations"), 0);
    assert_int_equal(bed_read_number(f->path, "SELECT count(*) FROM changes"), 6);
    assert_int_equal(bed_read_number(f->path, "SELECT at FROM changes WHERE row = 2 * 8 + 1"), 10);
    assert_int_equal(bed_read_number(f->path, "SELECT revision FROM changes WHERE row = 7 * 8"), 7);
}

/* What no two may hold the file does not hold to: who opens it does. */
static void a_key_that_is_there_twice_is_found_at_start(void **state)
{
    static const char *const doubles[] = {
        "UPDATE records SET key = '10.0.0.1' WHERE id = 'b'",
    };
    static const char *const fine[] = {
        "UPDATE records SET kind = 'lease', key = '10.0.0.1' WHERE id = 'b';"
        "UPDATE changes SET kind = 'lease' WHERE id = 'b'",
        "UPDATE records SET key = NULL WHERE id = 'a'",
    };
    struct store_bed *f = *state;
    AUTO_FREE char *whole = NULL;
    size_t n = 0;

    assert_int_equal(bed_create_keyed(f->store, "node", "a", "10.0.0.1"), STORE_DONE);
    assert_int_equal(bed_create_keyed(f->store, "node", "b", NULL), STORE_DONE);
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(file_read(f->path, 1 << 20, &whole, &n), 0);
    for (size_t i = 0; i < ARRAY_LEN(doubles); i++) {
        assert_int_equal(file_write_atomic(f->path, whole, n, 0600), 0);
        bed_run_sql(f->path, doubles[i]);
        assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
        assert_says(f->path);
        assert_says("is there twice");
        assert_says("restore the file from a backup");
    }
    assert_int_equal(file_write_atomic(f->path, whole, n, 0600), 0);
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        bed_run_sql(f->path, fine[i]);
    assert_int_equal(bed_open_code(f->path), 0);
}

/* Whoever writes such a row has turned the checks off, as the store does for its own writes. */
static const char senseless_change[] =
    "PRAGMA ignore_check_constraints=ON; UPDATE changes SET verb = 'guess' WHERE revision = 2";

static void a_change_that_is_none_is_found_at_start(void **state)
{
    struct store_bed *f = *state;

    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_int_equal(bed_create(f->store, "node", "b", "{}"), STORE_DONE);
    store_free(f->store);
    f->store = NULL;
    bed_run_sql(f->path, senseless_change);
    assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
    assert_says("CHECK constraint failed in changes");
    assert_says("restore the file from a backup");
}

static void a_change_that_is_none_is_not_brought_up_to_date(void **state)
{
    struct store_bed *f = *state;

    make_first_version(f->path);
    bed_run_sql(f->path, senseless_change);
    assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
    assert_says("CHECK constraint failed in changes");
    assert_int_equal(bed_read_number(f->path, "PRAGMA user_version"), 1);
}

static void a_file_of_a_later_version_is_refused(void **state)
{
    struct store_bed *f = *state;

    store_free(f->store);
    f->store = NULL;
    bed_run_sql(f->path, "PRAGMA user_version=99");
    assert_int_equal(bed_open_code(f->path), -ENOTSUP);
    assert_says("newer version");
    assert_says("start that version again");
}

static void a_copy_is_whole_and_has_what_is_committed(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *path = mem_printf("%s/copy.db", f->dir);
    struct store_copy copy;
    struct store *second = NULL;

    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_int_equal(bed_create(f->store, "node", "b", "{}"), STORE_DONE);
    store_copy(f->store, &copy);
    assert_non_null(copy.bytes);
    assert_int_equal(bed_create(f->store, "node", "c", "{}"), STORE_DONE); /* the store goes on */
    assert_int_equal(file_write_atomic(path, copy.bytes, copy.n, 0600), 0);
    assert_int_equal(store_sqlite_look(path), STORE_SQLITE_COPY);
    assert_int_equal(store_sqlite_open(path, NULL, &second), 0);
    assert_int_equal(store_sqlite_look(path), STORE_SQLITE_OTHER); /* from now on */
    assert_records(second, "node/a@1/1={} node/b@2/2={} ", 2);
    store_free(second);
    store_copy_deinit(&copy);
    assert_int_equal(unlink(path), 0);
}

static void a_damaged_store_gives_no_copy(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *body = mem_zalloc(500001);
    struct store_copy copy;

    memset(body, ' ', 500000);
    body[0] = '{';
    body[1] = '}';
    for (char id[] = "a"; id[0] <= 'z'; id[0]++) /* far more than is cached */
        assert_int_equal(bed_create(f->store, "node", id, body), STORE_DONE);
    store_bed_reopen(f); /* all is in the file itself */
    for (off_t page = 100; page < 2900; page++)
        bed_overwrite(f->path, page * 4096, 8);
    store_copy(f->store, &copy);
    assert_null(copy.bytes);
    assert_non_null(strstr(copy.error, f->path));
    store_copy_deinit(&copy);
}

static int distrust(const struct store_record *record, void *data)
{
    (void)err_fail(EIO, "record %s makes no sense", record->id);
    return STORE_DAMAGED;
}

static void a_senseless_record_is_told_with_the_file_and_a_way_out(void **state)
{
    struct store_bed *f = *state;
    uint64_t revision = 0;

    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_int_equal(store_load(f->store, distrust, NULL, &revision), STORE_DAMAGED);
    assert_says(f->path);
    assert_says("record a makes no sense");
    assert_says("restore the file from a backup");
}

static void damage_inside_the_file_is_found_at_start(void **state)
{
    struct store_bed *f = *state;

    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    store_free(f->store);
    f->store = NULL;
    bed_overwrite(f->path, 4100, 16);
    assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
    assert_says(f->path);
}

static void a_cut_file_is_found_at_start(void **state)
{
    struct store_bed *f = *state;

    store_free(f->store);
    f->store = NULL;
    assert_int_equal(truncate(f->path, 8192), 0);
    assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
}

static void a_file_that_was_deleted_takes_no_more_writes(void **state)
{
    struct store_bed *f = *state;
    struct store_change change = {0};

    assert_int_equal(unlink(f->path), 0);
    store_add_create(&change, "node", "a", NULL, mem_strdup("{}"));
    assert_int_equal(store_commit(f->store, &change), -ESTALE);
    assert_says("moved or deleted");
    store_change_deinit(&change);
}

static void the_missing_directory_is_named(void **state)
{
    assert_int_equal(bed_open_code("/nonexistent/mesh.db"), -ENOENT);
    assert_string_equal(err_text(), "create /nonexistent/mesh.db: its directory is not there; make "
                                    "it first");
    assert_says("/nonexistent/mesh.db");
}

/* The log goes: what came with the file is in the file itself. */
static void a_new_file_has_its_first_change_set_from_the_beginning(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = mem_printf("%s-wal", f->path);
    struct store_change first = {.at_unix_s = 1700000000};
    int status;
    pid_t pid = fork();

    assert_int_equal(store_sqlite_look(f->path), STORE_SQLITE_NONE);
    store_add_create(&first, "cluster", "self", NULL, mem_strdup("{}"));
    store_add_create(&first, "node", "a", "10.0.0.1", mem_strdup("1"));
    if (pid == 0)
        _exit(store_sqlite_open(f->path, &first, &f->store));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(unlink(wal), 0);
    bed_run_sql(f->path, "UPDATE wal SET need = 0");
    assert_int_equal(store_sqlite_open(f->path, &first, &f->store), 0); /* once, not twice */
    assert_records(f->store, "cluster/self@1/1={} node/a@1/1=1 ", 1);
    assert_int_equal(bed_create_keyed(f->store, "node", "b", "10.0.0.1"), STORE_CONFLICT);
    assert_int_equal(bed_create(f->store, "node", "b", "2"), STORE_DONE);
    store_free(TAKE_PTR(f->store));
    assert_int_equal(bed_read_number(f->path, "SELECT at FROM changes WHERE row = 8"), 1700000000);
    assert_int_equal(bed_read_number(f->path, "SELECT revision FROM changes WHERE row = 9"), 1);
    assert_int_equal(bed_read_number(f->path, "SELECT revision FROM changes WHERE row = 16"), 2);
    store_change_deinit(&first);
}

/* ---- records and changes that are not of one story ----------------------------------------- */

/* a was created at revision 1 and updated at 3, b created at 2, c created at 4 and deleted at 5. */
static void make_story(struct store_bed *f)
{
    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_int_equal(bed_create(f->store, "node", "b", "{}"), STORE_DONE);
    assert_int_equal(bed_update(f->store, "a", 1, "{}"), STORE_DONE);
    assert_int_equal(bed_create(f->store, "node", "c", "{}"), STORE_DONE);
    assert_int_equal(bed_delete(f->store, "c", 4), STORE_DONE);
    store_free(TAKE_PTR(f->store));
}

static void what_contradicts_the_log_of_changes_is_found_at_start(void **state)
{
    static const struct {
        const char *sql, *says;
    } cases[] = {
        {"UPDATE records SET revision = 9 WHERE id = 'a'",
         "node a is of revision 9, and the latest change of all is 5"},
        {"DELETE FROM changes", "node a is of revision 3, and the latest change of all is 0"},
        {"UPDATE records SET created_revision = 3 WHERE id = 'b'",
         "node b was changed at revision 2 and made at 3"},
        {"UPDATE records SET created_revision = 0 WHERE id = 'b'",
         "node b was changed at revision 2 and made at 0"},
        {"UPDATE changes SET row = 99 WHERE revision = 2", "the change in row 99 is of revision 2"},
        {"UPDATE changes SET row = -8, revision = -1 WHERE revision = 2",
         "the change in row -8 is of revision -1"},
        {"DELETE FROM changes WHERE revision = 4",
         "of the changes from revision 1 to 5 some are missing"},
        {"UPDATE records SET revision = 1 WHERE id = 'a'",
         "the latest change of node a, update at revision 3, is not what it is"},
        {"DELETE FROM records WHERE id = 'b'",
         "the latest change of node b, create at revision 2, is not what it is"},
        {"INSERT INTO records VALUES(NULL, 'node', 'c', 4, 4, NULL, '{}')",
         "the latest change of node c, delete at revision 5, is not what it is"},
        {"INSERT INTO records VALUES(NULL, 'node', 'x', 4, 4, NULL, '{}')",
         "the changes since revision 1 tell of 2 records, but there are 3"},
        {"INSERT INTO records VALUES(NULL, 'node', 'b', 2, 2, NULL, '{}')",
         "the changes since revision 1 tell of 2 records, but there are 3"},
        {"DELETE FROM wal", "the table wal has 0 rows"},
        {"DROP TABLE records", "no such table: records"},
        {"DROP TABLE changes", "no such table: changes"},
        {"DROP TABLE wal", "no such table: wal"},
        {"DROP TABLE probe", "no such table: probe"},
        {"ALTER TABLE records DROP COLUMN key", "has no column named key"},
        {"PRAGMA user_version=0", "says that it is of schema 0, which there never was"},
        {"PRAGMA user_version=-1", "says that it is of schema -1, which there never was"},
        {"PRAGMA user_version=1", "already exists"},
        {"PRAGMA user_version=3", "already exists"},
    };
    struct store_bed *f = *state;
    AUTO_FREE char *whole = NULL, *wal = mem_printf("%s-wal", f->path);
    size_t n = 0;

    make_story(f);
    assert_int_equal(file_read(f->path, 1 << 20, &whole, &n), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(file_write_atomic(f->path, whole, n, 0600), 0);
        bed_run_sql(f->path, cases[i].sql);
        assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
        assert_says(f->path);
        assert_says(cases[i].says);
        assert_says("restore the file from a backup");
        (void)unlink(wal);
    }
    assert_int_equal(file_write_atomic(f->path, whole, n, 0600), 0);
    assert_int_equal(bed_open_code(f->path), 0);
}

/* ---- making -------------------------------------------------------------------------------- */

static void a_file_that_was_made_and_not_opened_is_no_backup(void **state)
{
    struct store_bed *f = *state;

    assert_int_equal(sqlite_new_make(f->path, NULL), 0);
    assert_int_equal(store_sqlite_look(f->path), STORE_SQLITE_OTHER);
    assert_int_equal(sqlite_new_make(f->path, NULL), 0); /* another one was faster */
    assert_int_equal(bed_open_code(f->path), 0);
}

static void leftovers_of_making_go_and_nothing_else_does(void **state)
{
    static const struct {
        const char *name;
        bool stays;
    } cases[] = {
        {"mesh.db.founding-aB3xyz", false}, {"mesh.db.founding-000000", false},
        {"mesh.db.founding-aB3xy", true},   {"mesh.db.founding-aB3xyz1", true},
        {"mesh.db.founding-aB3x.z", true},  {"mesh.db.backup", true},
        {"mesh.db.aB3xyz", true},           {"esh.db.founding-aB3xyz", true},
        {"mesh.db.founding", true},         {"mesh.db", true},
    };
    struct store_bed *f = *state;

    assert_int_equal(bed_open_code(f->path), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases) - 1; i++) {
        AUTO_FREE char *path = mem_printf("%s/%s", f->dir, cases[i].name);

        assert_int_equal(file_write_atomic(path, "x", 1, 0600), 0);
    }
    assert_int_equal(bed_open_code(f->path), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *path = mem_printf("%s/%s", f->dir, cases[i].name);

        assert_int_equal(unlink(path), cases[i].stays ? 0 : -1);
    }
}

static void what_is_no_file_is_told(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *target = mem_printf("%s/there", f->dir);

    assert_int_equal(bed_open_code(f->dir), -EISDIR);
    assert_says("it is a directory; --db-path names the file in it");
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(bed_open_code(f->path), -EINVAL);
    assert_says("it is no regular file");
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(symlink(target, f->path), 0);
    assert_int_equal(bed_open_code(f->path), -ENOENT);
    assert_says("it is a link to what is not there");
}

#define OPENED(test) cmocka_unit_test_setup_teardown(test, store_bed_make_sqlite, store_bed_drop)
#define CLOSED(test) cmocka_unit_test_setup_teardown(test, store_bed_make, store_bed_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPENED(the_file_is_for_its_owner_only),
        OPENED(a_second_process_is_told_that_it_is_locked),
        OPENED(the_latest_ten_thousand_changes_are_kept_for_people),
        CLOSED(a_file_of_the_first_version_is_brought_up_to_date),
        OPENED(a_key_that_is_there_twice_is_found_at_start),
        OPENED(a_change_that_is_none_is_found_at_start),
        CLOSED(a_change_that_is_none_is_not_brought_up_to_date),
        OPENED(a_file_of_a_later_version_is_refused),
        OPENED(a_copy_is_whole_and_has_what_is_committed),
        OPENED(a_damaged_store_gives_no_copy),
        OPENED(a_senseless_record_is_told_with_the_file_and_a_way_out),
        OPENED(damage_inside_the_file_is_found_at_start),
        OPENED(a_cut_file_is_found_at_start),
        OPENED(a_file_that_was_deleted_takes_no_more_writes),
        CLOSED(random_bytes_are_no_store),
        CLOSED(an_empty_file_is_no_store),
        CLOSED(a_log_without_its_file_is_not_taken_for_a_new_store),
        CLOSED(a_file_of_another_program_is_left_alone),
        CLOSED(the_missing_directory_is_named),
        CLOSED(a_new_file_has_its_first_change_set_from_the_beginning),
        OPENED(what_contradicts_the_log_of_changes_is_found_at_start),
        CLOSED(a_file_that_was_made_and_not_opened_is_no_backup),
        CLOSED(leftovers_of_making_go_and_nothing_else_does),
        CLOSED(what_is_no_file_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
