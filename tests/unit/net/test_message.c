/* Messages that a kernel sent, read whole, cut anywhere, and with any byte changed. */
#include "lib/net/message.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/net/addr.h"
#include "lib/net/fdb.h"
#include "lib/net/link.h"
#include "lib/net/neigh.h"
#include "lib/net/netlink_event.h"
#include "lib/net/route.h"
#include "tests/unit/cmocka.h"

/* Recorded from Linux 6.18. */
static const char *const recorded[] = {
    "link-vxlan",   "link-veth",       "addr",         "neigh",       "fdb", "route-onlink",
    "route-metric", "route-multipath", "route-lookup", "error-words",
};

static struct nlmsghdr *load(const char *name)
{
    AUTO_FREE char *path = mem_printf("%s/%s", CORPUS_DIR, name);
    char *bytes = NULL;
    size_t n;

    if (file_read(path, 65536, &bytes, &n) < 0)
        fail_msg("%s", err_text());
    assert_int_equal(((struct nlmsghdr *)(void *)bytes)->nlmsg_len, n);
    return (struct nlmsghdr *)(void *)bytes;
}

static void a_vxlan_device_is_read(void **state)
{
    AUTO_FREE struct nlmsghdr *message = load("link-vxlan");
    struct link_info info;

    assert_true(link_parse(message, &info));
    assert_int_equal(info.ifindex, 100777);
    assert_string_equal(info.name, "vxlan100");
    assert_string_equal(info.kind, "vxlan");
    assert_string_equal(info.alias, "quilt:7f3a");
    assert_memory_equal(info.mac.bytes, "\x02\x51\x0a\x2a\x01\x00", 6);
    assert_int_equal(info.mtu_bytes, 1450);
    assert_true(info.is_up);
    assert_int_equal(info.peer_ifindex, 0);
    assert_int_equal(info.vxlan.vni, 100);
    assert_int_equal(info.vxlan.port, 4789);
    assert_int_equal(info.vxlan.local, 0xc0a80a0b);
    assert_int_equal(info.vxlan.remote, 0);
    assert_int_equal(info.vxlan.lower_ifindex, 0);
    assert_false(info.vxlan.is_learning);
    assert_false(info.vxlan.is_external);
}

static void a_veth_device_is_read(void **state)
{
    AUTO_FREE struct nlmsghdr *message = load("link-veth");
    struct link_info info;

    assert_true(link_parse(message, &info));
    assert_string_equal(info.name, "qv1");
    assert_string_equal(info.kind, "veth");
    assert_string_equal(info.alias, "");
    assert_int_equal(info.peer_ifindex, 7);
    assert_false(info.is_up);
}

static void an_address_is_read(void **state)
{
    AUTO_FREE struct nlmsghdr *message = load("addr");
    struct addr_entry entry;

    assert_true(addr_parse(message, &entry));
    assert_int_equal(entry.ifindex, 100777);
    assert_int_equal(entry.addr, 0x0a2a0100);
    assert_int_equal(entry.prefix_len, 32);
    assert_int_equal(entry.scope, RT_SCOPE_UNIVERSE);
}

static void a_neighbour_is_read(void **state)
{
    AUTO_FREE struct nlmsghdr *message = load("neigh");
    struct neigh_entry entry;
    struct fdb_entry other;

    assert_true(neigh_parse(message, &entry));
    assert_int_equal(entry.ifindex, 100777);
    assert_int_equal(entry.addr, 0x0a2a0200);
    assert_memory_equal(entry.mac.bytes, "\x02\x51\x0a\x2a\x02\x00", 6);
    assert_true(entry.is_permanent);
    assert_string_equal(neigh_state_word(entry.state), "PERMANENT");
    assert_false(neigh_is_silent(&entry));
    assert_true(entry.is_external);
    assert_int_equal(entry.protocol, 81);
    assert_false(fdb_parse(message, &other));
}

static void a_neighbour_that_nobody_answers_for_is_silent(void **state)
{
    assert_true(neigh_is_silent(&(struct neigh_entry){.state = 0x01}));
    assert_string_equal(neigh_state_word(0x01), "INCOMPLETE");
    assert_true(neigh_is_silent(&(struct neigh_entry){.state = 0x20}));
    assert_string_equal(neigh_state_word(0x20), "FAILED");
    assert_false(neigh_is_silent(&(struct neigh_entry){.state = 0x04}));
    assert_string_equal(neigh_state_word(0x04), "STALE");
    assert_false(neigh_is_silent(&(struct neigh_entry){0}));
    assert_string_equal(neigh_state_word(0), "NONE");
}

