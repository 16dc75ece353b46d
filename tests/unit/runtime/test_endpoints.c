/* Endpoints: the names that follow from them. */
#include "runtime/endpoints.h"

#include <string.h>

#include "tests/unit/runtime/testing.h"

static void our_end_is_named_after_the_address(void **unused)
{
    char name[IFNAMSIZ];
    uint32_t address = 0;

    endpoint_host_ifname(addr("10.42.1.5"), name);
    assert_string_equal(name, "qv0a2a0105");
    assert_true(endpoint_host_ifname_parse(name, &address));
    assert_int_equal(address, addr("10.42.1.5"));
}

static void other_names_are_no_addresses(void **unused)
{
    static const char *const names[] = {"",           "qv",         "qv0a2a010",  "qv0a2a01055",
                                        "qv0a2a010g", "qw0a2a0105", "qv0A2A0105", "eth0"};
    uint32_t address;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_false(endpoint_host_ifname_parse(names[i], &address));
}

static void an_alias_tells_who_it_is(void **unused)
{
    char alias[ENDPOINT_ALIAS_SIZE], ifname[IFNAMSIZ];
    AUTO_FREE char *id = NULL;

    endpoint_alias("c1.x", "eth0", alias);
    assert_string_equal(alias, "quilt:endpoint:c1.x/eth0");
    assert_true(endpoint_alias_parse(alias, &id, ifname));
    assert_string_equal(id, "c1.x");
    assert_string_equal(ifname, "eth0");
}

static void an_alias_that_was_cut_is_not_taken_for_a_whole_one(void **unused)
{
    char id[254], alias[ENDPOINT_ALIAS_SIZE], ifname[IFNAMSIZ];
    char *parsed = NULL;

    memset(id, 'a', sizeof id);
    id[253] = '\0';
    endpoint_alias(id, "fifteen-letters", alias);
    assert_int_equal(strlen(alias), 255);
    assert_string_equal(alias + 255 - 18, "a~/fifteen-letters");
    assert_false(endpoint_alias_parse(alias, &parsed, ifname));
    id[224] = '\0';
    endpoint_alias(id, "fifteen-letters", alias);
    assert_int_equal(strlen(alias), 255);
    assert_true(endpoint_alias_parse(alias, &parsed, ifname));
    assert_string_equal(parsed, id);
    free(parsed);
}

static void foreign_aliases_are_none_of_ours(void **unused)
{
    static const char *const aliases[] = {"",         "quilt:endpoint:",      "quilt:endpoint:a",
                                          "quilt:x",  "quilt:endpoint:/eth0", "quilt:endpoint:a/",
                                          "eth0 WAN", "quilt:endpoint:a/b/c"};
    char ifname[IFNAMSIZ];
    char *id;

    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        assert_false(endpoint_alias_parse(aliases[i], &id, ifname));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_end_is_named_after_the_address),
        cmocka_unit_test(other_names_are_no_addresses),
        cmocka_unit_test(an_alias_tells_who_it_is),
        cmocka_unit_test(an_alias_that_was_cut_is_not_taken_for_a_whole_one),
        cmocka_unit_test(foreign_aliases_are_none_of_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
