/* The file and its log: what is lost, cut off, damaged or of another file is told, and what a crash
 * leaves is not. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "control/store/sqlite.h"
#include "control/store/sqlite_log.h"
#include "control/store/wal_look.h"
#include "control/store/wal_need.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/strbuf.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/control/mesh.h"
#include "tests/unit/control/store_bed.h"

#define FRAME (24 + 4096)
#define HEADER 32

static char *log_of(const struct store_bed *f)
{
    return mem_printf("%s-wal", f->path);
}

static off_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static struct wal_facts look_at(const char *wal)
{
    struct wal_facts facts;

    assert_int_equal(wal_look(wal, &facts), 0);
    return facts;
}

/* Opens it, and closes it again: so many nodes, n1, n2, ... */
static void assert_nodes(struct store_bed *f, int count)
{
    AUTO_STRBUF struct strbuf text = {0};

    strbuf_adds(&text, "");
    for (int i = 1; i <= count; i++)
        strbuf_addf(&text, "node/n%d@%d/%d={} ", i, i, i);
    assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
    assert_records(f->store, text.data, (uint64_t)count);
    store_free(TAKE_PTR(f->store));
}

static void copy_file(const char *from, const char *to)
{
    AUTO_FREE char *bytes = NULL;
    size_t n = 0;

    assert_int_equal(file_read(from, 64 << 20, &bytes, &n), 0);
    assert_int_equal(file_write_atomic(to, bytes, n, 0600), 0);
}

/* Refused, with these words, and neither the file nor the log is touched. */
static void assert_refused(struct store_bed *f, const char *words)
{
    AUTO_FREE char *wal = log_of(f), *before = NULL, *after = NULL, *log_before = NULL,
                   *log_after = NULL;
    size_t n = 0, n_after = 0, log_n = 0, log_n_after = 0;
    struct stat st;
    bool has_log = stat(wal, &st) == 0 && st.st_size > 0;

    assert_int_equal(file_read(f->path, 64 << 20, &before, &n), 0);
    if (has_log)
        assert_int_equal(file_read(wal, 64 << 20, &log_before, &log_n), 0);
    assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
    assert_says(words);
    assert_says("restore the file from a backup and remove its -wal and -shm");
    assert_int_equal(file_read(f->path, 64 << 20, &after, &n_after), 0);
    assert_int_equal(n, n_after);
    assert_memory_equal(before, after, n);
    assert_int_equal(file_read(wal, 64 << 20, &log_after, &log_n_after), has_log ? 0 : -ENOENT);
    assert_int_equal(log_n, log_n_after);
    if (has_log)
        assert_memory_equal(log_before, log_after, log_n);
}

/* ---- what the file says -------------------------------------------------------------------- */

static void a_need_is_read_as_it_was_written(void **state)
{
    static const struct {
        struct wal_need need;
        const char *text;
    } cases[] = {
        {{0, 0}, "salt=00000000 bytes=000000000000 sum=5961f906"},
        {{0x2de218aa, 11330000}, "salt=2de218aa bytes=000000ace1d0 sum=027b3a7e"},
        {{UINT32_MAX, (UINT64_C(1) << 48) - 1}, "salt=ffffffff bytes=ffffffffffff sum=0791ea6e"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[WAL_NEED_SIZE];
        struct wal_need need = {1, 1};

        wal_need_print(&cases[i].need, text);
        assert_string_equal(text, cases[i].text);
        assert_true(wal_need_parse(text, &need));
        assert_int_equal(need.salt, cases[i].need.salt);
        assert_int_equal(need.bytes, cases[i].need.bytes);
    }
}

static void what_is_no_need_says_nothing(void **state)
{
    static const char *const texts[] = {
        "?",
        "",
        "00",
        "salt=2de218aa bytes=000000ace1d0 sum=027b3a7f",
        "salt=2de218ab bytes=000000ace1d0 sum=027b3a7e",
        "salt=2de218aa bytes=000000ace1d0 sum=027b3a7",
        "salt=2de218aa bytes=000000ace1d0 sum=027b3a7e0",
        "SALT=2de218aa bytes=000000ace1d0 sum=027b3a7e",
        "salt=2de218aA bytes=000000ace1d0 sum=027b3a7e",
        "                                             ",
    };
    struct wal_need need = {7, 7};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_false(wal_need_parse(texts[i], &need));
    assert_int_equal(need.salt, 7);
    assert_true(wal_need_parse("0", &need));
    assert_int_equal(need.bytes, 0);
}

/* ---- what is no fault ---------------------------------------------------------------------- */

static void the_log_has_its_room_from_the_start(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f);
    off_t before;

    assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
    before = size_of(wal);
    assert_int_equal(bed_create(f->store, "node", "a", "1"), STORE_DONE);
    assert_int_equal(bed_create(f->store, "node", "b", "2"), STORE_DONE);
    assert_true(before > 1000000);
    assert_int_equal(size_of(wal), before);
}

