/* The doctor on the ways to the peers, and on firewalls across them. */
#include "tests/unit/cli/doctor_rows.h"

#include <string.h>

#define NAMED_CHAIN(name, hook, policy)                                   \
    "{\"chain\":{\"family\":\"ip\",\"table\":\"filter\",\"name\":\"" name \
    "\",\"type\":\"filter\","                                             \
    "\"hook\":\"" hook "\",\"prio\":0,\"policy\":\"" policy "\"}}"
#define RULE_OF(name, expr)                                                                     \
    ",{\"rule\":{\"family\":\"ip\",\"table\":\"filter\",\"chain\":\"" name "\",\"expr\":[" expr \
    "]}}"
#define CHAIN(hook, policy) NAMED_CHAIN("C", hook, policy)
#define RULE(expr) RULE_OF("C", expr)
#define CALLED_CHAIN ",{\"chain\":{\"family\":\"ip\",\"table\":\"filter\",\"name\":\"D\"}}"
#define ACCEPT "{\"counter\":null},{\"accept\":null}"
#define MATCH(left, right) "{\"match\":{\"op\":\"==\",\"left\":" left ",\"right\":" right "}},"
#define DPORT "{\"payload\":{\"protocol\":\"udp\",\"field\":\"dport\"}}"
#define SADDR "{\"payload\":{\"protocol\":\"ip\",\"field\":\"saddr\"}}"
#define ICMP_TYPE "{\"payload\":{\"protocol\":\"icmp\",\"field\":\"type\"}}"
#define LETS_VXLAN_IN CHAIN("input", "drop") RULE(MATCH(DPORT, "4789") ACCEPT)
#define IIFNAME "{\"meta\":{\"key\":\"iifname\"}}"

#define LIMITED "{\"limit\":{\"rate\":9,\"per\":\"second\",\"inv\":true}},"

#define ANSWERS UNTRIED, .answers_ping = true, .overlay = {100, 100}, .is_size_tried = true
#define LARGE_TOO .small = {5, 5}, .large = {5, 5}, .largest_bytes = 1450
#define LOSES(of_overlay, of_host, overlay_window, host_window)          \
    UNTRIED, .answers_ping = true, .overlay = {100, 100 - (of_overlay)}, \
             .host = {100, 100 - (of_host)}, .is_size_tried = true,      \
             .overlay_window_percent = overlay_window, .host_window_percent = host_window

