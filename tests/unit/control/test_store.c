/* Both stores by the same rules, and what only the one on disk can meet: other processes, damage,
 * and a disk that is full. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "control/store/memory.h"
#include "control/store/sqlite.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/strbuf.h"
#include "tests/unit/cmocka.h"

struct fixture {
    char dir[32];
    char *path;
    struct store *store;
    bool is_sqlite;
};

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);

    (void)stpcpy(f->dir, "/tmp/quilt-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = mem_printf("%s/mesh.db", f->dir);
    *state = f;
    return 0;
}

static int setup_memory(void **state)
{
    struct fixture *f;

    (void)setup(state);
    f = *state;
    f->store = store_memory_new();
    return 0;
}

static int setup_sqlite(void **state)
{
    struct fixture *f;

    (void)setup(state);
    f = *state;
    f->is_sqlite = true;
    assert_int_equal(store_sqlite_open(f->path, &f->store), 0);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    AUTO_FREE char *wal = mem_printf("%s-wal", f->path);

    store_free(f->store);
    (void)unlink(f->path);
    (void)unlink(wal);
    assert_int_equal(rmdir(f->dir), 0); /* nothing else may be left in it */
    free(f->path);
    free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    if (!f->is_sqlite)
        return;
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(store_sqlite_open(f->path, &f->store), 0);
}

/* ---- records as text: "kind/id@revision=body" ----------------------------------------------- */

static int add_text(const struct store_record *record, void *data)
{
    strbuf_addf(data, "%s/%s@%llu/%llu=%s ", record->kind, record->id,
                (unsigned long long)record->created_revision, (unsigned long long)record->revision,
                record->body);
    return 0;
}

static void assert_records(struct store *store, const char *expected, uint64_t expected_revision)
{
    AUTO_STRBUF struct strbuf text = {0};
    uint64_t revision = 99;

    strbuf_adds(&text, "");
    assert_int_equal(store_load(store, add_text, &text, &revision), 0);
    assert_string_equal(text.data ? text.data : "", expected);
    assert_int_equal(revision, expected_revision);
}

static int commit_one(struct store *store, struct store_change *change)
{
    int outcome;

    change->item.next = NULL;
    assert_int_equal(store_commit(store, change), 0);
    outcome = change->outcome;
    assert_int_equal(change->revision > 0, outcome == STORE_DONE && change->op_count > 0);
    store_change_deinit(change);
    return outcome;
}

static int create(struct store *store, const char *kind, const char *id, const char *body)
{
    struct store_change change = {0};

    store_add_create(&change, kind, id, NULL, mem_strdup(body));
    return commit_one(store, &change);
}

static int update(struct store *store, const char *id, uint64_t if_revision, const char *body)
{
    struct store_change change = {0};

    store_add_update(&change, "node", id, if_revision, NULL, mem_strdup(body));
    return commit_one(store, &change);
}

static int delete (struct store *store, const char *id, uint64_t if_revision)
{
    struct store_change change = {0};

    store_add_delete(&change, "node", id, if_revision);
    return commit_one(store, &change);
}

/* ---- rules of every store ------------------------------------------------------------------- */

static void a_new_store_is_empty(void **state)
{
    struct fixture *f = *state;

    assert_records(f->store, "", 0);
}

static void records_are_created_updated_and_deleted(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(create(f->store, "node", "b", "{\"n\":1}"), STORE_DONE);
    assert_int_equal(create(f->store, "node", "a", "{\"n\":2}"), STORE_DONE);
    assert_int_equal(update(f->store, "b", 1, "{\"n\":3}"), STORE_DONE);
    assert_records(f->store, "node/b@1/3={\"n\":3} node/a@2/2={\"n\":2} ", 3);
    assert_int_equal(delete (f->store, "b", 3), STORE_DONE);
    reopen(f);
    assert_records(f->store, "node/a@2/2={\"n\":2} ", 4);
}

