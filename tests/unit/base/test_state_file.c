/* Saved state: what comes back after damage, loss and a fight over one directory. */
#include "lib/base/state_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "tests/unit/cmocka.h"

#define TEXT_MAX 4096

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
    const char *const files[] = {f->file.path, f->file.previous, f->file.damaged};
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

static void assert_loads(struct fixture *f, int outcome, int want)
{
    int number = -1;

    assert_int_equal(state_file_load(&f->file, read_number, &number), outcome);
    assert_int_equal(number, want);
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
    assert_int_equal(state_file_load(&f->file, read_number, &number), -EISDIR);
    assert_int_equal(rmdir(f->file.path), 0);
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

static void a_directory_that_is_gone_is_an_error_with_its_name(void **s)
{
    char path[] = "/nonexistent/quilt/part.json", previous[] = "/nonexistent/quilt/part.json.1";
    const struct state_file file = {.path = path, .previous = previous, .lock_fd = -1};

    assert_int_equal(state_file_save(&file, "{}"), -ENOENT);
    assert_non_null(strstr(err_text(), "/nonexistent/quilt"));
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
        TEST(only_one_may_use_a_directory),
        TEST(erased_is_new),
        cmocka_unit_test(a_directory_that_is_gone_is_an_error_with_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
