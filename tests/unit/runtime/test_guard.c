/* Repairs that do not hold. */
#include "runtime/guard.h"

#include <string.h>

#include "lib/base/strbuf.h"
#include "tests/unit/runtime/testing.h"

static int make(void **state)
{
    *state = NEW(struct guard);
    return 0;
}

static int drop(void **state)
{
    guard_deinit(*state);
    free(*state);
    return 0;
}

static void repair(struct guard *guard, int times, int64_t now_ms)
{
    for (int i = 0; i < times; i++)
        (void)guard_note(guard, "route a", NULL, now_ms);
}

static void one_objects_fight_does_not_hold_another_back(void **state)
{
    repair(*state, 10, 1000);
    assert_true(guard_allows(*state, "route a", 1000));
    repair(*state, 1, 1000);
    assert_false(guard_allows(*state, "route a", 1099));
    assert_true(guard_allows(*state, "route a", 1100));
    assert_true(guard_allows(*state, "route b", 1000));
}

static void add_told(const char *key, const char *error, void *data)
{
    strbuf_addf(data, "%s: %s\n", key, error);
}

static void repairs_that_do_not_hold_are_a_problem_until_it_is_calm(void **state)
{
    AUTO_STRBUF struct strbuf told = {0};

    repair(*state, 10, 0);
    assert_false(guard_is_fought(*state, "route a"));
    repair(*state, 1, 0);
    assert_true(guard_is_fought(*state, "route a"));
    assert_false(guard_is_fought(*state, "route b"));
    guard_each_error(*state, add_told, &told);
    assert_string_equal(told.data,
                        "route a: another program keeps changing it; find and stop it\n");
    guard_sweep(*state, 61000);
    assert_false(guard_is_fought(*state, "route a"));
}

static void a_held_back_repair_has_its_time(void **state)
{
    assert_true(guard_next_ms(*state) == INT64_MAX);
    repair(*state, 11, 0);
    assert_true(guard_next_ms(*state) == INT64_MAX);
    assert_false(guard_allows(*state, "route a", 10));
    assert_int_equal(guard_next_ms(*state), 100);
    repair(*state, 1, 100);
    assert_true(guard_next_ms(*state) == INT64_MAX);
}

static void what_has_been_quiet_is_forgotten(void **state)
{
    repair(*state, 1, 1000);
    guard_sweep(*state, 61000);
    assert_non_null(((struct guard *)*state)->entries);
    guard_sweep(*state, 61001);
    assert_null(((struct guard *)*state)->entries);
}

static void a_failure_is_remembered_and_tried_again_after_a_second(void **state)
{
    assert_true(guard_note(*state, "route a", "no such device", 0));
    assert_false(guard_note(*state, "route a", "no such device", 10));
    assert_true(guard_note(*state, "route a", "network is down", 20));
    assert_string_equal(guard_error(*state, "route a"), "network is down");
    assert_null(guard_error(*state, "route b"));
    assert_int_equal(guard_next_ms(*state), 1020);
}

static void a_failure_stays_in_mind_however_calm_it_is(void **state)
{
    (void)guard_note(*state, "route a", "no", 0);
    guard_sweep(*state, 1000000);
    assert_string_equal(guard_error(*state, "route a"), "no");
}

static void what_is_right_again_has_no_error(void **state)
{
    (void)guard_note(*state, "route a", "no", 0);
    guard_settle(*state, "route a");
    guard_settle(*state, "route b");
    assert_null(guard_error(*state, "route a"));
    assert_true(guard_next_ms(*state) == INT64_MAX);
}

static void collect(const char *key, const char *error, void *data)
{
    strbuf_addf(data, "%s=%s;", key, error);
}

static void each_failure_is_told(void **state)
{
    AUTO_STRBUF struct strbuf text = {0};

    (void)guard_note(*state, "route a", "no", 0);
    (void)guard_note(*state, "route b", NULL, 0);
    guard_each_error(*state, collect, &text);
    assert_string_equal(text.data, "route a=no;");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(one_objects_fight_does_not_hold_another_back),
        TEST(repairs_that_do_not_hold_are_a_problem_until_it_is_calm),
        TEST(a_held_back_repair_has_its_time),
        TEST(what_has_been_quiet_is_forgotten),
        TEST(a_failure_is_remembered_and_tried_again_after_a_second),
        TEST(a_failure_stays_in_mind_however_calm_it_is),
        TEST(what_is_right_again_has_no_error),
        TEST(each_failure_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