static void what_does_not_fit_is_a_conflict_and_changes_nothing(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_int_equal(create(f->store, "node", "a", "{}"), STORE_CONFLICT);
    assert_int_equal(update(f->store, "a", 7, "{}"), STORE_CONFLICT);
    assert_int_equal(update(f->store, "x", 1, "{}"), STORE_CONFLICT);
    assert_int_equal(delete (f->store, "a", 7), STORE_CONFLICT);
    assert_int_equal(delete (f->store, "x", 1), STORE_CONFLICT);
    assert_int_equal(create(f->store, "lease", "a", "{}"), STORE_DONE);
    assert_records(f->store, "node/a@1/1={} lease/a@2/2={} ", 2);
}

static void a_change_set_happens_wholly_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    struct store_change change = {0};

    assert_int_equal(create(f->store, "lease", "s", "{}"), STORE_DONE);
    store_add_create(&change, "node", "a", NULL, mem_strdup("{}"));
    store_add_create(&change, "lease", "s", NULL, mem_strdup("{}"));
    assert_int_equal(commit_one(f->store, &change), STORE_CONFLICT);
    assert_records(f->store, "lease/s@1/1={} ", 1);
}

static void a_group_goes_in_order_and_one_conflict_spoils_only_itself(void **state)
{
    struct fixture *f = *state;
    struct store_change changes[3] = {0};

    for (int i = 0; i < 3; i++) {
        store_add_create(&changes[i], "node", i == 2 ? "b" : "a", NULL, mem_strdup("{}"));
        changes[i].item.next = i < 2 ? &changes[i + 1].item : NULL;
    }
    assert_int_equal(store_commit(f->store, &changes[0]), 0);
    assert_int_equal(changes[0].outcome, STORE_DONE);
    assert_int_equal(changes[1].outcome, STORE_CONFLICT);
    assert_int_equal(changes[2].outcome, STORE_DONE);
    assert_int_equal(changes[0].revision, 1);
    assert_int_equal(changes[2].revision, 2);
    for (int i = 0; i < 3; i++)
        store_change_deinit(&changes[i]);
    assert_records(f->store, "node/a@1/1={} node/b@2/2={} ", 2);
}

static void a_probe_uses_no_revision(void **state)
{
    struct fixture *f = *state;
    struct store_change probe = {0};

    assert_int_equal(commit_one(f->store, &probe), STORE_DONE);
    assert_int_equal(commit_one(f->store, &probe), STORE_DONE);
    assert_records(f->store, "", 0);
}

