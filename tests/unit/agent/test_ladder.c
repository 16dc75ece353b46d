/* The largest packet that gets through. */
#include "agent/probe/ladder.h"
#include "tests/unit/cmocka.h"

#define ROUND_MS 1000

/* Climbs over a way that passes up to passes_bytes; first tries are made once a round. */
static void climb(struct ladder *ladder, uint32_t passes_bytes, int64_t from_ms, int64_t until_ms)
{
    for (int64_t now_ms = from_ms; now_ms < until_ms; now_ms += 10) {
        bool is_round = now_ms % ROUND_MS == 0 && ladder->tries == 0;
        uint32_t bytes = 0;

        if (is_round || ladder_due_ms(ladder, true) <= now_ms)
            bytes = ladder_try(ladder, true, now_ms);
        if (bytes > 0)
            ladder_heard(ladder);
        if (bytes > 0 && bytes <= passes_bytes)
            ladder_passed(ladder, bytes, now_ms + 1);
    }
}

static void what_should_pass_and_does_takes_one_packet_now_and_then(void **state)
{
    struct ladder ladder = {0};

    ladder_set_top(&ladder, 1500, 1000);
    assert_int_equal(ladder_try(&ladder, false, 1000), 1500);
    ladder_passed(&ladder, 1500, 1001);
    assert_int_equal(ladder.largest_bytes, 1500);
    assert_false(ladder_is_short(&ladder));
    assert_int_equal(ladder_due_ms(&ladder, true), INT64_MAX);
    assert_int_equal(ladder_try(&ladder, false, 11000), 0);
    assert_int_equal(ladder_try(&ladder, false, 11001), 1500);
}

static void a_black_hole_is_found_and_told_when_it_was_confirmed(void **state)
{
    struct ladder ladder = {0};

    ladder_set_top(&ladder, 1500, 0);
    climb(&ladder, 1400, 0, 1000);
    assert_false(ladder_is_short(&ladder));
    climb(&ladder, 1400, 1000, 12000);
    assert_true(ladder_is_short(&ladder));
    assert_in_range(ladder.largest_bytes, 1396, 1400);
    climb(&ladder, 1300, 12000, 55000);
    assert_in_range(ladder.largest_bytes, 1296, 1300);
    climb(&ladder, 1500, 55000, 80000);
    assert_false(ladder_is_short(&ladder));
    assert_int_equal(ladder.largest_bytes, 1500);
}

static void what_was_told_stays_while_it_is_right(void **state)
{
    struct ladder ladder = {0};
    uint32_t told;

    ladder_set_top(&ladder, 9000, 0);
    climb(&ladder, 1500, 0, 60000);
    told = ladder.largest_bytes;
    assert_in_range(told, 1496, 1500);
    for (int64_t at_ms = 60000; at_ms < 600000; at_ms += 100) {
        climb(&ladder, 1500, at_ms, at_ms + 100);
        assert_in_range(ladder.largest_bytes, told, 1500);
    }
}

static void some_lost_packets_are_no_black_hole(void **state)
{
    struct ladder ladder = {0};

    ladder_set_top(&ladder, 1500, 0);
    for (int64_t now_ms = 0; now_ms < 7 * 150; now_ms += 150) {
        assert_int_equal(ladder_try(&ladder, true, now_ms), 1500);
        ladder_heard(&ladder);
    }
    assert_int_equal(ladder_try(&ladder, true, 1050), 1500);
    ladder_passed(&ladder, 1500, 1051);
    assert_int_equal(ladder.largest_bytes, 1500);
    assert_false(ladder.is_searching);
}

static void nothing_follows_from_silence(void **state)
{
    struct ladder ladder = {0};

    ladder_set_top(&ladder, 1500, 0);
    for (int64_t now_ms = 0; now_ms < 60000; now_ms += 10)
        (void)ladder_try(&ladder, true, now_ms);
    assert_int_equal(ladder.largest_bytes, 0);
    assert_int_equal(ladder.found_bytes, 0);
}

static void without_leave_no_search_is_begun(void **state)
{
    struct ladder ladder = {0};

    ladder_set_top(&ladder, 1500, 0);
    assert_int_equal(ladder_try(&ladder, false, 0), 1500);
    assert_int_equal(ladder_due_ms(&ladder, false), INT64_MAX);
    assert_int_equal(ladder_try(&ladder, false, 1000), 0);
    assert_false(ladder.is_searching);
    assert_int_equal(ladder_due_ms(&ladder, true), 150);
    assert_int_equal(ladder_try(&ladder, true, 1000), 1500);
    assert_true(ladder.is_searching);
    assert_int_equal(ladder_due_ms(&ladder, false), 1150);
}

static void nothing_is_tried_before_it_is_known_what_should_pass(void **state)
{
    struct ladder ladder = {0};

    assert_int_equal(ladder_try(&ladder, true, 0), 0);
    ladder_set_top(&ladder, LADDER_FLOOR_BYTES, 0);
    assert_int_equal(ladder_try(&ladder, true, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_should_pass_and_does_takes_one_packet_now_and_then),
        cmocka_unit_test(a_black_hole_is_found_and_told_when_it_was_confirmed),
        cmocka_unit_test(what_was_told_stays_while_it_is_right),
        cmocka_unit_test(some_lost_packets_are_no_black_hole),
        cmocka_unit_test(nothing_follows_from_silence),
        cmocka_unit_test(without_leave_no_search_is_begun),
        cmocka_unit_test(nothing_is_tried_before_it_is_known_what_should_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