static void a_forwarding_entry_is_read(void **state)
{
    AUTO_FREE struct nlmsghdr *message = load("fdb");
    struct fdb_entry entry;
    struct neigh_entry other;

    assert_true(fdb_parse(message, &entry));
    assert_int_equal(entry.ifindex, 100777);
    assert_memory_equal(entry.mac.bytes, "\x02\x51\x0a\x2a\x02\x00", 6);
    assert_int_equal(entry.remote, 0xc0a80a0c);
    assert_true(entry.is_permanent);
    assert_true(entry.is_external);
    assert_int_equal(entry.port, 8472);
    assert_int_equal(entry.vni, 7);
    assert_false(neigh_parse(message, &other));
}

static void routes_are_read(void **state)
{
    static const struct {
        const char *name;
        struct route_entry want;
    } rows[] = {
        {"route-onlink",
         {.dst = {0x0a2a0200, 24},
          .gateway = 0x0a2a0200,
          .ifindex = 100777,
          .is_onlink = true,
          .protocol = 81,
          .type = RTN_UNICAST}},
        {"route-metric",
         {.dst = {0x0a2a0300, 24},
          .gateway = 0x0a2a0200,
          .ifindex = 100777,
          .is_onlink = true,
          .protocol = 81,
          .type = RTN_UNICAST,
          .metric = 5}},
        {"route-multipath",
         {.dst = {0x0a2a0400, 24},
          .gateway = 0x0a2a0200,
          .ifindex = 100777,
          .is_onlink = true,
          .protocol = RTPROT_STATIC,
          .type = RTN_UNICAST,
          .is_multipath = true}},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_FREE struct nlmsghdr *message = load(rows[i].name);
        struct route_entry have;

        assert_true(route_parse(message, &have));
        assert_true(ip4_prefix_equal(have.dst, rows[i].want.dst));
        assert_int_equal(have.gateway, rows[i].want.gateway);
        assert_int_equal(have.ifindex, rows[i].want.ifindex);
        assert_int_equal(have.is_onlink, rows[i].want.is_onlink);
        assert_int_equal(have.scope, rows[i].want.scope);
        assert_int_equal(have.protocol, rows[i].want.protocol);
        assert_int_equal(have.type, rows[i].want.type);
        assert_int_equal(have.metric, rows[i].want.metric);
        assert_int_equal(have.is_multipath, rows[i].want.is_multipath);
    }
}

static void a_way_out_is_read(void **state)
{
    AUTO_FREE struct nlmsghdr *message = load("route-lookup");
    struct route_path path;

    assert_true(route_path_parse(message, &path));
    assert_int_equal(path.ifindex, 100777);
    assert_int_equal(path.gateway, 0x0a2a0200);
    assert_int_equal(path.source, 0x0a2a0100);
    assert_int_equal(path.mtu_bytes, 1300);
    assert_false(path.is_local);
}

/* The answer to a lookup of the route itself is like a route in a listing. */
static void the_route_of_a_way_is_read(void **state)
{
    static const struct {
        const char *name;
        struct route_fib want;
    } rows[] = {
        {"route-onlink", {.ifindex = 100777, .gateway = 0x0a2a0200, .is_simple = true}},
        {"route-lookup",
         {.ifindex = 100777, .gateway = 0x0a2a0200, .mtu_bytes = 1300, .is_simple = true}},
        {"route-multipath", {.ifindex = 0}},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_FREE struct nlmsghdr *message = load(rows[i].name);
        struct route_fib have;

        assert_true(route_fib_parse(message, &have));
        assert_int_equal(have.ifindex, rows[i].want.ifindex);
        assert_int_equal(have.gateway, rows[i].want.gateway);
        assert_int_equal(have.mtu_bytes, rows[i].want.mtu_bytes);
        assert_int_equal(have.is_simple, rows[i].want.is_simple);
    }
}

static void an_error_has_the_kernels_words(void **state)
{
    AUTO_FREE struct nlmsghdr *message = load("error-words");
    struct nl_verdict verdict;

    assert_true(nl_verdict_parse(message, &verdict));
    assert_int_equal(verdict.result, -EINVAL);
    assert_int_equal(nl_verdict_fail(&verdict), -EINVAL);
    assert_string_equal(err_text(), "Invalid argument (Invalid prefix for given prefix length)");
}

static void an_error_that_libc_does_not_know_has_its_number(void **state)
{
    const struct nl_verdict verdict = {.result = -524};

    assert_int_equal(nl_verdict_fail(&verdict), -524);
    assert_string_equal(err_text(), "error 524");
}

