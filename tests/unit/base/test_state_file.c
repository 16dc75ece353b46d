/* Saved state: what comes back after damage, loss and a fight over one directory. */
#include "lib/base/state_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/parse.h"
#include "tests/unit/cmocka.h"

#define TEXT_MAX 4096

/* ---- the disk ------------------------------------------------------------------------------ */

static unsigned int unsynced; /* files that were removed since the last fsync() */

int __real_fsync(int fd);
int __real_unlink(const char *path);
int __wrap_fsync(int fd);
int __wrap_unlink(const char *path);

int __wrap_fsync(int fd)
{
    unsynced = 0;
    return __real_fsync(fd);
}

int __wrap_unlink(const char *path)
{
    int r = __real_unlink(path);

    unsynced += r == 0;
    return r;
}

/* ---- the bed ------------------------------------------------------------------------------- */

struct fixture {
    char dir[32];
    struct state_file file;
};

static int make(void **ret)
{
    struct fixture *f = NEW(struct fixture);

    memcpy(f->dir, "/tmp/quilt-test-XXXXXX", 23);
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(state_file_open(f->dir, "part", &f->file), 0);
    *ret = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    const char *const files[] = {f->file.path, f->file.previous, f->file.damaged,
                                 f->file.journal.path};
    AUTO_FREE char *lock = mem_printf("%s/lock", f->dir);

    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        (void)unlink(files[i]);
    (void)unlink(lock);
    assert_int_equal(rmdir(f->dir), 0); /* nothing else is left in it */
    state_file_close(&f->file);
    free(f);
    return 0;
}

static void save(struct fixture *f, int number)
{
    AUTO_FREE char *content = mem_printf("{\"number\":%d}", number);

    assert_int_equal(state_file_save(&f->file, content), 0);
}

static int read_number(const json_t *content, void *data)
{
    int64_t number;
    int r = json_get_int(content, "number", 0, 99, &number);

    if (r == 0)
        *(int *)data = (int)number;
    return r;
}

static int add_number(const json_t *record, void *data)
{
    int64_t number;
    int r = json_get_int(record, "add", 0, 99, &number);

    if (r == 0)
        *(int *)data += (int)number;
    return r;
}

static int load(struct fixture *f, int *number)
{
    const struct state_file_reader reader = {
        .save = read_number, .change = add_number, .data = number};

    return state_file_load(&f->file, &reader);
}

static void assert_loads(struct fixture *f, int outcome, int want)
{
    int number = -1;

    assert_int_equal(load(f, &number), outcome);
    assert_int_equal(number, want);
}

/* The process that comes after. */
static void assert_next_loads(struct fixture *f, int outcome, int want)
{
    state_file_close(&f->file);
    assert_int_equal(state_file_open(f->dir, "part", &f->file), 0);
    assert_loads(f, outcome, want);
}

static void append(struct fixture *f, int number)
{
    AUTO_FREE char *record = mem_printf("{\"add\":%d}", number);

    assert_int_equal(state_file_append(&f->file, record), 0);
}

static void scribble(const char *path)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "#", 1, 90), 1);
}

static void a_new_directory_holds_nothing(void **s)
{
    assert_loads(*s, STATE_FILE_NONE, -1);
}

