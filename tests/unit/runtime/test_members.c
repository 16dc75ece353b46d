/* Members of the firewall's sets: what differs is what has changed since it was written. */
#include "runtime/members.h"

#include "tests/unit/runtime/testing.h"

static const struct member peer = {.set = MEMBERS_PEERS, .addr = 101};
static const struct member origin = {.set = MEMBERS_ORIGINS, .addr = 101, .to = 7};

/* What is to be written, and then taken as written. */
static void assert_writes(struct members *members, size_t adds, size_t removals)
{
    struct members_difference difference;

    members_compare(members, &difference);
    assert_int_equal(difference.add_count, adds);
    assert_int_equal(difference.removal_count, removals);
    members_difference_deinit(&difference);
    members_written(members);
    members_compare(members, &difference);
    assert_int_equal(difference.add_count + difference.removal_count, 0);
    members_difference_deinit(&difference);
}

static void a_member_comes_and_goes(void **unused)
{
    struct members members = {0};
    struct members_difference difference;

    members_take(&members, origin);
    assert_int_equal(members.counts[MEMBERS_ORIGINS], 1);
    members_compare(&members, &difference);
    assert_int_equal(difference.adds[0].set, MEMBERS_ORIGINS);
    assert_int_equal(difference.adds[0].addr, 101);
    assert_int_equal(difference.adds[0].to, 7);
    members_difference_deinit(&difference);
    assert_writes(&members, 1, 0);
    members_leave(&members, origin);
    assert_int_equal(members.counts[MEMBERS_ORIGINS], 0);
    assert_writes(&members, 0, 1);
    members_deinit(&members);
}

static void what_comes_and_goes_between_two_looks_is_not_written(void **unused)
{
    struct members members = {0};

    members_take(&members, peer);
    members_leave(&members, peer);
    assert_writes(&members, 0, 0);
    members_take(&members, peer);
    assert_writes(&members, 1, 0);
    members_leave(&members, peer);
    members_take(&members, peer);
    assert_writes(&members, 0, 0);
    members_deinit(&members);
}

static void a_member_of_two_reasons_stays_until_the_last_one_goes(void **unused)
{
    struct members members = {0};

    members_take(&members, peer);
    members_take(&members, peer);
    assert_int_equal(members.counts[MEMBERS_PEERS], 1);
    assert_writes(&members, 1, 0);
    members_leave(&members, peer);
    assert_writes(&members, 0, 0);
    members_leave(&members, peer);
    assert_writes(&members, 0, 1);
    members_deinit(&members);
}

static void what_was_not_written_is_still_to_be_written(void **unused)
{
    struct members members = {0};
    struct members_difference difference;

    members_take(&members, peer);
    members_compare(&members, &difference);
    members_difference_deinit(&difference); /* it failed */
    members_take(&members, origin);
    assert_writes(&members, 2, 0);
    members_deinit(&members);
}

static struct member_list list_of(size_t count, const uint32_t *addrs, uint32_t to)
{
    struct member_list list = {.items = mem_array(count + 1, sizeof *list.items), .count = count};

    for (size_t i = 0; i < count; i++)
        list.items[i] = (struct member){.set = MEMBERS_HOPS, .addr = addrs[i], .to = to};
    members_sort(&list);
    return list;
}

static void a_list_takes_what_is_new_and_leaves_what_is_gone(void **unused)
{
    struct members members = {0};
    struct member_list list = {0};

    assert_true(members_follow(&members, &list, list_of(3, (uint32_t[]){30, 10, 20}, 1)));
    assert_writes(&members, 3, 0);
    assert_false(members_follow(&members, &list, list_of(3, (uint32_t[]){10, 20, 30}, 1)));
    assert_true(members_follow(&members, &list, list_of(3, (uint32_t[]){40, 20, 5}, 1)));
    assert_writes(&members, 2, 2);
    assert_true(members_follow(&members, &list, list_of(3, (uint32_t[]){40, 20, 5}, 2)));
    assert_writes(&members, 3, 3);
    assert_true(members_follow(&members, &list, list_of(0, NULL, 0)));
    assert_int_equal(members.counts[MEMBERS_HOPS], 0);
    assert_writes(&members, 0, 3);
    free(list.items);
    members_deinit(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_comes_and_goes),
        cmocka_unit_test(what_comes_and_goes_between_two_looks_is_not_written),
        cmocka_unit_test(a_member_of_two_reasons_stays_until_the_last_one_goes),
        cmocka_unit_test(what_was_not_written_is_still_to_be_written),
        cmocka_unit_test(a_list_takes_what_is_new_and_leaves_what_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
