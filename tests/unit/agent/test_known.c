/* Which routes to the peers are asked for again. */
#include "agent/fastpath/known.h"

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static struct known_ways known;

static size_t count_known(void)
{
    size_t count = 0;

    for (size_t i = 0; i < known.count; i++)
        count += known.items[i].is_known;
    return count;
}

/* Peers with VTEP address 10.0.0.0 plus 256 n and host IP 172.16.0.0 plus n, all known. */
static void know(size_t count)
{
    AUTO_FREE struct overlay_peer *peers = mem_array(count + 1, sizeof *peers);
    const struct overlay_want want = {.peers = peers, .peer_count = count};

    for (uint32_t n = 0; n < count; n++)
        peers[n] = (struct overlay_peer){.vtep = 0x0a000000 + 256 * n, .host_ip = 0xac100000 + n};
    known_ways_follow(&known, &want);
    for (size_t i = 0; i < count; i++)
        known.items[i].is_known = true;
}

static int tear_down(void **unused)
{
    known_ways_deinit(&known);
    return 0;
}

static void what_is_known_stays_with_peers_that_stay(void **unused)
{
    struct overlay_peer others[] = {{.vtep = 0x0a000100, .host_ip = 0xac100001},
                                    {.vtep = 0x0a000200, .host_ip = 0xac100063},
                                    {.vtep = 0x0a000300, .host_ip = 0xac100003}};
    const struct overlay_want want = {.peers = others, .peer_count = 3};

    know(3);
    known.items[1].fib.ifindex = 7;
    known_ways_follow(&known, &want);
    assert_int_equal(known.count, 3);
    assert_true(known.items[0].is_known);
    assert_int_equal(known.items[0].fib.ifindex, 7);
    assert_false(known.items[1].is_known); /* has moved */
    assert_int_equal(known.items[1].host_ip, 0xac100063);
    assert_false(known.items[2].is_known); /* is new */
}

static void a_route_concerns_those_inside_it(void **unused)
{
    know(300);
    assert_false(known_ways_forget_route(&known, (struct ip4_prefix){0xac110000, 16}));
    assert_int_equal(count_known(), 300);
    assert_true(known_ways_forget_route(&known, (struct ip4_prefix){0xac100100, 24}));
    assert_int_equal(count_known(), 256);
    assert_true(known_ways_forget_route(&known, (struct ip4_prefix){0, 0}));
    assert_int_equal(count_known(), 0);
}

static void of_many_a_thousand_are_asked_for_again_in_turn(void **unused)
{
    know(2500);
    known_ways_forget_some(&known);
    assert_int_equal(count_known(), 1500);
    known_ways_forget_some(&known);
    known_ways_forget_some(&known);
    assert_int_equal(count_known(), 0);
    assert_int_equal(known.swept, 500);
}

static void of_few_all_are_asked_for_again(void **unused)
{
    known_ways_forget_some(&known);
    know(254);
    known.swept = 900; /* there were more */
    known_ways_forget_some(&known);
    assert_int_equal(count_known(), 0);
    know(254);
    known_ways_forget_all(&known);
    assert_int_equal(count_known(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_known_stays_with_peers_that_stay, tear_down),
        cmocka_unit_test_teardown(a_route_concerns_those_inside_it, tear_down),
        cmocka_unit_test_teardown(of_many_a_thousand_are_asked_for_again_in_turn, tear_down),
        cmocka_unit_test_teardown(of_few_all_are_asked_for_again, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
