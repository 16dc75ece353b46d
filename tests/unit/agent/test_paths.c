/* The ways to the peers: when they are asked for again, and how large packets may be. */
#include "agent/overlay/paths.h"

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

#define DEVICE 1450

static struct overlay_peer peers[3];
static struct overlay_want want;
static struct overlay_paths paths;

/* 10.42.2.0, .3.0 and .4.0 on 192.168.1.11, .12 and 172.16.0.9. */
static int set_up(void **unused)
{
    peers[0] = (struct overlay_peer){.vtep = 0x0a2a0200, .host_ip = 0xc0a8010b};
    peers[1] = (struct overlay_peer){.vtep = 0x0a2a0300, .host_ip = 0xc0a8010c};
    peers[2] = (struct overlay_peer){.vtep = 0x0a2a0400, .host_ip = 0xac100009};
    want = (struct overlay_want){.mtu_bytes = DEVICE, .peers = peers, .peer_count = 3};
    overlay_paths_follow(&paths, &want);
    return 0;
}

static int tear_down(void **unused)
{
    overlay_paths_deinit(&paths);
    return 0;
}

/* As overlay_paths_look() would have found them. */
static void know(size_t i, int ifindex, uint32_t mtu_bytes)
{
    paths.items[i].fib.ifindex = ifindex;
    paths.items[i].mtu_bytes = mtu_bytes;
    paths.items[i].is_known = true;
}

static void a_way_that_takes_less_gives_its_route_an_mtu(void **unused)
{
    struct focus changed = {.count = 0};

    know(0, 2, 1500);
    know(1, 2, 1400);
    know(2, 3, 9000);
    overlay_paths_narrow(&paths, &want, &changed);
    assert_int_equal(peers[0].mtu_bytes, 0);
    assert_int_equal(peers[1].mtu_bytes, 1350);
    assert_int_equal(peers[2].mtu_bytes, 0);
    assert_int_equal(changed.count, 1);
    assert_int_equal(changed.vteps[0], 0x0a2a0300);
    changed = (struct focus){0};
    overlay_paths_narrow(&paths, &want, &changed);
    assert_int_equal(changed.count, 0);
    know(1, 2, 1500);
    overlay_paths_narrow(&paths, &want, &changed);
    assert_int_equal(peers[1].mtu_bytes, 0);
    assert_int_equal(changed.count, 1);
}

static void what_was_found_to_pass_counts_where_it_is_less(void **unused)
{
    struct focus changed = {.count = 0};

    know(0, 2, 1500);
    know(1, 2, 1400);
    peers[0].found_bytes = 1300;
    peers[1].found_bytes = 1450;
    peers[2].found_bytes = 100;
    overlay_paths_narrow(&paths, &want, &changed);
    assert_int_equal(peers[0].mtu_bytes, 1250);
    assert_int_equal(peers[1].mtu_bytes, 1350);
    assert_int_equal(peers[2].mtu_bytes, 576); /* RFC 791 */
}

static void what_should_pass_is_what_the_way_takes_of_what_the_device_sends(void **unused)
{
    assert_int_equal(overlay_paths_find(&paths, &want, 0x0a2a0200), 1500);
    know(0, 2, 9000);
    know(1, 2, 1400);
    know(2, 2, 300);
    peers[1].found_bytes = 1300;
    assert_int_equal(overlay_paths_find(&paths, &want, 0x0a2a0200), 1500);
    assert_int_equal(overlay_paths_find(&paths, &want, 0x0a2a0300), 1400);
    assert_int_equal(overlay_paths_find(&paths, &want, 0x0a2a0400), 626);
    assert_int_equal(overlay_paths_find(&paths, &want, 0x0a2a0500), 0);
    want.mtu_bytes = 0;
    assert_int_equal(overlay_paths_find(&paths, &want, 0x0a2a0200), 0);
}

static void a_routed_hosts_largest_way_counts(void **unused)
{
    assert_int_equal(overlay_paths_largest(&paths), 0);
    know(0, 2, 1400);
    know(1, 3, 9000);
    assert_int_equal(overlay_paths_largest(&paths), 9000);
}