static void after_a_crash_all_is_there(void **state)
{
    struct store_bed *f = *state;

    bed_crash(f, 0);
    bed_crash(f, 5);
    assert_nodes(f, 5);
    assert_nodes(f, 5);
}

static void another_program_may_put_the_log_back_after_a_crash(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f);

    bed_crash(f, 5);
    assert_int_equal(bed_read_number(f->path, "SELECT count(*) FROM nodes"), 5);
    assert_int_equal(access(wal, F_OK), -1);
    assert_nodes(f, 5);
}

/* Without its log, which stays as it is. */
static off_t page_of_need(const struct store_bed *f)
{
    AUTO_FREE char *uri = mem_printf("file:%s?immutable=1", f->path);
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    off_t page;

    assert_int_equal(sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT rootpage FROM sqlite_schema WHERE name = 'wal'",
                                        -1, &row, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    page = sqlite3_column_int(row, 0);
    assert_int_equal(sqlite3_finalize(row), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return page;
}

/* The row's page, of which some sectors are of before and some of after, is in the log as well. */
static void a_file_whose_word_is_torn_is_believed_with_its_log(void **state)
{
    struct store_bed *f = *state;
    off_t at;

    bed_crash(f, 5);
    at = (page_of_need(f) - 1) * 4096;
    for (int part = 0; part < 3; part++) {
        bed_overwrite(f->path, at + (off_t[]){0, 4096 - 20, 4096 - 60}[part], 16);
        assert_int_equal(bed_open_code(f->path), 0);
        bed_crash(f, 0);
    }
    assert_nodes(f, 5);
}

/* Of the latest transaction a power cut leaves any of its frames, or parts of them. */
static void a_torn_end_is_no_fault_whatever_is_left_of_it(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f), *whole = mem_printf("%s.whole", f->path),
                   *whole_wal = mem_printf("%s.whole-wal", f->path);
    uint32_t last, end;

    bed_crash(f, 4);
    last = look_at(wal).frames;
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(unlink(wal), 0);
    bed_crash(f, 5);
    end = look_at(wal).frames;
    assert_in_range(end - last, 2, 4);
    copy_file(f->path, whole);
    copy_file(wal, whole_wal);
    for (uint32_t lost = 1; lost < 1U << (end - last); lost++) {
        copy_file(whole, f->path);
        copy_file(whole_wal, wal);
        for (uint32_t i = 0; i < end - last; i++) {
            if (lost >> i & 1) /* now its page, now its header */
                bed_overwrite(wal, HEADER + (last + i) * FRAME + (lost % 2 ? 2000 : 0), 64);
        }
        assert_nodes(f, 4);
    }
    assert_int_equal(unlink(whole), 0);
    assert_int_equal(unlink(whole_wal), 0);
}

/* ---- what is one --------------------------------------------------------------------------- */

static void damage_before_the_latest_change_is_told(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f), *whole_wal = mem_printf("%s.whole-wal", f->path);
    struct wal_facts facts;

    bed_crash(f, 5);
    copy_file(wal, whole_wal);
    facts = look_at(wal);
    assert_false(facts.is_broken);
    assert_in_range(facts.frames, 10, 30);
    for (uint32_t frame = 0; frame + 4 < facts.frames; frame++) {
        copy_file(whole_wal, wal);
        bed_overwrite(wal, HEADER + frame * FRAME + (frame % 2 ? 30 : 4000), 1);
        assert_refused(f, "which has the latest changes, is damaged before its end");
    }
    copy_file(whole_wal, wal);
    bed_overwrite(wal, HEADER + 2 * FRAME - 100, 64); /* two frames, the header of one among them */
    bed_overwrite(wal, HEADER + 2 * FRAME - 36, 64);
    assert_refused(f, "is damaged before its end");
    copy_file(whole_wal, wal);
    bed_overwrite(wal, 0, 32);
    assert_refused(f, "is damaged at its beginning");
    assert_int_equal(rename(whole_wal, wal), 0);
    assert_nodes(f, 5);
}

