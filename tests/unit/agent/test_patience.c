/* How often one object may be repaired. */

#include "agent/overlay/patience.h"
#include "tests/unit/cmocka.h"

static const struct overlay_change route = {
    .object = OVERLAY_ROUTE, .addr = 0x0a2a0200, .prefix_len = 24};
static const struct overlay_change neigh = {.object = OVERLAY_NEIGH, .addr = 0x0a2a0200};

static void ten_repairs_at_once_are_free(void **state)
{
    struct patience p = {0};
    int64_t due_ms = -1;

    for (int i = 0; i < 10; i++)
        assert_int_equal(patience_ask(&p, &route, 1000 + i, &due_ms), PATIENCE_GO);
    assert_int_equal(due_ms, -1);
    patience_deinit(&p);
}

static void a_fight_is_said_once_and_slows_down_to_five_seconds(void **state)
{
    struct patience p = {0};
    int64_t now_ms = 1000, due_ms = 0, longest_ms = 0;
    int fights = 0;

    for (int i = 0; i < 40; i++) {
        enum patience_answer answer = patience_ask(&p, &route, now_ms, &due_ms);

        fights += answer == PATIENCE_FIGHT;
        if (answer == PATIENCE_WAIT) {
            longest_ms = due_ms - now_ms > longest_ms ? due_ms - now_ms : longest_ms;
            now_ms = due_ms;
        }
    }
    assert_int_equal(fights, 1);
    assert_int_equal(longest_ms, 5000);
    patience_deinit(&p);
}

static void one_objects_fight_does_not_slow_another(void **state)
{
    struct patience p = {0};
    int64_t due_ms;

    for (int i = 0; i < 12; i++)
        (void)patience_ask(&p, &route, 1000, &due_ms);
    assert_int_equal(patience_ask(&p, &route, 1001, &due_ms), PATIENCE_WAIT);
    assert_int_equal(patience_ask(&p, &neigh, 1001, &due_ms), PATIENCE_GO);
    patience_deinit(&p);
}

static void peace_is_remembered_and_quiet_objects_are_forgotten(void **state)
{
    struct patience p = {0};
    int64_t due_ms;

    for (int i = 0; i < 11; i++)
        (void)patience_ask(&p, &route, 1000, &due_ms);
    for (int i = 0; i < 10; i++)
        assert_int_equal(patience_ask(&p, &route, 40000 + i, &due_ms), PATIENCE_GO);
    patience_prune(&p, 50000);
    assert_int_equal(HASH_COUNT(p.by_key), 1);
    patience_prune(&p, 200000);
    assert_int_equal(HASH_COUNT(p.by_key), 0);
    patience_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_repairs_at_once_are_free),
        cmocka_unit_test(a_fight_is_said_once_and_slows_down_to_five_seconds),
        cmocka_unit_test(one_objects_fight_does_not_slow_another),
        cmocka_unit_test(peace_is_remembered_and_quiet_objects_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