static void what_is_known_stays_with_peers_that_stay(void **unused)
{
    struct overlay_peer others[] = {{.vtep = 0x0a2a0200, .host_ip = 0xc0a8010b},
                                    {.vtep = 0x0a2a0300, .host_ip = 0xc0a80163},
                                    {.vtep = 0x0a2a0500, .host_ip = 0xc0a8010e}};
    const struct overlay_want other = {.mtu_bytes = DEVICE, .peers = others, .peer_count = 3};

    for (size_t i = 0; i < 3; i++)
        know(i, 2, 1400);
    paths.has_unknown = false;
    overlay_paths_follow(&paths, &other);
    assert_int_equal(paths.count, 3);
    assert_true(paths.has_unknown);
    assert_true(paths.items[0].is_known);
    assert_int_equal(paths.items[0].mtu_bytes, 1400);
    assert_false(paths.items[1].is_known);
    assert_int_equal(paths.items[1].mtu_bytes, 0);
    assert_false(paths.items[2].is_known);
}

static void a_change_concerns_those_that_go_that_way(void **unused)
{
    know(0, 2, 1500);
    know(1, 2, 1500);
    know(2, 3, 1500);
    paths.has_unknown = false;
    assert_false(overlay_paths_forget_device(&paths, 7));
    assert_false(overlay_paths_forget_route(&paths, (struct ip4_prefix){0xc0a80200, 24}));
    assert_false(paths.has_unknown);
    assert_true(overlay_paths_forget_route(&paths, (struct ip4_prefix){0xc0a8010b, 32}));
    assert_true(paths.has_unknown);
    assert_false(paths.items[0].is_known);
    assert_int_equal(paths.items[0].mtu_bytes, 1500); /* until another is known */
    assert_true(paths.items[1].is_known);
    assert_true(overlay_paths_forget_device(&paths, 3));
    assert_false(paths.items[2].is_known);
    assert_true(overlay_paths_forget_route(&paths, (struct ip4_prefix){0, 0}));
    assert_false(paths.items[1].is_known);
}

static size_t count_known(void)
{
    size_t count = 0;

    for (size_t i = 0; i < paths.count; i++)
        count += paths.items[i].is_known;
    return count;
}

/* Follows so many peers, of which all is known. */
static void know_many(uint32_t count)
{
    AUTO_FREE struct overlay_peer *many = mem_array(count, sizeof *many);
    const struct overlay_want crowd = {.peers = many, .peer_count = count};

    for (uint32_t n = 0; n < count; n++)
        many[n] = (struct overlay_peer){.vtep = 0x0a000000 + 256 * n, .host_ip = 0xac100000 + n};
    overlay_paths_follow(&paths, &crowd);
    for (size_t i = 0; i < count; i++)
        know(i, 2, 1500);
    paths.has_unknown = false;
}

static void of_many_a_thousand_are_asked_for_again_in_turn(void **unused)
{
    know_many(2500);
    overlay_paths_forget_some(&paths);
    assert_true(paths.has_unknown);
    assert_int_equal(count_known(), 1500);
    overlay_paths_forget_some(&paths);
    overlay_paths_forget_some(&paths);
    assert_int_equal(count_known(), 0);
    assert_int_equal(paths.swept, 500);
}

static void of_few_all_are_asked_for_again(void **unused)
{
    know_many(254);
    paths.swept = 900; /* there were more */
    overlay_paths_forget_some(&paths);
    assert_int_equal(count_known(), 0);
    overlay_paths_deinit(&paths);
    overlay_paths_forget_some(&paths);
    assert_int_equal(paths.swept, 0);
}

static void all_are_asked_for_again(void **unused)
{
    know_many(254);
    overlay_paths_forget_all(&paths);
    assert_int_equal(count_known(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_way_that_takes_less_gives_its_route_an_mtu),
        TEST(what_was_found_to_pass_counts_where_it_is_less),
        TEST(what_should_pass_is_what_the_way_takes_of_what_the_device_sends),
        TEST(a_routed_hosts_largest_way_counts),
        TEST(what_is_known_stays_with_peers_that_stay),
        TEST(a_change_concerns_those_that_go_that_way),
        TEST(of_many_a_thousand_are_asked_for_again_in_turn),
        TEST(of_few_all_are_asked_for_again),
        TEST(all_are_asked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
