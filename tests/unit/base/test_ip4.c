/* Addresses, prefixes and MAC addresses. */
#include "lib/base/ip4.h"

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "tests/unit/cmocka.h"

static void addresses(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint32_t addr;
    } rows[] = {
        {"10.42.1.5", 0, 0x0a2a0105},
        {"0.0.0.0", 0, 0},
        {"255.255.255.255", 0, UINT32_MAX},
        {"256.0.0.1", -EINVAL, 0},
        {"1.2.3", -EINVAL, 0},
        {"1.2.3.4.5", -EINVAL, 0},
        {"1.2.3.4 ", -EINVAL, 0},
        {" 1.2.3.4", -EINVAL, 0},
        {"01.2.3.4", -EINVAL, 0},
        {"1.2.3.04", -EINVAL, 0},
        {"1.2.3.00", -EINVAL, 0},
        {"1.2.3.+4", -EINVAL, 0},
        {"1.2.3.-4", -EINVAL, 0},
        {"1.2.3.1000", -EINVAL, 0},
        {"1..3.4", -EINVAL, 0},
        {"1.2.3.", -EINVAL, 0},
        {".1.2.3", -EINVAL, 0},
        {"0x1.2.3.4", -EINVAL, 0},
        {"16909060", -EINVAL, 0},
        {"1.2.3.4/24", -EINVAL, 0},
        {"::1", -EINVAL, 0},
        {"", -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t addr = 7;

        assert_int_equal(ip4_parse(rows[i].text, &addr), rows[i].r);
        assert_int_equal(addr, rows[i].r ? 7 : rows[i].addr);
    }
}

static void prefixes(void **state)
{
    static const struct {
        const char *text;
        int r;
        struct ip4_prefix prefix;
    } rows[] = {
        {"10.42.0.0/16", 0, {0x0a2a0000, 16}},
        {"0.0.0.0/0", 0, {0, 0}},
        {"10.42.1.5/32", 0, {0x0a2a0105, 32}},
        {"128.0.0.0/1", 0, {0x80000000, 1}},
        {"10.42.0.0/33", -EINVAL, {0}},
        {"10.42.0.0/016", -EINVAL, {0}},
        {"10.42.0.0/", -EINVAL, {0}},
        {"10.42.0.0", -EINVAL, {0}},
        {"10.42.0.0/-1", -EINVAL, {0}},
        {"10.42.0.0/16 ", -EINVAL, {0}},
        {"10.42.0.0/255.255.0.0", -EINVAL, {0}},
        {"/16", -EINVAL, {0}},
        {"", -EINVAL, {0}},
        {"10.42.1.0/16", -EINVAL, {0}},
        {"0.0.0.1/0", -EINVAL, {0}},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ip4_prefix prefix = {7, 7};

        assert_int_equal(ip4_prefix_parse(rows[i].text, &prefix), rows[i].r);
        assert_int_equal(prefix.addr, rows[i].r ? 7 : rows[i].prefix.addr);
        assert_int_equal(prefix.len, rows[i].r ? 7 : rows[i].prefix.len);
    }
}

static void host_bits_are_an_error_that_names_the_right_network(void **state)
{
    struct ip4_prefix prefix;

    assert_int_equal(ip4_prefix_parse("10.42.1.7/24", &prefix), -EINVAL);
    assert_string_equal(err_text(),
                        "'10.42.1.7/24' has host bits set; the network is 10.42.1.0/24");
}

static void any_prefix_comes_back_from_its_text(void **state)
{
    for (int round = 0; round < 20000; round++) {
        uint64_t random = random_u64();
        struct ip4_prefix in = {.len = (uint8_t)(random >> 32) % 33}, out;
        char text[IP4_PREFIX_TEXT_SIZE], addr_text[IP4_TEXT_SIZE];
        uint32_t addr = (uint32_t)random, back;

        in.addr = addr & ip4_mask(in.len);
        assert_int_equal(ip4_prefix_parse(ip4_prefix_format(in, text), &out), 0);
        assert_true(ip4_prefix_equal(in, out));
        assert_true(ip4_prefix_contains(out, addr));
        assert_int_equal(ip4_parse(ip4_format(addr, addr_text), &back), 0);
        assert_int_equal(back, addr);
    }
}

static void masks(void **state)
{
    assert_int_equal(ip4_mask(0), 0);
    assert_int_equal(ip4_mask(1), 0x80000000);
    assert_int_equal(ip4_mask(24), 0xffffff00);
    assert_int_equal(ip4_mask(32), 0xffffffff);
}

static void containing_and_covering(void **state)
{
    struct ip4_prefix cluster = {0x0a2a0000, 16}, node = {0x0a2a0100, 24}, all = {0, 0};

    assert_true(ip4_prefix_contains(node, 0x0a2a01ff));
    assert_false(ip4_prefix_contains(node, 0x0a2a0200));
    assert_true(ip4_prefix_contains(all, UINT32_MAX));
    assert_true(ip4_prefix_covers(cluster, node));
    assert_true(ip4_prefix_covers(node, node));
    assert_false(ip4_prefix_covers(node, cluster));
    assert_true(ip4_prefix_covers(all, cluster));
    assert_false(ip4_prefix_equal((struct ip4_prefix){0x0a2a0000, 24}, cluster));
}

static void addresses_a_host_can_have(void **state)
{
    static const struct {
        uint32_t addr;
        bool is_host;
    } rows[] = {
        {0xc0a8010a, true},  {0x0a000001, true},  {0xdfffffff, true},  {0x00000001, false},
        {0x7f000001, false}, {0xe0000001, false}, {0xf0000001, false}, {0xffffffff, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(ip4_is_unicast_host(rows[i].addr), rows[i].is_host);
}

static void loopback_is_all_of_127(void **state)
{
    assert_true(ip4_is_loopback(0x7f000001));
    assert_true(ip4_is_loopback(0x7fffffff));
    assert_false(ip4_is_loopback(0x7effffff));
    assert_false(ip4_is_loopback(0x80000000));
}

static void mac_addresses_follow_from_addresses(void **state)
{
    const struct mac other = {{0x02, 0x52, 10, 42, 2, 0}};
    char text[MAC_TEXT_SIZE];
    uint32_t addr = 7;

    assert_string_equal(mac_format(mac_from_ip4(0x0a2a0200), text), "02:51:0a:2a:02:00");
    assert_true(mac_equal(mac_from_ip4(5), mac_from_ip4(5)));
    assert_false(mac_equal(mac_from_ip4(5), mac_from_ip4(6)));
    assert_false(mac_to_ip4(other, &addr));
    assert_false(mac_to_ip4((struct mac){{0}}, &addr));
    assert_int_equal(addr, 7);
    assert_true(mac_to_ip4(mac_from_ip4(0xfe2a02ff), &addr));
    assert_int_equal(addr, 0xfe2a02ff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(host_bits_are_an_error_that_names_the_right_network),
        cmocka_unit_test(any_prefix_comes_back_from_its_text),
        cmocka_unit_test(masks),
        cmocka_unit_test(containing_and_covering),
        cmocka_unit_test(addresses_a_host_can_have),
        cmocka_unit_test(loopback_is_all_of_127),
        cmocka_unit_test(mac_addresses_follow_from_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