static void the_last_save_is_loaded_and_is_for_its_owner_only(void **s)
{
    struct fixture *f = *s;
    struct stat st;

    for (int i = 1; i <= 3; i++) {
        save(f, i);
        assert_loads(f, 0, i);
    }
    assert_int_equal(stat(f->file.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void no_changed_or_missing_byte_goes_unseen(void **s)
{
    struct fixture *f = *s;
    AUTO_FREE char *text = NULL;
    size_t n;

    save(f, 5);
    assert_int_equal(file_read(f->file.path, TEXT_MAX, &text, &n), 0);
    for (size_t i = 0; i < n; i++) {
        text[i] ^= 1;
        assert_int_equal(file_write_atomic(f->file.path, text, n, 0600), 0);
        assert_loads(f, STATE_FILE_DAMAGED, -1);
        text[i] ^= 1;
        assert_int_equal(file_write_atomic(f->file.path, text, i, 0600), 0);
        assert_loads(f, STATE_FILE_DAMAGED, -1);
    }
    assert_int_equal(file_write_atomic(f->file.path, text, n, 0600), 0);
    assert_loads(f, 0, 5);
}

static void a_damaged_save_is_put_aside_and_never_becomes_the_one_before(void **s)
{
    struct fixture *f = *s;

    save(f, 1);
    save(f, 2);
    scribble(f->file.path);
    assert_loads(f, STATE_FILE_PREVIOUS, 1);
    assert_int_equal(access(f->file.damaged, F_OK), 0);
    save(f, 3);
    assert_loads(f, 0, 3);
    scribble(f->file.path);
    assert_loads(f, STATE_FILE_PREVIOUS, 1);
}

static void a_lost_save_gives_way_to_the_one_before(void **s)
{
    struct fixture *f = *s;

    save(f, 1);
    save(f, 2);
    assert_int_equal(unlink(f->file.path), 0);
    assert_loads(f, STATE_FILE_PREVIOUS, 1);
}

static void content_that_nobody_understands_is_damage(void **s)
{
    struct fixture *f = *s;

    save(f, 1);
    assert_int_equal(state_file_save(&f->file, "{\"number\":100}"), 0);
    assert_loads(f, STATE_FILE_PREVIOUS, 1);
}

static void when_both_are_damaged_both_stay_and_the_text_names_the_last(void **s)
{
    struct fixture *f = *s;

    save(f, 1);
    save(f, 2);
    scribble(f->file.path);
    scribble(f->file.previous);
    assert_loads(f, STATE_FILE_DAMAGED, -1);
    assert_non_null(strstr(err_text(), "part.json: "));
    assert_non_null(strstr(err_text(), "checksum"));
    assert_int_equal(access(f->file.path, F_OK), 0);
    assert_int_equal(access(f->file.previous, F_OK), 0);
}

static void what_cannot_be_read_is_no_damage(void **s)
{
    struct fixture *f = *s;
    int number = -1;

    assert_int_equal(mkdir(f->file.path, 0700), 0);
    assert_int_equal(load(f, &number), -EISDIR);
    assert_int_equal(rmdir(f->file.path), 0);
}

static void changes_come_back_on_top_of_the_save_they_follow(void **s)
{
    struct fixture *f = *s;

    assert_int_equal(state_file_append(&f->file, "{\"add\":1}"), STATE_FILE_SAVE_FIRST);
    save(f, 10);
    append(f, 1);
    append(f, 2);
    assert_next_loads(f, 0, 13);
    append(f, 4);
    assert_next_loads(f, 0, 17);
    save(f, 10); /* the same content is another save: its journal is empty */
    assert_next_loads(f, 0, 10);
    append(f, 5);
    assert_next_loads(f, 0, 15);
}

static void a_journal_cut_anywhere_gives_all_whole_changes_before_the_cut(void **s)
{
    struct fixture *f = *s;
    AUTO_FREE char *text = NULL;
    size_t n, line;

    save(f, 1);
    for (int i = 0; i < 3; i++)
        append(f, 10);
    assert_int_equal(file_read(f->file.journal.path, TEXT_MAX, &text, &n), 0);
    line = n / 3;
    for (size_t cut = 0; cut <= n; cut++) {
        assert_int_equal(file_write_atomic(f->file.journal.path, text, cut, 0600), 0);
        assert_next_loads(f, 0, 1 + 10 * (int)(cut / line));
        append(f, 20);
        assert_next_loads(f, 0, 21 + 10 * (int)(cut / line));
    }
}

static void a_changed_byte_in_a_journal_ends_it_there(void **s)
{
    struct fixture *f = *s;
    AUTO_FREE char *text = NULL;
    size_t n, line;

    save(f, 1);
    for (int i = 0; i < 3; i++)
        append(f, 10);
    assert_int_equal(file_read(f->file.journal.path, TEXT_MAX, &text, &n), 0);
    line = n / 3;
    for (size_t i = 0; i < n; i++) {
        text[i] ^= 1;
        assert_int_equal(file_write_atomic(f->file.journal.path, text, n, 0600), 0);
        assert_next_loads(f, 0, 1 + 10 * (int)(i / line));
        text[i] ^= 1;
    }
}

static void what_does_not_fit_goes_before_the_next_change(void **s)
{
    struct fixture *f = *s;
    AUTO_FREE char *text = NULL, *after = NULL;
    size_t n, after_n;

    save(f, 1);
    for (int i = 0; i < 3; i++)
        append(f, 10);
    assert_int_equal(file_read(f->file.journal.path, TEXT_MAX, &text, &n), 0);
    text[n / 2] ^= 1;
    assert_int_equal(file_write_atomic(f->file.journal.path, text, n, 0600), 0);
    assert_next_loads(f, 0, 11);
    append(f, 20);
    assert_int_equal(file_read(f->file.journal.path, TEXT_MAX, &after, &after_n), 0);
    assert_int_equal(after_n, n / 3 * 2);
    assert_next_loads(f, 0, 31);
}

static void a_change_that_nobody_understands_ends_the_journal(void **s)
{
    struct fixture *f = *s;

    save(f, 1);
    append(f, 2);
    assert_int_equal(state_file_append(&f->file, "{\"add\":100}"), 0);
    append(f, 4);
    assert_next_loads(f, 0, 3);
}

static void a_first_change_that_nobody_understands_is_lost_and_one_of_another_save_is_not(void **s)
{
    struct fixture *f = *s;
    struct journal *journal = &f->file.journal;
    char own[SHA256_HEX_SIZE], other[SHA256_HEX_SIZE];
    size_t lost, appended;
    int number = 1;

    save(f, 1);
    memcpy(other, journal->chain, sizeof other);
    save(f, 1);
    memcpy(own, journal->chain, sizeof own);
    assert_int_equal(state_file_append(&f->file, "{\"add\":100}"), 0);
    append(f, 4);
    appended = journal->bytes;
    journal_begin(journal, own);
    assert_int_equal(journal_replay(journal, add_number, &number, &lost), 0);
    assert_int_equal(lost, appended);
    assert_non_null(strstr(err_text(), "add"));
    journal_begin(journal, other);
    assert_int_equal(journal_replay(journal, add_number, &number, &lost), 0);
    assert_int_equal(lost, 0);
    assert_int_equal(number, 1);
}

static void a_journal_never_follows_a_save_before_its_own(void **s)
{
    struct fixture *f = *s;

    save(f, 1);
    save(f, 2);
    append(f, 5);
    scribble(f->file.path);
    assert_next_loads(f, STATE_FILE_PREVIOUS, 1);
}

static void a_long_journal_asks_for_a_save(void **s)
{
    struct fixture *f = *s;
    int r = 0;

    save(f, 0);
    for (size_t i = 0; r == 0 && i < 10000; i++)
        r = state_file_append(&f->file, "{\"add\":0}");
    assert_int_equal(r, STATE_FILE_SAVE_FIRST);
    save(f, 7);
    append(f, 1);
    assert_next_loads(f, 0, 8);
}

static void after_a_failed_change_comes_a_save(void **s)
{
    struct fixture *f = *s;

    save(f, 1);
    assert_int_equal(mkdir(f->file.journal.path, 0700), 0);
    assert_int_equal(state_file_append(&f->file, "{\"add\":1}"), -EISDIR);
    assert_int_equal(state_file_append(&f->file, "{\"add\":1}"), STATE_FILE_SAVE_FIRST);
    assert_int_equal(rmdir(f->file.journal.path), 0);
    save(f, 2);
    append(f, 1);
    assert_next_loads(f, 0, 3);
}

static void only_one_may_use_a_directory(void **s)
{
    struct fixture *f = *s;
    struct state_file second;

    assert_int_equal(state_file_open(f->dir, "part", &second), -EWOULDBLOCK);
}

static void erased_is_new(void **s)
{
    struct fixture *f = *s;

    save(f, 1);
    save(f, 2);
    assert_int_equal(state_file_erase(&f->file), 0);
    assert_int_equal(state_file_erase(&f->file), 0);
    assert_loads(f, STATE_FILE_NONE, -1);
}

static void what_is_erased_is_gone_from_the_disk(void **s)
{
    struct fixture *f = *s;

    save(f, 1);
    save(f, 2);
    append(f, 1);
    assert_int_equal(link(f->file.path, f->file.damaged), 0);
    assert_int_equal(state_file_erase(&f->file), 0);
    assert_int_equal(access(f->file.journal.path, F_OK), -1);
    assert_int_equal(access(f->file.damaged, F_OK), -1);
    assert_int_equal(unsynced, 0);
}

static void what_cannot_be_removed_keeps_nothing_else_on_the_disk(void **s)
{
    struct fixture *f = *s;

    save(f, 1);
    save(f, 2);
    append(f, 1);
    assert_int_equal(mkdir(f->file.damaged, 0700), 0);
    assert_int_equal(state_file_erase(&f->file), -EISDIR);
    assert_non_null(strstr(err_text(), f->file.damaged));
    assert_int_equal(access(f->file.path, F_OK), -1);
    assert_int_equal(access(f->file.previous, F_OK), -1);
    assert_int_equal(access(f->file.journal.path, F_OK), -1);
    assert_int_equal(unsynced, 0);
    assert_int_equal(rmdir(f->file.damaged), 0);
}

static void a_directory_that_is_gone_is_an_error_with_its_name(void **s)
{
    char path[] = "/nonexistent/quilt/part.json", previous[] = "/nonexistent/quilt/part.json.1";
    struct state_file file = {.path = path, .previous = previous, .lock_fd = -1};

    assert_int_equal(state_file_save(&file, "{}"), -ENOENT);
    assert_non_null(strstr(err_text(), "/nonexistent/quilt"));
}

static void the_home_is_one_for_a_directory_and_another_elsewhere(void **state)
{
    struct fixture *f = *state;
    struct state_file closed = {.lock_fd = -1};
    char here[UUID_TEXT_SIZE], again[UUID_TEXT_SIZE], there[UUID_TEXT_SIZE];
    void *other;

    state_file_home(&f->file, here);
    assert_int_equal(parse_uuid(here), 0);
    state_file_close(&f->file);
    assert_int_equal(state_file_open(f->dir, "part", &f->file), 0);
    state_file_home(&f->file, again);
    assert_string_equal(again, here);
    assert_int_equal(make(&other), 0);
    state_file_home(&((struct fixture *)other)->file, there);
    assert_string_not_equal(there, here);
    assert_int_equal(drop(&other), 0);
    state_file_home(&closed, there);
    assert_string_equal(there, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(a_new_directory_holds_nothing),
        TEST(the_last_save_is_loaded_and_is_for_its_owner_only),
        TEST(no_changed_or_missing_byte_goes_unseen),
        TEST(a_damaged_save_is_put_aside_and_never_becomes_the_one_before),
        TEST(a_lost_save_gives_way_to_the_one_before),
        TEST(content_that_nobody_understands_is_damage),
        TEST(when_both_are_damaged_both_stay_and_the_text_names_the_last),
        TEST(what_cannot_be_read_is_no_damage),
        TEST(changes_come_back_on_top_of_the_save_they_follow),
        TEST(a_journal_cut_anywhere_gives_all_whole_changes_before_the_cut),
        TEST(a_changed_byte_in_a_journal_ends_it_there),
        TEST(what_does_not_fit_goes_before_the_next_change),
        TEST(a_change_that_nobody_understands_ends_the_journal),
        TEST(a_first_change_that_nobody_understands_is_lost_and_one_of_another_save_is_not),
        TEST(a_journal_never_follows_a_save_before_its_own),
        TEST(a_long_journal_asks_for_a_save),
        TEST(after_a_failed_change_comes_a_save),
        TEST(only_one_may_use_a_directory),
        TEST(erased_is_new),
        TEST(what_is_erased_is_gone_from_the_disk),
        TEST(what_cannot_be_removed_keeps_nothing_else_on_the_disk),
        cmocka_unit_test(a_directory_that_is_gone_is_an_error_with_its_name),
        TEST(the_home_is_one_for_a_directory_and_another_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