static const struct doctor_row rows[] = {
    {.causes = "filters-gone", .has_no_filters = true},
    {.causes = "", .has_no_filters = true, .is_firewall_unknown = true},
    {.causes = "", .agent = "{\"node_id\":\"id\",\"dataplane\":\"none\"}", .has_no_filters = true},
    {.causes = "", .runtime = "{\"subnet\":\"\"}", .has_no_filters = true}, /* it has left */
    /* Forwarding: a policy that drops, and what would let us pass. */
    {.causes = "forward-policy-drop", .firewall = "[" CHAIN("forward", "drop") "]"},
    {.causes = "", .firewall = "[" CHAIN("forward", "accept") "]"},
    {.causes = "", .firewall = "[" CHAIN("forward", "drop") RULE(ACCEPT) "]"},
    {.causes = "",
     .firewall = "[" CHAIN("forward", "drop") RULE(MATCH(IIFNAME, "\"vxlan100\"") ACCEPT) "]"},
    {.causes = "",
     .firewall = "[" CHAIN("forward", "drop")
         RULE(MATCH(SADDR, "{\"prefix\":{\"addr\":\"10.0.0.0\",\"len\":8}}") ACCEPT) "]"},
    {.causes = "forward-policy-drop",
     .firewall = "[" CHAIN("forward", "drop")
         RULE(MATCH(SADDR, "{\"prefix\":{\"addr\":\"10.42.1.0\",\"len\":24}}") ACCEPT) "]"},
    {.causes = "forward-policy-drop",
     .firewall = "[" CHAIN("forward", "drop") RULE(MATCH(IIFNAME, "\"docker0\"") ACCEPT) "]"},
    /* A last rule does as a policy does; one that asks for something does not. */
    {.causes = "forward-policy-drop",
     .firewall = "[" CHAIN("forward", "accept") RULE("{\"counter\":null},{\"reject\":null}") "]"},
    {.causes = "", .firewall = "[" CHAIN("forward", "accept") RULE(LIMITED "{\"drop\":null}") "]"},
    {.causes = "",
     .firewall =
         "[" CHAIN("forward", "accept") RULE(MATCH(IIFNAME, "\"docker0\"") "{\"drop\":null}") "]"},
    {.causes = "forward-policy-drop",
     .firewall =
         "[" CHAIN("forward", "accept") RULE(MATCH(IIFNAME, "\"qv*\"") "{\"drop\":null}") "]"},
    {.causes = "",
     .firewall = "[" CHAIN("forward", "accept")
         RULE(MATCH(IIFNAME, "\"qv*\"") MATCH(DPORT, "53") "{\"drop\":null}") "]"},
    {.causes = "", /* as firewalld's trusted zone */
     .firewall = "[" CHAIN("forward", "accept") RULE("{\"reject\":null}") CALLED_CHAIN RULE_OF(
         "D", ACCEPT) RULE(MATCH(IIFNAME, "\"vxlan100\"") "{\"goto\":{\"target\":\"D\"}}") "]"},
    {.causes = "forward-policy-drop",
     .firewall = "[" CHAIN("forward", "accept") RULE("{\"reject\":null}")
         CALLED_CHAIN RULE(MATCH(IIFNAME, "\"vxlan100\"") "{\"goto\":{\"target\":\"D\"}}") "]"},
    {.causes = "vxlan-dropped-here",
     .path = {SILENT, HOST_ANSWERS, .is_heard = true},
     .firewall = "[" CHAIN("input", "accept") RULE("{\"reject\":null}") "]"},
    /* A rule at another hook of the same table lets nothing pass here; one in a chain that is
     * jumped to could. */
    {.causes = "forward-policy-drop",
     .firewall = "[" CHAIN("forward", "drop") "," NAMED_CHAIN("I", "input", "accept")
         RULE_OF("I", MATCH(IIFNAME, "\"vxlan100\"") ACCEPT) "]"},
    {.causes = "",
     .firewall = "[" CHAIN("forward", "drop")
         CALLED_CHAIN RULE_OF("D", MATCH(IIFNAME, "\"vxlan100\"") ACCEPT) "]"},
    {.causes = "", /* as without it: VXLAN is not let in, and yet everything passes */
     .firewall = "[" CHAIN("input", "drop") "," NAMED_CHAIN("O", "output", "accept")
         RULE_OF("O", MATCH(DPORT, "4789") ACCEPT) "]"},
    /* The ways. */
    {.causes = "peer-unreachable", .path = {NAMED}},
    {.causes = "vxlan-lost", .path = {SILENT, HOST_ANSWERS}},
    {.causes = "vxlan-dropped-here", .path = {SILENT, HOST_ANSWERS, .is_heard = true}},
    /* A rule for what comes in explains only what was heard. */
    {.causes = "vxlan-lost",
     .path = {SILENT, HOST_ANSWERS},
     .firewall = "[" CHAIN("input", "accept") RULE(MATCH(DPORT, "4789") "{\"drop\":null}") "]"},
    {.causes = "vxlan-dropped-here",
     .path = {SILENT, HOST_ANSWERS},
     .firewall = "[" CHAIN("output", "accept")
         RULE(MATCH(DPORT, "{\"range\":[4000,5000]}") "{\"reject\":null}") "]"},
    {.causes = "", .firewall = "[" CHAIN("input", "drop") "]"}, /* and yet everything passes */
    /* A firewall that lets VXLAN in; a ping out of it, only if a rule could be for it. */
    {.causes = "pings-dropped-here", .firewall = "[" LETS_VXLAN_IN "]"},
    {.causes = "pings-dropped-here",
     .path = {SILENT, HOST_ANSWERS},
     .firewall = "[" LETS_VXLAN_IN "]"},
    {.causes = "vxlan-dropped-here",
     .path = {SILENT, HOST_ANSWERS, .is_heard = true},
     .firewall = "[" LETS_VXLAN_IN RULE(ACCEPT) "]"},
    {.causes = "pings-dropped-here",
     .firewall = "[" LETS_VXLAN_IN RULE(MATCH(IIFNAME, "\"lo\"") ACCEPT)
         RULE(MATCH("{\"ct\":{\"key\":\"state\"}}", "[\"established\",\"related\"]") ACCEPT)
             RULE(MATCH(SADDR, "{\"prefix\":{\"addr\":\"192.168.1.0\",\"len\":24}}")
                      MATCH(ICMP_TYPE, "\"echo-request\"") ACCEPT)
                 RULE("{\"vmap\":{\"key\":" IIFNAME
                      ",\"data\":{\"set\":[[\"lo\",{\"accept\":null}]]}}}") "]"},
    {.causes = "",
     .firewall = "[" LETS_VXLAN_IN RULE(MATCH(IIFNAME, "\"vxlan*\"")
                                            MATCH(ICMP_TYPE, "\"echo-request\"") ACCEPT) "]"},
    {.causes = "",
     .firewall = "[" LETS_VXLAN_IN RULE(MATCH("{\"meta\":{\"key\":\"l4proto\"}}", "1") ACCEPT) "]"},
    {.causes = "pings-dropped-here",
     .firewall = "[" LETS_VXLAN_IN RULE(MATCH("{\"meta\":{\"key\":\"l4proto\"}}", "6") ACCEPT) "]"},
    {.causes = "",
     .firewall = "[" LETS_VXLAN_IN RULE(MATCH(SADDR, "{\"set\":[\"10.42.2.0\"]}") ACCEPT) "]"},
    {.causes = "", .firewall = "[" LETS_VXLAN_IN RULE(MATCH(SADDR, "\"@peers\"") ACCEPT) "]"},
    {.causes = "rp-filter",
     .path = {NAMED, .is_heard = true},
     .is_strict = true,
     .reverse_path_drops = 3},
    {.causes = "", .is_strict = true, .reverse_path_drops = 3},
    {.causes = "mtu-black-hole",
     .path = {ANSWERS, .small = {5, 5}, .large = {5, 0}, .largest_bytes = 1400, .tcp = {1, 1}}},
    {.causes = "checksum-offload", .path = {ANSWERS, LARGE_TOO, .tcp = {5, 0}, .summed = {5, 5}}},
    /* A firewall over there that refuses TCP says nothing of checksums. */
    {.causes = "", .path = {ANSWERS, LARGE_TOO, .tcp = {5, 0}, .summed = {5, 0}}},
    /* Nor does what is lost now and then, of either kind; and nothing of sizes. */
    {.causes = "", .path = {ANSWERS, LARGE_TOO, .tcp = {5, 0}, .summed = {5, 4}}},
    {.causes = "", .path = {ANSWERS, LARGE_TOO, .tcp = {5, 1}, .summed = {5, 5}}},
    {.causes = "", .path = {ANSWERS, LARGE_TOO, .tcp = {1, 0}, .summed = {1, 1}}},
    {.causes = "",
     .path = {ANSWERS, .small = {5, 5}, .large = {5, 1}, .largest_bytes = 1400, .tcp = {1, 1}}},
    {.causes = "",
     .path = {ANSWERS, .small = {5, 4}, .large = {5, 0}, .largest_bytes = 1400, .tcp = {1, 1}}},
    /* Lost now and then: to the doctor and to the agent. */
    {.causes = "packet-loss", .path = {LOSES(3, 3, 1, 1), LARGE_TOO, .tcp = {1, 1}}},
    {.causes = "packet-loss", .path = {LOSES(99, 0, 98, 0), LARGE_TOO, .tcp = {1, 1}}},
    {.causes = "packet-loss",
     .path = {LOSES(40, 40, FACTS_UNKNOWN, FACTS_UNKNOWN), LARGE_TOO, .tcp = {1, 1}}},
    {.causes = "", .path = {LOSES(2, 2, 9, 9), LARGE_TOO, .tcp = {1, 1}}},
    {.causes = "", .path = {LOSES(0, 0, 40, 40), LARGE_TOO, .tcp = {1, 1}}},
    {.causes = "", .path = {LOSES(40, 40, 0, 0), LARGE_TOO, .tcp = {1, 1}}},
    /* A host that is silent to all pings says nothing of what is lost below. */
    {.causes = "packet-loss", .path = {LOSES(40, 100, 40, 40), LARGE_TOO, .tcp = {1, 1}}},
    /* None of a hundred is no loss now and then. */
    {.causes = "vxlan-lost", .path = {SILENT, HOST_ANSWERS, .overlay_window_percent = 100}},
    {.causes = "vxlan-lost packet-loss",
     .path = {SILENT, .host = {100, 60}, .overlay_window_percent = 100, .host_window_percent = 40}},
    {.causes = "checksum-errors", .checksum_errors = 1},
    /* What was not looked at is told, and nothing is concluded from it. */
    {.causes = "not-tried", .blind = "the firewall was not looked at"},
    {.causes = "told not-tried",
     .agent = "{\"node_id\":\"id\",\"problems\":[\"a\"]}",
     .blind = "the firewall was not looked at"},
    {.causes = "not-tried", .path = {UNTRIED}, .blind = "the hosts of silent peers"},
    {.causes = "not-tried",
     .path = {UNTRIED, .answers_ping = true, .overlay = {100, 100}, .tcp = {1, 1}},
     .blind = "large packets"},
    {.causes = "not-tried", .path = {ANSWERS, LARGE_TOO}, .blind = "TCP"},
    {.causes = "not-tried",
     .has_no_links = true,
     .port_owner = "x (pid 1)",
     .route = {.dst = {0x0a2a0100, 24}, .ifindex = 3, .type = RTN_UNICAST},
     .blind = "the devices"},
};