static void errors_that_mean_gone_are_fine(void **state)
{
    static const struct {
        int r;
        int want;
    } rows[] = {{0, 0},           {-ENOENT, 0},      {-ESRCH, 0}, {-ENODEV, 0}, {-EADDRNOTAVAIL, 0},
                {-EPERM, -EPERM}, {-EINVAL, -EINVAL}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(nl_gone_is_fine(rows[i].r), rows[i].want);
}

/* All that reads messages; what comes out does not matter here, that it ends does. */
static void read_with_all(const struct nlmsghdr *message)
{
    struct nl_verdict verdict;
    struct link_info link;
    struct addr_entry addr;
    struct neigh_entry neigh;
    struct fdb_entry fdb;
    struct route_entry route;
    struct route_path path;
    struct route_fib fib;
    struct nl_event event;

    (void)nl_verdict_parse(message, &verdict);
    (void)link_parse(message, &link);
    (void)addr_parse(message, &addr);
    (void)neigh_parse(message, &neigh);
    (void)fdb_parse(message, &fdb);
    (void)route_parse(message, &route);
    (void)route_path_parse(message, &path);
    (void)route_fib_parse(message, &fib);
    (void)nl_event_parse(message, &event);
}

/* A copy of exactly n bytes, so that a sanitizer sees one byte too many. */
static struct nlmsghdr *cut(const struct nlmsghdr *message, size_t n)
{
    struct nlmsghdr *copy = mem_alloc(n);

    memcpy(copy, message, n);
    copy->nlmsg_len = (uint32_t)n;
    return copy;
}

static void a_message_may_end_anywhere(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(recorded); i++) {
        AUTO_FREE struct nlmsghdr *message = load(recorded[i]);

        for (size_t n = NLMSG_HDRLEN; n < message->nlmsg_len; n++) {
            AUTO_FREE struct nlmsghdr *copy = cut(message, n);

            read_with_all(copy);
        }
    }
}

static void a_message_may_hold_any_byte(void **state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x03, 0x7f, 0x80, 0xff};

    for (size_t i = 0; i < ARRAY_LEN(recorded); i++) {
        AUTO_FREE struct nlmsghdr *message = load(recorded[i]);

        for (size_t at = sizeof(uint32_t); at < message->nlmsg_len; at++) {
            AUTO_FREE struct nlmsghdr *copy = cut(message, message->nlmsg_len);

            for (size_t v = 0; v < ARRAY_LEN(values); v++) {
                ((uint8_t *)copy)[at] = values[v];
                read_with_all(copy);
            }
        }
    }
}

static void a_header_cut_short_is_no_message(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(recorded); i++) {
        AUTO_FREE struct nlmsghdr *message = load(recorded[i]);
        AUTO_FREE struct nlmsghdr *copy = cut(message, NLMSG_HDRLEN + 3);
        struct link_info link;
        struct route_entry route;
        struct route_fib fib;
        struct nl_verdict verdict;
        struct nl_event event;

        assert_false(link_parse(copy, &link));
        assert_false(route_parse(copy, &route));
        assert_false(route_fib_parse(copy, &fib));
        assert_false(nl_verdict_parse(copy, &verdict));
        assert_false(nl_event_parse(copy, &event));
    }
}

