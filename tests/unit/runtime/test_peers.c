/* The overlay's entries, followed one by one, make the members that a listing would make. */
#include "runtime/peers.h"

#include "tests/unit/runtime/testing.h"

static struct mac mac_of(unsigned int number)
{
    return mac_from_ip4(0x0a2a0000 + number);
}

static void assert_counts(const struct members *members, size_t hosts, size_t origins)
{
    assert_int_equal(members->counts[MEMBERS_PEERS], hosts);
    assert_int_equal(members->counts[MEMBERS_ORIGINS], origins);
}

static void a_host_comes_moves_and_goes(void **unused)
{
    struct members members = {0};
    struct peers peers = {.members = &members};
    struct members_difference difference;

    peers_put(&peers, mac_of(1), 101);
    members_written(&members);
    peers_put(&peers, mac_of(1), 101);
    members_compare(&members, &difference);
    assert_int_equal(difference.add_count + difference.removal_count, 0);
    members_difference_deinit(&difference);
    peers_put(&peers, mac_of(1), 102);
    members_compare(&members, &difference);
    assert_int_equal(difference.add_count, 2);
    assert_int_equal(difference.removal_count, 2);
    members_difference_deinit(&difference);
    assert_counts(&members, 1, 1);
    peers_drop(&peers, mac_of(1), 102);
    assert_counts(&members, 0, 0);
    peers_deinit(&peers);
    members_deinit(&members);
}

static void a_host_of_two_subnets_is_one_peer_and_two_origins(void **unused)
{
    struct members members = {0};
    struct peers peers = {.members = &members};

    peers_put(&peers, mac_of(1), 101);
    peers_put(&peers, mac_of(2), 101);
    assert_counts(&members, 1, 2);
    peers_drop(&peers, mac_of(1), 101);
    assert_counts(&members, 1, 1);
    peers_drop(&peers, mac_of(2), 101);
    assert_counts(&members, 0, 0);
    peers_deinit(&peers);
    members_deinit(&members);
}

static void a_mac_address_that_says_no_subnet_lets_in_its_host_alone(void **unused)
{
    const struct mac other = {{0x02, 0x52, 10, 42, 2, 0}}, zero = {{0}};
    struct members members = {0};
    struct peers peers = {.members = &members};

    peers_put(&peers, other, 101);
    peers_put(&peers, zero, 102);
    assert_counts(&members, 2, 0);
    peers_deinit(&peers);
    assert_counts(&members, 0, 0);
    members_deinit(&members);
}

static void removals_of_what_is_not_so_change_nothing(void **unused)
{
    struct members members = {0};
    struct peers peers = {.members = &members};

    peers_put(&peers, mac_of(1), 101);
    peers_put(&peers, mac_of(2), 0);
    peers_drop(&peers, mac_of(1), 999);
    peers_drop(&peers, mac_of(7), 101);
    assert_counts(&members, 1, 1);
    peers_deinit(&peers);
    members_deinit(&members);
}

static void what_a_listing_lacks_is_gone_and_what_it_has_stays(void **unused)
{
    struct members members = {0};
    struct peers peers = {.members = &members};
    struct members_difference difference;
    AUTO_FREE struct firewall_peer *list = NULL;
    size_t count;

    for (unsigned int i = 1; i <= 3; i++)
        peers_put(&peers, mac_of(i), 200 - i);
    members_written(&members);
    peers_begin_listing(&peers);
    for (unsigned int i = 2; i <= 4; i++)
        peers_put(&peers, mac_of(i), 200 - i);
    peers_end_listing(&peers);
    members_compare(&members, &difference);
    assert_int_equal(difference.add_count, 2);
    assert_int_equal(difference.removal_count, 2);
    members_difference_deinit(&difference);
    list = peers_list(&peers, &count);
    assert_int_equal(count, 3);
    assert_int_equal(list[0].host, 196);
    assert_int_equal(list[0].subnet, 0x0a2a0004);
    assert_int_equal(list[2].host, 198);
    peers_deinit(&peers);
    members_deinit(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_comes_moves_and_goes),
        cmocka_unit_test(a_host_of_two_subnets_is_one_peer_and_two_origins),
        cmocka_unit_test(a_mac_address_that_says_no_subnet_lets_in_its_host_alone),
        cmocka_unit_test(removals_of_what_is_not_so_change_nothing),
        cmocka_unit_test(what_a_listing_lacks_is_gone_and_what_it_has_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
