/* Pauses between attempts: how they grow, and that they stay in their bounds. */
#include "lib/base/backoff.h"

#include "lib/base/random.h"
#include "tests/unit/cmocka.h"

static void the_ceiling_doubles_up_to_the_maximum(void **state)
{
    static const int64_t ceilings_ms[] = {100, 200, 400, 800, 1000, 1000};
    struct backoff b = {.min_ms = 0, .base_ms = 100, .max_ms = 1000};

    for (unsigned int i = 0; i < 6; i++)
        assert_int_equal(backoff_next_ms(&b, (uint64_t)ceilings_ms[i]), ceilings_ms[i]);
}

static void a_success_starts_it_over(void **state)
{
    struct backoff b = {.min_ms = 0, .base_ms = 100, .max_ms = 1000};

    for (int i = 0; i < 10; i++)
        (void)backoff_next_ms(&b, 0);
    backoff_reset(&b);
    assert_int_equal(backoff_next_ms(&b, 100), 100);
    assert_int_equal(backoff_next_ms(&b, 200), 200);
}

static void no_pause_leaves_its_bounds_and_both_ends_are_met(void **state)
{
    struct backoff b = {.min_ms = 50, .base_ms = 60, .max_ms = 60};
    int hits[11] = {0};

    for (int i = 0; i < 10000; i++) {
        int64_t ms = backoff_next_ms(&b, random_u64());

        assert_in_range(ms, 50, 60);
        hits[ms - 50]++;
    }
    for (int i = 0; i < 11; i++)
        assert_true(hits[i] > 0);
}

static void many_attempts_do_not_overflow(void **state)
{
    struct backoff b = {.min_ms = 1, .base_ms = 7, .max_ms = INT64_MAX / 4, .attempts = 4000000000};

    assert_in_range(backoff_next_ms(&b, UINT64_MAX), 1, INT64_MAX / 4);
}

static void a_minimum_over_the_ceiling_is_kept(void **state)
{
    struct backoff b = {.min_ms = 500, .base_ms = 100, .max_ms = 200};

    assert_int_equal(backoff_next_ms(&b, 12345), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ceiling_doubles_up_to_the_maximum),
        cmocka_unit_test(a_success_starts_it_over),
        cmocka_unit_test(no_pause_leaves_its_bounds_and_both_ends_are_met),
        cmocka_unit_test(many_attempts_do_not_overflow),
        cmocka_unit_test(a_minimum_over_the_ceiling_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