static void a_log_that_is_gone_is_told_with_the_way_to_go_on_without(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f), *mend = NULL;

    bed_crash(f, 5);
    assert_int_equal(unlink(wal), 0);
    assert_refused(f,
                   "mesh.db-wal, which has the latest changes, is gone; put the right one there");
    assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
    mend = mem_printf("sqlite3 '%s' 'UPDATE wal SET need = 0'", f->path);
    assert_says(mend);
    bed_run_sql(f->path, "UPDATE wal SET need = 0");
    assert_nodes(f, 0);
    bed_crash(f, 5);
    assert_int_equal(truncate(wal, 0), 0);
    assert_refused(f, "is gone");
}

static void a_log_that_is_cut_off_is_told_and_can_be_taken_as_far_as_it_goes(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f);
    off_t size;

    bed_crash(f, 3);
    bed_crash(f, 0);
    size = size_of(wal);
    assert_int_equal(truncate(wal, size - 1), 0);
    assert_refused(f, "has been cut off");
    assert_int_equal(truncate(wal, HEADER + FRAME), 0);
    assert_refused(f, "has been cut off");
    bed_run_sql(f->path, "UPDATE wal SET need = 0");
    assert_nodes(f, 3);
}

static void the_log_of_another_file_is_told(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f), *rest = mem_printf("%s.rest", f->path),
                   *other_wal = mem_printf("%s.other-wal", f->path);

    bed_crash(f, 7);
    assert_int_equal(rename(wal, other_wal), 0);
    assert_int_equal(unlink(f->path), 0);
    bed_crash(f, 2); /* another file */
    copy_file(other_wal, wal);
    assert_refused(f, "is the log of another file or time (move it away)");
    assert_int_equal(unlink(wal), 0);
    bed_run_sql(f->path, "UPDATE wal SET need = 0");
    assert_nodes(f, 0);
    copy_file(other_wal, wal); /* beside one that is at rest */
    assert_refused(f, "is whole without: move the log away");
    assert_int_equal(unlink(wal), 0);
    assert_nodes(f, 0);
    copy_file(f->path, rest);
    bed_crash(f, 3); /* a copy of the time before is put in the place of a file that is in use */
    assert_int_equal(rename(rest, f->path), 0);
    assert_refused(f, "is whole without: move the log away");
    assert_int_equal(unlink(other_wal), 0);
}

static void fill_log(struct store *store)
{
    static char body[500001];

    memset(body, ' ', sizeof body - 1);
    body[0] = '{';
    body[1] = '}';
    for (char id[] = "a"; id[0] <= 'z'; id[0]++) /* 3,250 pages */
        assert_int_equal(bed_create(store, "node", id, body), STORE_DONE);
}

static void a_log_of_this_file_s_past_is_told(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f), *old = mem_printf("%s.old", f->path);
    int status;
    pid_t pid;

    bed_crash(f, 1);
    copy_file(wal, old);
    pid = fork();
    if (pid == 0) {
        assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
        fill_log(f->store);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(look_at(wal).salt - look_at(old).salt >= 3);
    assert_int_equal(rename(old, wal), 0);
    assert_int_equal(bed_open_code(f->path), STORE_DAMAGED);
    assert_says("is the log of another file or time");
}

static void a_backup_with_a_log_beside_it_is_told(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f);
    struct store_copy copy;

    assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
    assert_int_equal(bed_create(f->store, "node", "n1", "{}"), STORE_DONE);
    store_copy(f->store, &copy);
    store_free(TAKE_PTR(f->store));
    assert_int_equal(unlink(f->path), 0);
    bed_crash(f, 4);
    assert_int_equal(file_write_atomic(f->path, copy.bytes, copy.n, 0600), 0);
    store_copy_deinit(&copy);
    assert_refused(f, "mesh.db is a backup that was put in place, and ");
    assert_says("mesh.db-wal beside it is the log of the file before it; remove that");
    assert_int_equal(truncate(wal, 0), 0);
    assert_nodes(f, 1);
    assert_nodes(f, 1);
}

