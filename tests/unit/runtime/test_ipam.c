/* Container addresses: who gets which, and when again. */
#include "runtime/ipam.h"
#include "tests/unit/runtime/testing.h"

#define SUBNET_24 ((struct ip4_prefix){.addr = 0x0a2a0100, .len = 24}) /* 10.42.1.0/24 */
#define SUBNET_30 ((struct ip4_prefix){.addr = 0x0a2a0104, .len = 30}) /* 10.42.1.4/30 */

static int make_30(void **state)
{
    static struct ipam ipam;

    ipam_init(&ipam, SUBNET_30);
    *state = &ipam;
    return 0;
}

static int drop(void **state)
{
    ipam_deinit(*state);
    return 0;
}

static uint32_t next(struct ipam *ipam, int64_t now_ms)
{
    uint32_t addr = 0;

    assert_int_equal(ipam_take_next(ipam, now_ms, &addr), 0);
    return addr;
}

static void a_24_gives_out_1_to_254_in_order_and_then_nothing(void **state)
{
    struct ipam ipam;
    uint32_t addr = 7;

    ipam_init(&ipam, SUBNET_24);
    assert_int_equal(ipam_size(&ipam), 254);
    for (uint32_t host = 1; host <= 254; host++)
        assert_int_equal(next(&ipam, 0), 0x0a2a0100 + host);
    assert_int_equal(ipam_take_next(&ipam, 0, &addr), IPAM_EXHAUSTED);
    assert_int_equal(addr, 7);
    assert_int_equal(ipam_free_count(&ipam), 0);
    ipam_deinit(&ipam);
}

static void a_freed_address_is_not_the_next_one(void **state)
{
    struct ipam *ipam = *state;

    assert_int_equal(next(ipam, 1000), 0x0a2a0105);
    ipam_release(ipam, 0x0a2a0105, 1000);
    assert_int_equal(ipam_free_count(ipam), 2);
    assert_int_equal(next(ipam, 1000), 0x0a2a0106);
}

static void a_rested_address_comes_again_in_its_turn(void **state)
{
    struct ipam *ipam = *state;

    assert_int_equal(next(ipam, 0), 0x0a2a0105);
    assert_int_equal(next(ipam, 0), 0x0a2a0106);
    ipam_release(ipam, 0x0a2a0105, 0);
    ipam_release(ipam, 0x0a2a0106, 0);
    assert_int_equal(next(ipam, 30000), 0x0a2a0105);
    assert_int_equal(next(ipam, 30000), 0x0a2a0106);
}

static void the_longest_rested_goes_early_when_nothing_else_is_free(void **state)
{
    struct ipam *ipam = *state;

    (void)next(ipam, 0);
    (void)next(ipam, 0);
    ipam_release(ipam, 0x0a2a0106, 100);
    ipam_release(ipam, 0x0a2a0105, 200);
    assert_int_equal(next(ipam, 300), 0x0a2a0106);
    assert_int_equal(next(ipam, 300), 0x0a2a0105);
}

static void a_wished_address_is_given_once(void **state)
{
    struct ipam *ipam = *state;

    assert_int_equal(ipam_take(ipam, 0x0a2a0106), 0);
    assert_int_equal(ipam_take(ipam, 0x0a2a0106), IPAM_TAKEN);
    assert_int_equal(next(ipam, 0), 0x0a2a0105);
}

static void a_wished_address_needs_no_rest(void **state)
{
    struct ipam *ipam = *state;

    assert_int_equal(ipam_take(ipam, 0x0a2a0106), 0);
    ipam_release(ipam, 0x0a2a0106, 0);
    assert_int_equal(ipam_take(ipam, 0x0a2a0106), 0);
}

static void network_broadcast_and_foreign_addresses_are_outside(void **state)
{
    static const uint32_t outside[] = {0,          0x0a2a0104, 0x0a2a0107,
                                       0x0a2a0108, 0x0a2a0103, UINT32_MAX};

    for (size_t i = 0; i < ARRAY_LEN(outside); i++)
        assert_int_equal(ipam_take(*state, outside[i]), IPAM_OUTSIDE);
}

static void releasing_what_nobody_holds_changes_nothing(void **state)
{
    struct ipam *ipam = *state;

    ipam_release(ipam, 0x0a2a0105, 0);
    ipam_release(ipam, 0x0a2a0104, 0);
    ipam_release(ipam, 0, 0);
    assert_int_equal(ipam_free_count(ipam), 2);
    assert_int_equal(next(ipam, 0), 0x0a2a0105);
}

static void a_copy_lives_on_its_own(void **state)
{
    struct ipam *ipam = *state, copy;

    (void)next(ipam, 0);
    ipam_copy(&copy, ipam);
    (void)next(&copy, 0);
    assert_int_equal(ipam_free_count(&copy), 0);
    assert_int_equal(ipam_free_count(ipam), 1);
    ipam_deinit(&copy);
}

static void without_a_subnet_there_is_no_address(void **state)
{
    struct ipam none = {0};
    uint32_t addr;

    assert_int_equal(ipam_size(&none), 0);
    assert_int_equal(ipam_take_next(&none, 0, &addr), IPAM_EXHAUSTED);
    assert_int_equal(ipam_take(&none, 0x0a2a0105), IPAM_OUTSIDE);
}

/* Whatever is taken and given back in whatever order: no address is held twice. */
static void no_address_is_ever_held_twice(void **state)
{
    struct ipam ipam;
    bool is_held[256] = {false};
    uint64_t seed = 42;

    ipam_init(&ipam, SUBNET_24);
    for (int64_t now_ms = 0; now_ms < 200000; now_ms += 10) {
        uint32_t addr, host;

        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        host = (uint32_t)(seed >> 33) % 254 + 1;
        if (is_held[host]) {
            ipam_release(&ipam, 0x0a2a0100 + host, now_ms);
            is_held[host] = false;
        } else if (ipam_take_next(&ipam, now_ms, &addr) == 0) {
            assert_in_range(addr, 0x0a2a0101, 0x0a2a01fe);
            assert_false(is_held[addr & 255]);
            is_held[addr & 255] = true;
        }
    }
    ipam_deinit(&ipam);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_24_gives_out_1_to_254_in_order_and_then_nothing),
        cmocka_unit_test_setup_teardown(a_freed_address_is_not_the_next_one, make_30, drop),
        cmocka_unit_test_setup_teardown(a_rested_address_comes_again_in_its_turn, make_30, drop),
        cmocka_unit_test_setup_teardown(the_longest_rested_goes_early_when_nothing_else_is_free,
                                        make_30, drop),
        cmocka_unit_test_setup_teardown(a_wished_address_is_given_once, make_30, drop),
        cmocka_unit_test_setup_teardown(a_wished_address_needs_no_rest, make_30, drop),
        cmocka_unit_test_setup_teardown(network_broadcast_and_foreign_addresses_are_outside,
                                        make_30, drop),
        cmocka_unit_test_setup_teardown(releasing_what_nobody_holds_changes_nothing, make_30, drop),
        cmocka_unit_test_setup_teardown(a_copy_lives_on_its_own, make_30, drop),
        cmocka_unit_test(without_a_subnet_there_is_no_address),
        cmocka_unit_test(no_address_is_ever_held_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