static void each_cause_is_named_and_nothing_else(void **state)
{
    assert_causes(rows, ARRAY_LEN(rows));
}

static void loss_is_told_with_its_leg_its_peers_and_how_much(void **state)
{
    struct path paths[] = {
        {LOSES(10, 12, 9, 14)},
        {.hostname = "node3",
         .host_ip = 0xc0a8010c,
         .answers_ping = true,
         .is_examined = true,
         .overlay = {100, 58},
         .host = {100, 61},
         .overlay_window_percent = 39,
         .host_window_percent = FACTS_UNKNOWN},
        {.hostname = "node4",
         .host_ip = 0xc0a8010d,
         .answers_ping = true,
         .is_examined = true,
         .overlay = {100, 90},
         .host = {100, 100},
         .overlay_window_percent = 11},
    };
    AUTO_JSON json_t *agent = doctor_parse("{\"host_ip\":\"192.168.1.10\"}");
    struct facts f = {.agent = agent,
                      .underlay_device = (char *)"eth0",
                      .paths = paths,
                      .path_count = ARRAY_LEN(paths)};
    CLEANUP(findings_deinit) struct findings found = {0};

    check_loss(&f, &found);
    assert_int_equal(found.count, 2);
    assert_string_equal(found.items[0].what,
                        "the underlay, and so the overlay, loses packets (there or back): 12 % to "
                        "node2 (192.168.1.11), 39 % to node3 (192.168.1.12)");
    assert_string_equal(found.items[0].shows,
                        "node3: of 100 pings over the overlay 58 were answered, of 100 of the host "
                        "61; lost of the agent's latest probes: over the overlay 39 %, of the host "
                        "not known");
    assert_non_null(
        strstr(found.items[0].mend, "ping -c 200 -i 0.05 -I 192.168.1.10 192.168.1.12"));
    assert_non_null(strstr(found.items[0].mend, "ethtool -S eth0"));
    assert_string_equal(found.items[1].what,
                        "the overlay (UDP 4789), and not the underlay, loses packets (there or "
                        "back): 10 % to node4 (192.168.1.13)");
    assert_non_null(strstr(found.items[1].mend, "what limits UDP 4789"));
}

