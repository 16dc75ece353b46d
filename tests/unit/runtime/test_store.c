/* The state file: saved, lost, damaged. In a directory of its own. */
#include "runtime/store.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "tests/unit/runtime/testing.h"

#define BOOT "00000000-0000-4000-8000-000000000001"

struct fixture {
    char dir[32];
    struct store store;
};

static int make(void **ret)
{
    struct fixture *f = NEW(struct fixture);

    memcpy(f->dir, "/tmp/quilt-test-XXXXXX", 23);
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(store_open(f->dir, &f->store), 0);
    *ret = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    const char *const files[] = {f->store.path, f->store.previous, f->store.damaged};
    AUTO_FREE char *lock = mem_printf("%s/lock", f->dir);

    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        (void)unlink(files[i]);
    (void)unlink(lock);
    assert_int_equal(rmdir(f->dir), 0);
    store_close(&f->store);
    free(f);
    return 0;
}

static void save(struct fixture *f, const char *subnet)
{
    struct state state;

    state_init(&state, BOOT);
    assert_int_equal(state_configure(&state, net(subnet), STATE_CLUSTER_DEFAULT), 0);
    assert_int_equal(store_save(&f->store, &state), 0);
    state_deinit(&state);
}

static void assert_loads(struct fixture *f, int want_r, const char *subnet)
{
    struct state state;

    assert_int_equal(store_load(&f->store, &state), want_r);
    assert_true(ip4_prefix_equal(state.subnet, net(subnet)));
    state_deinit(&state);
}

static void scribble(const char *path)
{
    FILE *file = fopen(path, "r+");

    assert_non_null(file);
    assert_int_equal(fseek(file, 100, SEEK_SET), 0);
    assert_int_equal(fputc('#', file), '#');
    assert_int_equal(fclose(file), 0);
}

static void a_new_directory_holds_nothing(void **s)
{
    struct fixture *f = *s;
    struct state state;

    assert_int_equal(store_load(&f->store, &state), STORE_EMPTY);
}

static void the_last_save_is_loaded(void **s)
{
    save(*s, "10.42.1.0/24");
    assert_loads(*s, 0, "10.42.1.0/24");
    save(*s, "10.42.2.0/24");
    assert_loads(*s, 0, "10.42.2.0/24");
}

static void the_file_is_for_its_owner_only(void **s)
{
    struct fixture *f = *s;
    struct stat st;

    save(f, "10.42.1.0/24");
    assert_int_equal(stat(f->store.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void after_damage_the_save_before_is_taken_and_saving_goes_on(void **s)
{
    struct fixture *f = *s;

    save(f, "10.42.1.0/24");
    save(f, "10.42.2.0/24");
    scribble(f->store.path);
    assert_loads(f, STORE_PREVIOUS, "10.42.1.0/24");
    assert_int_equal(access(f->store.damaged, F_OK), 0);
    save(f, "10.42.3.0/24");
    assert_loads(f, 0, "10.42.3.0/24");
}

static void when_both_are_damaged_it_says_what_to_do(void **s)
{
    struct fixture *f = *s;
    struct state state;

    save(f, "10.42.1.0/24");
    save(f, "10.42.2.0/24");
    scribble(f->store.path);
    scribble(f->store.previous);
    assert_int_equal(store_load(&f->store, &state), -EBADMSG);
    assert_non_null(strstr(err_text(), f->store.path));
    assert_non_null(strstr(err_text(), f->store.previous));
    assert_non_null(strstr(err_text(), "Move both files away and start again"));
    assert_int_equal(access(f->store.path, F_OK), 0);
}

static void a_file_that_is_cut_off_is_damaged(void **s)
{
    struct fixture *f = *s;
    struct state state;

    save(f, "10.42.1.0/24");
    for (off_t n = 0; n < 120; n += 7) {
        assert_int_equal(truncate(f->store.path, 120 - n), 0);
        assert_int_equal(store_load(&f->store, &state), -EBADMSG);
    }
}

static void only_one_may_use_a_directory(void **s)
{
    struct fixture *f = *s;
    struct store second;

    assert_int_equal(store_open(f->dir, &second), -EWOULDBLOCK);
}

static void an_erased_store_is_empty(void **s)
{
    struct fixture *f = *s;
    struct state state;

    save(f, "10.42.1.0/24");
    save(f, "10.42.2.0/24");
    assert_int_equal(store_erase(&f->store), 0);
    assert_int_equal(store_erase(&f->store), 0);
    assert_int_equal(store_load(&f->store, &state), STORE_EMPTY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(a_new_directory_holds_nothing),
        TEST(the_last_save_is_loaded),
        TEST(the_file_is_for_its_owner_only),
        TEST(after_damage_the_save_before_is_taken_and_saving_goes_on),
        TEST(when_both_are_damaged_it_says_what_to_do),
        TEST(a_file_that_is_cut_off_is_damaged),
        TEST(only_one_may_use_a_directory),
        TEST(an_erased_store_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