static void a_journal_beside_it_is_told(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *journal = mem_printf("%s-journal", f->path);

    bed_crash(f, 4);
    assert_int_equal(file_write_atomic(journal, "x", 1, 0600), 0);
    assert_refused(f, "mesh.db-journal beside ");
    assert_int_equal(unlink(journal), 0);
    assert_nodes(f, 4);
}

static void a_log_is_beside_what_a_link_leads_to(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f), *link = mem_printf("%s/link", f->dir);

    assert_int_equal(symlink("mesh.db", link), 0);
    bed_crash(f, 4);
    assert_int_equal(unlink(wal), 0);
    assert_int_equal(bed_open_code(link), STORE_DAMAGED);
    assert_says("mesh.db-wal, which has the latest changes, is gone");
    assert_int_equal(unlink(link), 0);
}

/* ---- while it is in use -------------------------------------------------------------------- */

static void assert_commit_fails(struct store_bed *f, const char *words)
{
    struct store_change change = {0};

    store_add_create(&change, "node", "n9", NULL, mem_strdup("{}"));
    assert_int_equal(store_commit(f->store, &change), -ESTALE);
    assert_says(words);
    store_change_deinit(&change);
    store_free(TAKE_PTR(f->store));
}

static void use(struct store_bed *f)
{
    assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
    assert_int_equal(bed_create(f->store, "node", "n1", "{}"), STORE_DONE);
    assert_int_equal(bed_create(f->store, "node", "n2", "{}"), STORE_DONE);
}

static void a_log_that_is_deleted_in_use_is_saved_and_takes_no_more(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f);

    use(f);
    assert_int_equal(unlink(wal), 0);
    assert_commit_fails(f, "mesh.db-wal was moved or deleted while it was in use; what was in it "
                           "has been put into the file");
    assert_nodes(f, 2);
}

static void a_log_that_is_replaced_in_use_is_saved_and_takes_no_more(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f);

    use(f);
    assert_int_equal(file_write_atomic(wal, "", 0, 0600), 0);
    assert_commit_fails(f, "moved or deleted");
    assert_nodes(f, 2);
}

static void a_log_that_is_cut_off_in_use_takes_no_more(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f);

    use(f);
    assert_int_equal(truncate(wal, HEADER + 3 * FRAME), 0);
    assert_commit_fails(f, "was cut off while it was in use");
    assert_refused(f, "has been cut off");
}

/* It goes back into the file on the way, and begins anew with salts that nothing in it has yet. */
static void a_long_log_begins_anew_and_nothing_is_lost(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = log_of(f);
    uint32_t salt;

    assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
    salt = look_at(wal).salt;
    fill_log(f->store);
    assert_int_equal(look_at(wal).salt, salt + 2);
    store_free(TAKE_PTR(f->store));
    assert_int_equal(access(wal, F_OK), -1);
    assert_int_equal(bed_open_code(f->path), 0);
    assert_int_equal(bed_read_number(f->path, "SELECT count(*) FROM nodes"), 26);
}

#define CLOSED(test) cmocka_unit_test_setup_teardown(test, store_bed_make, store_bed_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_need_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_need_says_nothing),
        CLOSED(the_log_has_its_room_from_the_start),
        CLOSED(after_a_crash_all_is_there),
        CLOSED(another_program_may_put_the_log_back_after_a_crash),
        CLOSED(a_file_whose_word_is_torn_is_believed_with_its_log),
        CLOSED(a_torn_end_is_no_fault_whatever_is_left_of_it),
        CLOSED(damage_before_the_latest_change_is_told),
        CLOSED(a_log_that_is_gone_is_told_with_the_way_to_go_on_without),
        CLOSED(a_log_that_is_cut_off_is_told_and_can_be_taken_as_far_as_it_goes),
        CLOSED(the_log_of_another_file_is_told),
        CLOSED(a_log_of_this_file_s_past_is_told),
        CLOSED(a_backup_with_a_log_beside_it_is_told),
        CLOSED(a_journal_beside_it_is_told),
        CLOSED(a_log_is_beside_what_a_link_leads_to),
        CLOSED(a_log_that_is_deleted_in_use_is_saved_and_takes_no_more),
        CLOSED(a_log_that_is_replaced_in_use_is_saved_and_takes_no_more),
        CLOSED(a_log_that_is_cut_off_in_use_takes_no_more),
        CLOSED(a_long_log_begins_anew_and_nothing_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
