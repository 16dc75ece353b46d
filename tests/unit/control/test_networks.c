/* Lists of networks. */
#include "control/services/networks.h"

#include "tests/unit/cmocka.h"

static bool contains(const struct networks *networks, const char *addr)
{
    uint32_t parsed;

    assert_int_equal(ip4_parse(addr, &parsed), 0);
    return networks_contain(networks, parsed);
}

static void an_address_is_in_the_list_when_it_is_in_one_of_its_networks(void **state)
{
    struct networks networks = {0};

    assert_false(contains(&networks, "10.0.0.1"));
    assert_int_equal(networks_parse("10.0.0.0/16,192.168.7.9/32", &networks), 0);
    assert_true(contains(&networks, "10.0.255.255"));
    assert_false(contains(&networks, "10.1.0.0"));
    assert_true(contains(&networks, "192.168.7.9"));
    assert_false(contains(&networks, "192.168.7.8"));
    assert_int_equal(networks_parse("0.0.0.0/0", &networks), 0);
    assert_true(contains(&networks, "203.0.113.1"));
}

static void what_is_no_list_of_networks_is_refused_and_changes_nothing(void **state)
{
    static const char *const wrong[] = {
        "", ",", "10.0.0.0/16,", "10.0.0.0/16,,10.1.0.0/16", "10.0.0.1/16", "10.0.0.0", "any"};
    struct networks networks = {0};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_true(networks_parse(wrong[i], &networks) < 0);
    assert_int_equal(networks.count, 0);
}

#define FOUR "10.0.0.0/16,10.1.0.0/16,10.2.0.0/16,10.3.0.0/16"

static void sixteen_networks_and_no_more(void **state)
{
    struct networks networks = {0};

    assert_true(networks_parse(FOUR "," FOUR "," FOUR "," FOUR ",10.4.0.0/16", &networks) < 0);
    assert_int_equal(networks_parse(FOUR "," FOUR "," FOUR "," FOUR, &networks), 0);
    assert_int_equal(networks.count, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_in_the_list_when_it_is_in_one_of_its_networks),
        cmocka_unit_test(what_is_no_list_of_networks_is_refused_and_changes_nothing),
        cmocka_unit_test(sixteen_networks_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
