/* How often one thing may be repaired. */
#include "lib/base/patience.h"

#include "tests/unit/cmocka.h"

static void repair(struct patience *p, int times, int64_t now_ms)
{
    for (int i = 0; i < times; i++)
        (void)patience_note(p, now_ms);
}

static void ten_repairs_at_once_are_free(void **state)
{
    struct patience p = {0};

    for (int i = 0; i < 10; i++) {
        assert_true(patience_allows(&p, 1000 + i));
        assert_false(patience_note(&p, 1000 + i));
    }
    assert_true(patience_allows(&p, 1010));
}

static void a_fight_is_said_once_and_slows_down_to_five_seconds(void **state)
{
    struct patience p = {0};
    int64_t now_ms = 1000;

    repair(&p, 10, now_ms);
    assert_true(patience_note(&p, now_ms));
    assert_false(patience_allows(&p, 1099));
    assert_true(patience_allows(&p, 1100));
    for (int i = 0; i < 20; i++) {
        now_ms = p.wait_until_ms;
        assert_false(patience_note(&p, now_ms));
    }
    assert_int_equal(p.wait_until_ms - now_ms, 5000);
}

static void whoever_damages_it_every_two_seconds_never_makes_it_wait(void **state)
{
    struct patience p = {0};

    for (int64_t now_ms = 0; now_ms < 200000; now_ms += 2000) {
        assert_true(patience_allows(&p, now_ms));
        assert_false(patience_note(&p, now_ms));
    }
}

static void after_peace_ten_are_free_again(void **state)
{
    struct patience p = {0};

    repair(&p, 11, 1000);
    repair(&p, 10, 40000);
    assert_true(patience_allows(&p, 40000));
    assert_true(patience_note(&p, 40000));
}

static void a_minute_of_quiet_ends_it(void **state)
{
    struct patience p = {0};

    repair(&p, 1, 1000);
    assert_false(patience_is_over(&p, 61000));
    assert_true(patience_is_over(&p, 61001));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_repairs_at_once_are_free),
        cmocka_unit_test(a_fight_is_said_once_and_slows_down_to_five_seconds),
        cmocka_unit_test(whoever_damages_it_every_two_seconds_never_makes_it_wait),
        cmocka_unit_test(after_peace_ten_are_free_again),
        cmocka_unit_test(a_minute_of_quiet_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