#define HOP .is_known = true, .ifindex = 2, .has_hop = true

static void a_host_that_is_not_reached_is_mended_by_what_this_side_of_the_way_says(void **state)
{
    static const struct {
        struct way way;
        struct route_entry route;
        const char *shows, *mend;
    } cases[] = {
        {.shows = "neither pings of the host itself", .mend = "see to the host, its cable"},
        {.way = {HOP}, .shows = "neither", .mend = "see to the host"},
        {.way = {.is_known = true, .error = -ENETUNREACH},
         .shows = "ip route get 192.168.1.11 finds none",
         .mend = "a route is missing"},
        {.way = {.is_known = true, .error = -EINVAL},
         .route = {.dst = {0xc0a80100, 24}, .type = RTN_BLACKHOLE},
         .shows = "ip route get 192.168.1.11 finds none: blackhole 192.168.1.0/24 swallows it",
         .mend = "if nothing needs it: ip route del blackhole 192.168.1.0/24"},
        {.way = {HOP, .is_hop_silent = true},
         .shows = "nobody answers ARP for 192.168.1.11 on eth0",
         .mend = "see to the host"},
        {.way = {HOP, .gateway = 0xc0a80163, .is_hop_silent = true},
         .shows = "nobody answers ARP for 192.168.1.99 on eth0, by which",
         .mend = "is 192.168.1.99 the right way to it?"},
        {.way = {HOP,
                 .hop = {.addr = 0xc0a8010b, .mac = {{2, 0, 0, 0, 0, 0x99}}, .is_permanent = true}},
         .shows = "was told by hand that 192.168.1.11 is 02:00:00:00:00:99 on eth0",
         .mend = "ip neigh del 192.168.1.11 dev eth0"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(findings_deinit) struct findings findings = {0};
        struct link_info link = {.ifindex = 2, .name = "eth0"};
        struct route_entry route = cases[i].route;
        struct path path = {NAMED, .way = cases[i].way};
        const struct facts f = {.links = &link,
                                .link_count = 1,
                                .routes = &route,
                                .route_count = 1,
                                .paths = &path,
                                .path_count = 1};

        check_reach(&f, &findings);
        assert_int_equal(findings.count, 1);
        assert_string_equal(findings.items[0].cause, "peer-unreachable");
        assert_non_null(strstr(findings.items[0].shows, cases[i].shows));
        assert_non_null(strstr(findings.items[0].mend, cases[i].mend));
    }
}

static void a_firewall_is_mended_by_its_own_program_for_both_kinds_of_our_devices(void **state)
{
    static const struct {
        const char *firewall, *mend;
    } cases[] = {
        {"[" CHAIN("forward",
                   "drop") ",{\"chain\":{\"family\":\"ip\",\"table\":\"filter\",\"name\":"
                           "\"DOCKER-USER\"}}]",
         "iptables -I DOCKER-USER -i vxlan100 -j ACCEPT; iptables -I DOCKER-USER -i qv+ -j ACCEPT; "
         "iptables -I DOCKER-USER -o vxlan100 -j ACCEPT; iptables -I DOCKER-USER -o qv+ -j ACCEPT"},
        {"[{\"chain\":{\"family\":\"inet\",\"table\":\"firewalld\",\"name\":\"C\",\"hook\":"
         "\"forward\",\"policy\":\"drop\"}}]",
         "firewall-cmd --permanent --zone=trusted --add-source=10.42.0.0/16; firewall-cmd "
         "--reload"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_JSON json_t *agent = doctor_parse(AGENT);
        AUTO_JSON json_t *firewall = doctor_parse(cases[i].firewall);
        CLEANUP(findings_deinit) struct findings findings = {0};
        const struct facts f = {.agent = agent, .firewall = firewall, .has_filters = true};

        check_firewall(&f, &findings);
        assert_int_equal(findings.count, 1);
        assert_string_equal(findings.items[0].mend, cases[i].mend);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cause_is_named_and_nothing_else),
        cmocka_unit_test(loss_is_told_with_its_leg_its_peers_and_how_much),
        cmocka_unit_test(a_host_that_is_not_reached_is_mended_by_what_this_side_of_the_way_says),
        cmocka_unit_test(a_firewall_is_mended_by_its_own_program_for_both_kinds_of_our_devices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
