/* How many requests one identity may make. */
#include "control/services/pace.h"

#include "tests/unit/cmocka.h"

static const struct pace_rule rule = {.per_s = 10, .at_once = 5};

static unsigned int take_all(struct pace *pace, int64_t now_ms)
{
    unsigned int count = 0;

    while (pace_take(pace, &rule, now_ms) == 0)
        count++;
    return count;
}

static void so_many_at_once_and_then_so_many_a_second(void **state)
{
    struct pace pace = {0};

    assert_int_equal(take_all(&pace, 1000), 5);
    assert_int_equal(take_all(&pace, 1099), 0);
    assert_int_equal(take_all(&pace, 1100), 1);
    assert_int_equal(take_all(&pace, 1300), 2);
    assert_int_equal(take_all(&pace, 90000), 5);
}

static void who_is_too_fast_is_told_how_long_to_wait(void **state)
{
    struct pace pace = {0};

    assert_int_equal(take_all(&pace, 1000), 5);
    assert_int_equal(pace_take(&pace, &rule, 1000), 100);
    assert_int_equal(pace_take(&pace, &rule, 1040), 60);
    assert_int_equal(pace_take(&pace, &rule, 1099), 1);
    assert_int_equal(pace_take(&pace, &rule, 1100), 0);
}

static void who_asks_in_vain_does_not_wait_longer_for_it(void **state)
{
    struct pace pace = {0};

    assert_int_equal(take_all(&pace, 0), 5);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(pace_take(&pace, &rule, 0), 100);
    assert_int_equal(pace_take(&pace, &rule, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_at_once_and_then_so_many_a_second),
        cmocka_unit_test(who_is_too_fast_is_told_how_long_to_wait),
        cmocka_unit_test(who_asks_in_vain_does_not_wait_longer_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
