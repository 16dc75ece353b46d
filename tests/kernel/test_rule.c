/* Routing rules as the kernel lists them, and what it makes of packets by them. */
#include "lib/net/rule.h"

#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/kernel/lab.h"

#define TARGET 0x0a2a0201

static void a_host_has_three_rules_that_nobody_added(void **state)
{
    AUTO_FREE struct rule_entry *rules = NULL;
    size_t count;

    lab_do("ip", "link", "set", "lo", "up");
    assert_ok(rule_dump(*state, &rules, &count));
    assert_int_equal(count, 3);
    assert_int_equal(rules[0].table, RT_TABLE_LOCAL);
    assert_int_equal(rules[2].priority, 32767);
    for (size_t i = 0; i < count; i++)
        assert_false(rule_is_added(&rules[i]));
}

static struct rule_entry only_rule(struct nl *nl)
{
    AUTO_FREE struct rule_entry *rules = NULL;
    struct rule_entry found = {0};
    size_t count, added = 0;

    assert_ok(rule_dump(nl, &rules, &count));
    for (size_t i = 0; i < count; i++)
        if (rule_is_added(&rules[i])) {
            found = rules[i];
            added++;
        }
    assert_int_equal(added, 1);
    return found;
}

static void a_rule_is_read_with_its_conditions(void **state)
{
    struct rule_entry rule;

    lab_do("ip", "rule", "add", "pref", "100", "not", "from", "10.42.1.0/24", "to", "10.42.0.0/16",
           "fwmark", "0x10/0xf0", "iif", "lo", "oif", "eth7", "ipproto", "udp", "dport",
           "4000-5000", "lookup", "7777");
    rule = only_rule(*state);
    assert_int_equal(rule.priority, 100);
    assert_int_equal(rule.action, FR_ACT_TO_TBL);
    assert_int_equal(rule.table, 7777);
    assert_true(rule.is_inverted);
    assert_true(ip4_prefix_equal(rule.from, (struct ip4_prefix){0x0a2a0100, 24}));
    assert_true(ip4_prefix_equal(rule.to, (struct ip4_prefix){0x0a2a0000, 16}));
    assert_int_equal(rule.mark, 0x10);
    assert_int_equal(rule.mark_mask, 0xf0);
    assert_string_equal(rule.in_device, "lo");
    assert_string_equal(rule.out_device, "eth7");
    assert_int_equal(rule.protocol, IPPROTO_UDP);
    assert_int_equal(rule.port_first, 4000);
    assert_int_equal(rule.port_last, 5000);
    assert_false(rule.is_special);
}

static void a_single_port_is_a_range_of_one(void **state)
{
    struct rule_entry rule;

    lab_do("ip", "rule", "add", "ipproto", "tcp", "dport", "4789", "goto", "32766");
    rule = only_rule(*state);
    assert_int_equal(rule.action, FR_ACT_GOTO);
    assert_int_equal(rule.goes_to, 32766);
    assert_int_equal(rule.port_first, 4789);
    assert_int_equal(rule.port_last, 4789);
    assert_false(rule.is_special);
}

static void what_is_not_read_makes_a_rule_special(void **state)
{
    static const char *const conditions[][2] = {
        {"uidrange", "5-6"}, {"sport", "7"}, {"tos", "0x10"}, {"tun_id", "9"}};

    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        lab_do("ip", "rule", "add", "pref", "100", conditions[i][0], conditions[i][1], "blackhole");
        assert_true(only_rule(*state).is_special);
        lab_do("ip", "rule", "del", "pref", "100");
    }
}

static void a_rule_that_swallows_is_told_by_its_error(void **state)
{
    static const struct {
        const char *action;
        uint8_t want;
        int error;
    } cases[] = {{"blackhole", FR_ACT_BLACKHOLE, EINVAL},
                 {"prohibit", FR_ACT_PROHIBIT, EACCES},
                 {"unreachable", FR_ACT_UNREACHABLE, ENETUNREACH}};

    lab_vxlan(*state);
    lab_do("ip", "route", "add", "10.42.2.0/24", "dev", "vxlan100");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        lab_do("ip", "rule", "add", "pref", "100", "to", "10.42.0.0/16", cases[i].action);
        assert_int_equal(only_rule(*state).action, cases[i].want);
        assert_int_equal(rule_ask(*state, &(struct rule_question){.to = TARGET}).error,
                         -cases[i].error);
        lab_do("ip", "rule", "del", "pref", "100");
    }
}

static void an_answer_has_the_table_and_the_device(void **state)
{
    struct rule_question question = {.to = TARGET};
    struct rule_answer answer;
    int overlay = lab_vxlan(*state);

    lab_do("ip", "link", "add", "d0", "type", "veth", "peer", "name", "p0");
    lab_do("ip", "link", "set", "d0", "up");
    lab_do("ip", "addr", "add", "198.51.100.1/24", "dev", "d0");
    lab_do("ip", "route", "add", "10.42.2.0/24", "dev", "vxlan100");
    lab_do("ip", "route", "add", "default", "dev", "d0", "table", "7777");
    answer = rule_ask(*state, &question);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.ifindex, overlay);
    assert_int_equal(answer.table, RT_TABLE_MAIN);
    lab_do("ip", "rule", "add", "pref", "100", "ipproto", "udp", "dport", "4789", "lookup", "7777");
    assert_int_equal(rule_ask(*state, &question).table, RT_TABLE_MAIN);
    question = (struct rule_question){.to = TARGET, .protocol = IPPROTO_UDP, .port = 4789};
    answer = rule_ask(*state, &question);
    assert_int_equal(answer.ifindex, lab_ifindex(*state, "d0"));
    assert_int_equal(answer.table, 7777);
}

static void a_packet_that_comes_by_a_device_is_asked_for_as_such(void **state)
{
    struct rule_question question = {.from = 0xc6336409, .to = TARGET};

    lab_vxlan(*state);
    lab_do("ip", "link", "add", "d0", "type", "veth", "peer", "name", "p0");
    lab_do("ip", "link", "set", "d0", "up");
    lab_do("ip", "addr", "add", "198.51.100.1/24", "dev", "d0");
    lab_do("ip", "route", "add", "10.42.2.0/24", "dev", "vxlan100");
    lab_do("sysctl", "-qw", "net.ipv4.ip_forward=1");
    lab_do("ip", "rule", "add", "pref", "100", "iif", "d0", "prohibit");
    question.in_ifindex = lab_ifindex(*state, "vxlan100");
    assert_int_equal(rule_ask(*state, &question).error, 0);
    question.in_ifindex = lab_ifindex(*state, "d0");
    assert_int_equal(rule_ask(*state, &question).error, -EACCES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB_TEST(a_host_has_three_rules_that_nobody_added),
        LAB_TEST(a_rule_is_read_with_its_conditions),
        LAB_TEST(a_single_port_is_a_range_of_one),
        LAB_TEST(what_is_not_read_makes_a_rule_special),
        LAB_TEST(a_rule_that_swallows_is_told_by_its_error),
        LAB_TEST(an_answer_has_the_table_and_the_device),
        LAB_TEST(a_packet_that_comes_by_a_device_is_asked_for_as_such),
    };

    lab_require();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