static void a_name_without_an_end_is_cut(void **state)
{
    union nl_request message = {0};
    struct nl_attrs attrs;
    char text[5];

    (void)nl_request_begin(&message.header, RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
    mnl_attr_put(&message.header, IFLA_IFNAME, 8, "abcdefgh");
    nl_attrs_parse(&message.header, sizeof(struct ifinfomsg), &attrs);
    nl_attr_text(&attrs, IFLA_IFNAME, text, sizeof text);
    assert_string_equal(text, "abcd");
    nl_attr_text(&attrs, IFLA_IFALIAS, text, sizeof text);
    assert_string_equal(text, "");
}

static void values_of_another_size_count_as_missing(void **state)
{
    union nl_request message = {0};
    struct nl_attrs attrs;
    struct mac mac;

    (void)nl_request_begin(&message.header, RTM_NEWLINK, 0, sizeof(struct ifinfomsg));
    mnl_attr_put_u8(&message.header, IFLA_MTU, 1);
    mnl_attr_put_u32(&message.header, IFLA_ADDRESS, 1);
    mnl_attr_put_u32(&message.header, IFLA_LINK, 0x80000001);
    mnl_attr_put_u32(&message.header, IFLA_OPERSTATE, 1);
    nl_attrs_parse(&message.header, sizeof(struct ifinfomsg), &attrs);
    assert_int_equal(nl_attr_u32(&attrs, IFLA_MTU, 7), 7);
    assert_int_equal(nl_attr_u16_be(&attrs, IFLA_MTU, 7), 7);
    assert_int_equal(nl_attr_u8(&attrs, IFLA_OPERSTATE, 7), 7);
    assert_int_equal(nl_attr_ip4(&attrs, IFLA_MTU), 0);
    assert_int_equal(nl_attr_ifindex(&attrs, IFLA_LINK), 0);
    assert_false(nl_attr_mac(&attrs, IFLA_ADDRESS, &mac));
}

static void notifications_say_what_and_where(void **state)
{
    static const struct {
        const char *name;
        uint16_t type;
        struct nl_event want;
    } rows[] = {
        {"link-vxlan", RTM_NEWLINK, {.type = NL_EVENT_LINK, .ifname = "vxlan100"}},
        {"link-vxlan",
         RTM_DELLINK,
         {.type = NL_EVENT_LINK, .is_removal = true, .ifname = "vxlan100"}},
        {"addr", RTM_DELADDR, {.type = NL_EVENT_ADDR, .is_removal = true}},
        {"neigh", RTM_NEWNEIGH, {.type = NL_EVENT_NEIGH}},
        {"fdb", RTM_DELNEIGH, {.type = NL_EVENT_NEIGH, .is_removal = true}},
        {"route-onlink",
         RTM_NEWROUTE,
         {.type = NL_EVENT_ROUTE, .protocol = 81, .dst = {0x0a2a0200, 24}}},
        {"route-onlink",
         RTM_DELROUTE,
         {.type = NL_EVENT_ROUTE, .is_removal = true, .protocol = 81, .dst = {0x0a2a0200, 24}}},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_FREE struct nlmsghdr *message = load(rows[i].name);
        struct nl_event event;

        message->nlmsg_type = rows[i].type;
        assert_true(nl_event_parse(message, &event));
        assert_int_equal(event.type, rows[i].want.type);
        assert_int_equal(event.is_removal, rows[i].want.is_removal);
        assert_int_equal(event.ifindex, 100777);
        assert_int_equal(event.protocol, rows[i].want.protocol);
        assert_true(ip4_prefix_equal(event.dst, rows[i].want.dst));
        assert_false(event.is_own);
        assert_string_equal(event.ifname, rows[i].want.ifname);
    }
}

static void a_policy_rule_that_goes_is_told(void **state)
{
    union nl_request message = {0};
    struct nl_event event;

    (void)nl_request_begin(&message.header, RTM_DELRULE, 0, sizeof(struct fib_rule_hdr));
    assert_true(nl_event_parse(&message.header, &event));
    assert_int_equal(event.type, NL_EVENT_RULE);
    assert_true(event.is_removal);
    (void)nl_request_begin(&message.header, RTM_DELRULE, 0, 4);
    assert_false(nl_event_parse(&message.header, &event));
}

static void other_notifications_are_nothing(void **state)
{
    union nl_request message = {0};
    struct nl_event event;

    (void)nl_request_begin(&message.header, RTM_NEWQDISC, 0, 64);
    assert_false(nl_event_parse(&message.header, &event));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vxlan_device_is_read),
        cmocka_unit_test(a_veth_device_is_read),
        cmocka_unit_test(an_address_is_read),
        cmocka_unit_test(a_neighbour_is_read),
        cmocka_unit_test(a_neighbour_that_nobody_answers_for_is_silent),
        cmocka_unit_test(a_forwarding_entry_is_read),
        cmocka_unit_test(routes_are_read),
        cmocka_unit_test(a_way_out_is_read),
        cmocka_unit_test(the_route_of_a_way_is_read),
        cmocka_unit_test(an_error_has_the_kernels_words),
        cmocka_unit_test(an_error_that_libc_does_not_know_has_its_number),
        cmocka_unit_test(errors_that_mean_gone_are_fine),
        cmocka_unit_test(a_message_may_end_anywhere),
        cmocka_unit_test(a_message_may_hold_any_byte),
        cmocka_unit_test(a_header_cut_short_is_no_message),
        cmocka_unit_test(a_name_without_an_end_is_cut),
        cmocka_unit_test(values_of_another_size_count_as_missing),
        cmocka_unit_test(notifications_say_what_and_where),
        cmocka_unit_test(a_policy_rule_that_goes_is_told),
        cmocka_unit_test(other_notifications_are_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
