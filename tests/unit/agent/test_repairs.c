/* Each object of the overlay has patience of its own. */

#include "agent/overlay/repairs.h"
#include "tests/unit/cmocka.h"

static const struct overlay_change route = {
    .object = OVERLAY_ROUTE, .addr = 0x0a2a0200, .prefix_len = 24};
static const struct overlay_change neigh = {.object = OVERLAY_NEIGH, .addr = 0x0a2a0200};

static void a_fight_is_said_and_then_waited_for(void **state)
{
    struct repairs repairs = {0};
    int64_t due_ms = -1;

    for (int i = 0; i < 10; i++)
        assert_int_equal(repairs_ask(&repairs, &route, 1000, &due_ms), REPAIRS_GO);
    assert_int_equal(repairs_ask(&repairs, &route, 1000, &due_ms), REPAIRS_FIGHT);
    assert_int_equal(due_ms, -1);
    assert_int_equal(repairs_ask(&repairs, &route, 1001, &due_ms), REPAIRS_WAIT);
    assert_int_equal(due_ms, 1100);
    repairs_deinit(&repairs);
}

static void a_fight_goes_on_until_the_foe_has_been_quiet(void **state)
{
    struct repairs repairs = {0};
    int64_t due_ms;

    for (int i = 0; i < 11; i++)
        (void)repairs_ask(&repairs, &route, 1000, &due_ms);
    assert_int_equal(repairs_ask(&repairs, &route, 1100, &due_ms), REPAIRS_FIGHT_ON);
    assert_int_equal(repairs_ask(&repairs, &route, 1300, &due_ms), REPAIRS_FIGHT_ON);
    assert_int_equal(repairs_ask(&repairs, &route, 20000, &due_ms), REPAIRS_GO);
    repairs_deinit(&repairs);
}

static void one_objects_fight_does_not_slow_another(void **state)
{
    struct repairs repairs = {0};
    int64_t due_ms;

    for (int i = 0; i < 12; i++)
        (void)repairs_ask(&repairs, &route, 1000, &due_ms);
    assert_int_equal(repairs_ask(&repairs, &route, 1001, &due_ms), REPAIRS_WAIT);
    assert_int_equal(repairs_ask(&repairs, &neigh, 1001, &due_ms), REPAIRS_GO);
    repairs_deinit(&repairs);
}

static void quiet_objects_are_forgotten(void **state)
{
    struct repairs repairs = {0};
    int64_t due_ms;

    (void)repairs_ask(&repairs, &route, 1000, &due_ms);
    (void)repairs_ask(&repairs, &neigh, 40000, &due_ms);
    repairs_prune(&repairs, 62000);
    assert_int_equal(HASH_COUNT(repairs.by_key), 1);
    repairs_prune(&repairs, 200000);
    assert_int_equal(HASH_COUNT(repairs.by_key), 0);
    repairs_deinit(&repairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fight_is_said_and_then_waited_for),
        cmocka_unit_test(a_fight_goes_on_until_the_foe_has_been_quiet),
        cmocka_unit_test(one_objects_fight_does_not_slow_another),
        cmocka_unit_test(quiet_objects_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
