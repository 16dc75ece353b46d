/* The firewall table, word for word: what is written here is what nft lists. */
#include "runtime/firewall.h"

#include <string.h>

#include "tests/unit/runtime/testing.h"

static const char *const common[] = {
    "{\"chain\":{\"family\":\"inet\",\"table\":\"quilt\",\"name\":\"prerouting\",\"type\":"
    "\"filter\",\"hook\":\"prerouting\",\"prio\":-300,\"policy\":\"accept\"}}",
    "{\"chain\":{\"family\":\"inet\",\"table\":\"quilt\",\"name\":\"postrouting\",\"type\":\"nat\","
    "\"hook\":\"postrouting\",\"prio\":100,\"policy\":\"accept\"}}",
    "{\"rule\":{\"family\":\"inet\",\"table\":\"quilt\",\"chain\":\"prerouting\",\"expr\":["
    "{\"match\":{\"op\":\"==\",\"left\":{\"meta\":{\"key\":\"iifname\"}},\"right\":\"qv*\"}},"
    "{\"match\":{\"op\":\"!=\",\"left\":{\"meta\":{\"key\":\"nfproto\"}},\"right\":\"ipv4\"}},"
    "{\"counter\":null},{\"drop\":null}]}}",
    "{\"rule\":{\"family\":\"inet\",\"table\":\"quilt\",\"chain\":\"prerouting\",\"expr\":["
    "{\"match\":{\"op\":\"==\",\"left\":{\"meta\":{\"key\":\"iifname\"}},\"right\":\"qv*\"}},"
    "{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"udp\",\"field\":\"dport\"}},"
    "\"right\":4789}},{\"counter\":null},{\"drop\":null}]}}",
    "{\"rule\":{\"family\":\"inet\",\"table\":\"quilt\",\"chain\":\"prerouting\",\"expr\":["
    "{\"match\":{\"op\":\"==\",\"left\":{\"meta\":{\"key\":\"iifname\"}},\"right\":\"qv*\"}},"
    "{\"match\":{\"op\":\"==\",\"left\":{\"fib\":{\"result\":\"oif\",\"flags\":[\"saddr\",\"iif\"]}"
    "},\"right\":\"0\"}},{\"counter\":null},{\"drop\":null}]}}",
    "{\"rule\":{\"family\":\"inet\",\"table\":\"quilt\",\"chain\":\"prerouting\",\"expr\":["
    "{\"match\":{\"op\":\"==\",\"left\":{\"meta\":{\"key\":\"iifname\"}},\"right\":\"qv*\"}},"
    "{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"ip\",\"field\":\"saddr\"}},"
    "\"right\":\"0.0.0.0\"}},{\"counter\":null},{\"drop\":null}]}}",
    "{\"rule\":{\"family\":\"inet\",\"table\":\"quilt\",\"chain\":\"prerouting\",\"expr\":["
    "{\"match\":{\"op\":\"==\",\"left\":{\"fib\":{\"result\":\"type\",\"flags\":[\"daddr\"]}},"
    "\"right\":\"local\"}},"
    "{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"udp\",\"field\":\"dport\"}},"
    "\"right\":4789}},"
    "{\"match\":{\"op\":\"!=\",\"left\":{\"payload\":{\"protocol\":\"ip\",\"field\":\"saddr\"}},"
    "\"right\":\"@peers\"}},{\"counter\":null},{\"drop\":null}]}}",
};

static const char masquerade[] =
    "{\"rule\":{\"family\":\"inet\",\"table\":\"quilt\",\"chain\":\"postrouting\",\"expr\":["
    "{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"ip\",\"field\":\"saddr\"}},"
    "\"right\":{\"prefix\":{\"addr\":\"10.42.1.0\",\"len\":24}}}},"
    "{\"match\":{\"op\":\"!=\",\"left\":{\"payload\":{\"protocol\":\"ip\",\"field\":\"daddr\"}},"
    "\"right\":{\"prefix\":{\"addr\":\"10.42.0.0\",\"len\":16}}}},"
    "{\"match\":{\"op\":\"!=\",\"left\":{\"meta\":{\"key\":\"oifname\"}},\"right\":\"qv*\"}},"
    "{\"masquerade\":{\"flags\":\"fully-random\"}}]}}";

static void assert_ruleset(const struct firewall_spec *spec, const char *set, const char *last)
{
    AUTO_JSON json_t *ruleset = firewall_ruleset(spec);
    AUTO_FREE char *text = json_to_text(ruleset);
    AUTO_STRBUF struct strbuf want = {0};

    strbuf_adds(&want, "[{\"table\":{\"family\":\"inet\",\"name\":\"quilt\"}},");
    strbuf_adds(&want, set);
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        strbuf_addf(&want, ",%s", common[i]);
    if (last)
        strbuf_addf(&want, ",%s", last);
    strbuf_adds(&want, "]");
    assert_string_equal(text, want.data);
}

static void without_a_subnet_nothing_gets_in_and_nothing_is_rewritten(void **unused)
{
    const struct firewall_spec spec = {.cluster = net("10.42.0.0/16")};

    assert_ruleset(&spec,
                   "{\"set\":{\"family\":\"inet\",\"name\":\"peers\",\"table\":\"quilt\",\"type\":"
                   "\"ipv4_addr\"}}",
                   NULL);
}

static void a_node_with_peers_lets_them_in_and_masquerades_out_of_the_cluster(void **unused)
{
    const uint32_t peers[] = {addr("192.168.1.11"), addr("192.168.1.12")};
    const struct firewall_spec spec = {.subnet = net("10.42.1.0/24"),
                                       .cluster = net("10.42.0.0/16"),
                                       .peers = peers,
                                       .peer_count = 2};

    assert_ruleset(&spec,
                   "{\"set\":{\"family\":\"inet\",\"name\":\"peers\",\"table\":\"quilt\",\"type\":"
                   "\"ipv4_addr\",\"elem\":[\"192.168.1.11\",\"192.168.1.12\"]}}",
                   masquerade);
}

static void without_its_peers_a_table_is_that_of_a_node_alone(void **unused)
{
    const uint32_t peers[] = {addr("192.168.1.11")};
    struct firewall_spec spec = {.subnet = net("10.42.1.0/24"),
                                 .cluster = net("10.42.0.0/16"),
                                 .peers = peers,
                                 .peer_count = 1};
    AUTO_JSON json_t *with = firewall_ruleset(&spec), *bare = firewall_without_peers(with);
    AUTO_JSON json_t *alone = NULL;

    spec.peer_count = 0;
    alone = firewall_ruleset(&spec);
    assert_true(json_equal(bare, alone));
    assert_false(json_equal(with, alone));
}

static void peers_are_sorted_and_each_is_there_once(void **unused)
{
    uint32_t peers[] = {7, 3, 0, 7, 0xffffffff, 3};

    assert_int_equal(firewall_sort_peers(peers, ARRAY_LEN(peers)), 3);
    assert_int_equal(peers[0], 3);
    assert_int_equal(peers[1], 7);
    assert_int_equal(peers[2], 0xffffffff);
    assert_int_equal(firewall_sort_peers(peers, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_subnet_nothing_gets_in_and_nothing_is_rewritten),
        cmocka_unit_test(a_node_with_peers_lets_them_in_and_masquerades_out_of_the_cluster),
        cmocka_unit_test(without_its_peers_a_table_is_that_of_a_node_alone),
        cmocka_unit_test(peers_are_sorted_and_each_is_there_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