static void a_revision_is_never_given_twice(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_int_equal(delete (f->store, "a", 1), STORE_DONE);
    reopen(f);
    assert_int_equal(create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_records(f->store, "node/a@3/3={} ", 3);
}

static int create_keyed(struct store *store, const char *kind, const char *id, const char *key)
{
    struct store_change change = {0};

    store_add_create(&change, kind, id, key, mem_strdup("{}"));
    return commit_one(store, &change);
}

static void a_key_is_held_by_one_record_of_its_kind(void **state)
{
    struct fixture *f = *state;
    struct store_change change = {0};

    assert_int_equal(create_keyed(f->store, "node", "a", "10.0.0.1"), STORE_DONE);
    assert_int_equal(create_keyed(f->store, "node", "b", "10.0.0.1"), STORE_CONFLICT);
    assert_int_equal(create_keyed(f->store, "lease", "b", "10.0.0.1"), STORE_DONE);
    assert_int_equal(create_keyed(f->store, "node", "b", NULL), STORE_DONE);
    assert_int_equal(create_keyed(f->store, "node", "c", NULL), STORE_DONE);
    store_add_update(&change, "node", "a", 1, NULL, mem_strdup("{}"));
    store_add_update(&change, "node", "b", 3, "10.0.0.1", mem_strdup("{}"));
    assert_int_equal(commit_one(f->store, &change), STORE_DONE);
    assert_int_equal(create_keyed(f->store, "node", "d", "10.0.0.1"), STORE_CONFLICT);
}

/* ---- the one on disk ------------------------------------------------------------------------ */

static int open_code(const char *path)
{
    struct store *store = NULL;
    int r = store_sqlite_open(path, &store);

    store_free(store);
    return r;
}

static void assert_says(const char *words)
{
    if (!strstr(err_text(), words))
        fail_msg("'%s' does not say '%s'", err_text(), words);
}

static void the_file_is_for_its_owner_only(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_second_process_is_told_that_it_is_locked(void **state)
{
    struct fixture *f = *state;
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(open_code(f->path) == -EBUSY && strstr(err_text(), "locked by another process") ? 0
                                                                                              : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void random_bytes_are_no_store(void **state)
{
    struct fixture *f = *state;
    char bytes[2048];

    memset(bytes, 0x5a, sizeof bytes);
    assert_int_equal(file_write_atomic(f->path, bytes, sizeof bytes, 0600), 0);
    assert_int_equal(open_code(f->path), STORE_DAMAGED);
    assert_says(f->path);
    assert_says("restore the file from a backup");
}

static void an_empty_file_is_no_store(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(file_write_atomic(f->path, "", 0, 0600), 0);
    assert_int_equal(open_code(f->path), STORE_DAMAGED);
    assert_says("is empty");
}

static void a_log_without_its_file_is_not_taken_for_a_new_store(void **state)
{
    struct fixture *f = *state;
    AUTO_FREE char *wal = mem_printf("%s-wal", f->path);

    assert_int_equal(file_write_atomic(wal, "x", 1, 0600), 0);
    assert_int_equal(open_code(f->path), STORE_DAMAGED);
    assert_says("is gone");
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t read_number(const char *path, const char *sql)
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

static void the_latest_ten_thousand_changes_are_kept_for_people(void **state)
{
    static struct store_change changes[500];
    struct fixture *f = *state;

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
    assert_int_equal(read_number(f->path, "SELECT max(revision) FROM changes"), 12500);
    assert_in_range(read_number(f->path, "SELECT count(*) FROM changes"), 10000, 11000);
    assert_int_equal(read_number(f->path, "SELECT count(*) FROM records"), 12500);
}

static void a_file_of_another_program_is_left_alone(void **state)
{
    struct fixture *f = *state;
    AUTO_FREE char *before = NULL, *after = NULL;
    size_t n = 0, n_after = 0;

    run_sql(f->path, "CREATE TABLE songs(title)");
    assert_int_equal(file_read(f->path, 1 << 20, &before, &n), 0);
    assert_int_equal(open_code(f->path), STORE_DAMAGED);
    assert_says("another program");
    assert_int_equal(file_read(f->path, 1 << 20, &after, &n_after), 0);
    assert_int_equal(n, n_after);
    assert_memory_equal(before, after, n);
}

static void a_file_of_the_first_version_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;

    store_free(f->store);
    f->store = NULL;
    run_sql(f->path, "DROP VIEW reservations; PRAGMA user_version=1");
    assert_int_equal(store_sqlite_open(f->path, &f->store), 0);
    store_free(f->store);
    f->store = NULL;
    run_sql(f->path, "SELECT subnet, host, created_at, revision FROM reservations");
}

static void a_file_of_a_later_version_is_refused(void **state)
{
    struct fixture *f = *state;

    store_free(f->store);
    f->store = NULL;
    run_sql(f->path, "PRAGMA user_version=99");
    assert_int_equal(open_code(f->path), -ENOTSUP);
    assert_says("newer version");
    assert_says("start that version again");
}

static void overwrite(const char *path, off_t at, size_t n)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    char bytes[64];

    memset(bytes, 0xa5, sizeof bytes);
    assert_true(fd >= 0 && n <= sizeof bytes);
    assert_int_equal(pwrite(fd, bytes, n, at), n);
}

static void a_copy_is_whole_and_has_what_is_committed(void **state)
{
    struct fixture *f = *state;
    AUTO_FREE char *path = mem_printf("%s/copy.db", f->dir);
    struct store_copy copy;
    struct store *second = NULL;

    assert_int_equal(create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_int_equal(create(f->store, "node", "b", "{}"), STORE_DONE);
    store_copy(f->store, &copy);
    assert_non_null(copy.bytes);
    assert_int_equal(create(f->store, "node", "c", "{}"), STORE_DONE); /* the store goes on */
    assert_int_equal(file_write_atomic(path, copy.bytes, copy.n, 0600), 0);
    assert_int_equal(store_sqlite_open(path, &second), 0);
    assert_records(second, "node/a@1/1={} node/b@2/2={} ", 2);
    store_free(second);
    store_copy_deinit(&copy);
    assert_int_equal(unlink(path), 0);
}

static void a_damaged_store_gives_no_copy(void **state)
{
    struct fixture *f = *state;
    AUTO_FREE char *body = mem_zalloc(500001);
    struct store_copy copy;

    memset(body, ' ', 500000);
    body[0] = '{';
    body[1] = '}';
    for (char id[] = "a"; id[0] <= 'z'; id[0]++) /* far more than is cached */
        assert_int_equal(create(f->store, "node", id, body), STORE_DONE);
    reopen(f); /* all is in the file itself */
    for (off_t page = 100; page < 2900; page++)
        overwrite(f->path, page * 4096, 8);
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
    struct fixture *f = *state;
    uint64_t revision = 0;

    assert_int_equal(create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_int_equal(store_load(f->store, distrust, NULL, &revision), STORE_DAMAGED);
    assert_says(f->path);
    assert_says("record a makes no sense");
    assert_says("restore the file from a backup");
}

static void damage_inside_the_file_is_found_at_start(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(create(f->store, "node", "a", "{}"), STORE_DONE);
    store_free(f->store);
    f->store = NULL;
    overwrite(f->path, 4100, 16);
    assert_int_equal(open_code(f->path), STORE_DAMAGED);
    assert_says(f->path);
}

static void a_cut_file_is_found_at_start(void **state)
{
    struct fixture *f = *state;

    store_free(f->store);
    f->store = NULL;
    assert_int_equal(truncate(f->path, 8192), 0);
    assert_int_equal(open_code(f->path), STORE_DAMAGED);
}

static void a_file_that_was_deleted_takes_no_more_writes(void **state)
{
    struct fixture *f = *state;
    struct store_change change = {0};

    assert_int_equal(unlink(f->path), 0);
    store_add_create(&change, "node", "a", NULL, mem_strdup("{}"));
    assert_int_equal(store_commit(f->store, &change), -ESTALE);
    assert_says("moved or deleted");
    store_change_deinit(&change);
}

/* ---- a disk that fails ----------------------------------------------------------------------
 * SQLite lets its system calls be replaced; this one stands for a disk that is full or broken. */

static int pwrite_errno;

static ssize_t failing_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    if (pwrite_errno == 0)
        return pwrite(fd, bytes, n, at);
    errno = pwrite_errno;
    return -1;
}

static void replace_pwrite(sqlite3_syscall_ptr fn)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    (void)vfs->xSetSystemCall(vfs, "pwrite", fn);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", fn);
}

static int setup_failing(void **state)
{
    pwrite_errno = 0;
    replace_pwrite((sqlite3_syscall_ptr)failing_pwrite);
    return setup_sqlite(state);
}

static int teardown_failing(void **state)
{
    pwrite_errno = 0;
    replace_pwrite(NULL);
    return teardown(state);
}

static void a_full_disk_refuses_the_group_and_recovers_by_itself(void **state)
{
    struct fixture *f = *state;
    struct store_change probe = {0};

    assert_int_equal(create(f->store, "node", "a", "{}"), STORE_DONE);
    pwrite_errno = ENOSPC;
    assert_int_equal(create(f->store, "node", "b", "{}"), STORE_FULL);
    assert_int_equal(commit_one(f->store, &probe), STORE_FULL);
    pwrite_errno = 0;
    assert_int_equal(create(f->store, "node", "c", "{}"), STORE_DONE);
    reopen(f);
    assert_records(f->store, "node/a@1/1={} node/c@2/2={} ", 2);
}

static void a_broken_disk_leaves_the_outcome_unknown(void **state)
{
    struct fixture *f = *state;
    struct store_change change = {0};

    pwrite_errno = EIO;
    store_add_create(&change, "node", "a", NULL, mem_strdup("{}"));
    assert_true(store_commit(f->store, &change) < 0);
    assert_says(f->path);
    store_change_deinit(&change);
}

static void the_missing_directory_is_named(void **state)
{
    assert_int_equal(open_code("/nonexistent/mesh.db"), -ENOENT);
    assert_string_equal(err_text(), "create /nonexistent/mesh.db: its directory is not there; make "
                                    "it first");
    assert_says("/nonexistent/mesh.db");
}

static off_t log_size(const struct fixture *f)
{
    AUTO_FREE char *wal = mem_printf("%s-wal", f->path);
    struct stat st;

    assert_int_equal(stat(wal, &st), 0);
    return st.st_size;
}

/* Its zeros are no records either, for the one who comes after a crash. */
static void the_log_has_its_room_from_the_start(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        off_t before;

        assert_int_equal(store_sqlite_open(f->path, &f->store), 0);
        before = log_size(f);
        assert_int_equal(create(f->store, "node", "a", "1"), STORE_DONE);
        assert_int_equal(create(f->store, "node", "b", "2"), STORE_DONE);
        _exit(before > 1000000 && log_size(f) == before ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(store_sqlite_open(f->path, &f->store), 0);
    assert_records(f->store, "node/a@1/1=1 node/b@2/2=2 ", 2);
}

#define BOTH(test)                                            \
    {#test " (memory)", test, setup_memory, teardown, NULL},  \
    {                                                         \
#test " (sqlite)", test, setup_sqlite, teardown, NULL \
    }
#define OPENED(test) cmocka_unit_test_setup_teardown(test, setup_sqlite, teardown)
#define FAILING(test) cmocka_unit_test_setup_teardown(test, setup_failing, teardown_failing)
#define CLOSED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_new_store_is_empty),
        BOTH(records_are_created_updated_and_deleted),
        BOTH(what_does_not_fit_is_a_conflict_and_changes_nothing),
        BOTH(a_change_set_happens_wholly_or_not_at_all),
        BOTH(a_group_goes_in_order_and_one_conflict_spoils_only_itself),
        BOTH(a_probe_uses_no_revision),
        BOTH(a_key_is_held_by_one_record_of_its_kind),
        BOTH(a_revision_is_never_given_twice),
        OPENED(the_file_is_for_its_owner_only),
        OPENED(a_second_process_is_told_that_it_is_locked),
        OPENED(the_latest_ten_thousand_changes_are_kept_for_people),
        OPENED(a_file_of_the_first_version_is_brought_up_to_date),
        OPENED(a_file_of_a_later_version_is_refused),
        OPENED(a_copy_is_whole_and_has_what_is_committed),
        OPENED(a_damaged_store_gives_no_copy),
        OPENED(a_senseless_record_is_told_with_the_file_and_a_way_out),
        OPENED(damage_inside_the_file_is_found_at_start),
        OPENED(a_cut_file_is_found_at_start),
        OPENED(a_file_that_was_deleted_takes_no_more_writes),
        FAILING(a_full_disk_refuses_the_group_and_recovers_by_itself),
        FAILING(a_broken_disk_leaves_the_outcome_unknown),
        CLOSED(random_bytes_are_no_store),
        CLOSED(an_empty_file_is_no_store),
        CLOSED(a_log_without_its_file_is_not_taken_for_a_new_store),
        CLOSED(a_file_of_another_program_is_left_alone),
        CLOSED(the_missing_directory_is_named),
        CLOSED(the_log_has_its_room_from_the_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
