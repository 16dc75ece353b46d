/* How soon one route is asked for again. */

#include "agent/runtime_client/pace.h"
#include "tests/unit/cmocka.h"

static void after_a_success_the_next_may_come_at_once(void **state)
{
    struct pace pace = {0};

    pace_ended(&pace, true, 20000);
    assert_int_equal(pace.not_before_ms, 20050);
}

static void failures_in_a_row_wait_longer_up_to_ten_seconds(void **state)
{
    const int64_t waits[] = {500, 1000, 2000, 4000, 8000, 10000, 10000};
    struct pace pace = {0};
    int64_t now_ms = 20000;

    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        pace_ended(&pace, false, now_ms);
        assert_int_equal(pace.not_before_ms - now_ms, waits[i]);
        now_ms = pace.not_before_ms;
    }
}

static void a_quiet_while_ends_the_row(void **state)
{
    struct pace pace = {0};

    pace_ended(&pace, false, 20000);
    pace_ended(&pace, false, 20500);
    pace_ended(&pace, false, 60000);
    assert_int_equal(pace.not_before_ms, 60500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_success_the_next_may_come_at_once),
        cmocka_unit_test(failures_in_a_row_wait_longer_up_to_ten_seconds),
        cmocka_unit_test(a_quiet_while_ends_the_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
