/* Which peers a look is about. */
#include "agent/overlay/focus.h"

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static struct overlay_want want_of(struct overlay_peer *peers, size_t count)
{
    return (struct overlay_want){.vni = 100, .peers = peers, .peer_count = count};
}

static void equal_wants_have_no_difference(void **unused)
{
    struct overlay_peer peers[] = {{1, 11}, {2, 12}};
    const struct overlay_want want = want_of(peers, 2);
    const struct focus focus = focus_compare(&want, &want);

    assert_int_equal(focus.count, 0);
    assert_false(focus.is_all);
}

static void those_that_came_moved_and_went_are_the_difference(void **unused)
{
    struct overlay_peer before[] = {{1, 11}, {3, 13}, {4, 14}, {9, 19}};
    struct overlay_peer after[] = {{1, 11}, {2, 12}, {3, 99}, {4, 14, .mtu_bytes = 1350}};
    const struct overlay_want from = want_of(before, 4), to = want_of(after, 4);
    const struct focus focus = focus_compare(&from, &to);

    assert_false(focus.is_all);
    assert_int_equal(focus.count, 3);
    assert_int_equal(focus.vteps[0], 2);
    assert_int_equal(focus.vteps[1], 3);
    assert_int_equal(focus.vteps[2], 9);
}

static void what_was_found_on_the_way_is_a_difference(void **unused)
{
    struct overlay_peer before[] = {{1, 11}}, after[] = {{1, 11, .found_bytes = 1400}};
    const struct overlay_want from = want_of(before, 1), to = want_of(after, 1);

    assert_int_equal(focus_compare(&from, &to).count, 1);
}

static void more_than_peers_is_all(void **unused)
{
    struct overlay_peer peers[] = {{1, 11}};
    const struct overlay_want from = want_of(peers, 1);
    struct overlay_want to = from;

    to.vni = 101;
    assert_true(focus_compare(&from, &to).is_all);
    to = from;
    to.is_partial = true;
    assert_true(focus_compare(&from, &to).is_all);
}

static void too_many_are_all(void **unused)
{
    struct focus focus = {.count = 0};

    for (uint32_t i = 1; i <= FOCUS_MAX; i++)
        focus_add(&focus, i);
    focus_add(&focus, 1);
    assert_false(focus.is_all);
    assert_false(focus_has(&focus, FOCUS_MAX + 1));
    focus_add(&focus, FOCUS_MAX + 1);
    assert_true(focus.is_all);
    assert_true(focus_has(&focus, 12345));
}

static void what_is_done_is_dropped(void **unused)
{
    struct focus focus = {.vteps = {1, 2, 3}, .count = 3};
    const struct focus done = {.vteps = {2, 7}, .count = 2};

    focus_drop(&focus, &done);
    assert_int_equal(focus.count, 2);
    assert_int_equal(focus.vteps[0], 1);
    assert_int_equal(focus.vteps[1], 3);
}

static void a_want_of_some_has_those_that_are_wanted_in_order(void **unused)
{
    struct overlay_peer peers[] = {{1, 11}, {3, 13}, {4, 14}};
    const struct overlay_want want = want_of(peers, 3);
    const struct focus focus = {.vteps = {4, 2, 1}, .count = 3};
    struct overlay_want some = focus_want(&focus, &want);

    assert_int_equal(some.peer_count, 2);
    assert_int_equal(some.peers[0].vtep, 1);
    assert_int_equal(some.peers[1].host_ip, 14);
    assert_int_equal(some.vni, 100);
    overlay_want_deinit(&some);
}

static void an_entry_with_no_peers_mac_address_is_about_none(void **unused)
{
    struct overlay_change change = {.object = OVERLAY_FDB, .mac = mac_from_ip4(0x0a2a0200)};

    assert_int_equal(focus_vtep_of(&change), 0x0a2a0200);
    change.mac.bytes[1] = 0x52;
    assert_int_equal(focus_vtep_of(&change), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_wants_have_no_difference),
        cmocka_unit_test(those_that_came_moved_and_went_are_the_difference),
        cmocka_unit_test(what_was_found_on_the_way_is_a_difference),
        cmocka_unit_test(more_than_peers_is_all),
        cmocka_unit_test(too_many_are_all),
        cmocka_unit_test(what_is_done_is_dropped),
        cmocka_unit_test(a_want_of_some_has_those_that_are_wanted_in_order),
        cmocka_unit_test(an_entry_with_no_peers_mac_address_is_about_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
