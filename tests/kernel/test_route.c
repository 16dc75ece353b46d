/* Routes: ours in our form, others' never touched, and the way out. */
#include "lib/net/route.h"

#include <sched.h>
#include <string.h>

#include "tests/kernel/lab.h"

/* 10.42.N.0/24 by way of its VTEP. */
static struct route_entry peer_route(int ifindex, uint32_t n)
{
    uint32_t addr = 0x0a2a0000 + (n << 8);

    return (struct route_entry){
        .dst = {addr, 24}, .gateway = addr, .ifindex = ifindex, .is_onlink = true};
}

static void assert_shown(const char *want)
{
    AUTO_FREE char *shown = lab_run("ip", "route", "show", NULL);

    assert_string_equal(shown, want);
}

static void a_fresh_namespace_has_no_routes(void **state)
{
    AUTO_FREE struct route_entry *entries = NULL;
    struct nl *nl = NULL;
    size_t count;

    assert_ok(route_dump(*state, 0, 0, &entries, &count));
    assert_int_equal(count, 0);
    assert_ok(route_dump(*state, 0, 4711, &entries, &count));
    assert_int_equal(count, 0);
    /* Not even the tables, while the loopback is down. */
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    assert_ok(nl_open(&nl));
    assert_ok(route_dump(nl, 81, 0, &entries, &count));
    assert_int_equal(count, 0);
    nl_close(nl);
}

static void a_route_to_a_peer_has_our_form(void **state)
{
    AUTO_FREE struct route_entry *entries = NULL;
    struct route_entry entry = peer_route(lab_vxlan(*state), 2);
    size_t count;

    assert_ok(route_replace(*state, &entry));
    assert_ok(route_replace(*state, &entry));
    assert_shown("10.42.2.0/24 via 10.42.2.0 dev vxlan100 proto 81 onlink \n");
    assert_ok(route_dump(*state, 81, entry.ifindex, &entries, &count));
    assert_int_equal(count, 1);
    assert_true(ip4_prefix_equal(entries[0].dst, entry.dst));
    assert_int_equal(entries[0].gateway, entry.gateway);
    assert_int_equal(entries[0].ifindex, entry.ifindex);
    assert_true(entries[0].is_onlink);
    assert_int_equal(entries[0].scope, RT_SCOPE_UNIVERSE);
    assert_int_equal(entries[0].protocol, 81);
    assert_int_equal(entries[0].type, RTN_UNICAST);
    assert_int_equal(entries[0].metric, 0);
    assert_false(entries[0].is_multipath);
    assert_ok(route_delete(*state, &entry));
    assert_ok(route_delete(*state, &entry));
    assert_shown("");
}

static void a_route_without_gateway_is_a_link_route(void **state)
{
    struct route_entry entry = {
        .dst = {0x0a2a0105, 32}, .ifindex = lab_vxlan(*state), .scope = RT_SCOPE_LINK};

    assert_ok(route_replace(*state, &entry));
    assert_shown("10.42.1.5 dev vxlan100 proto 81 scope link \n");
    assert_ok(route_delete(*state, &entry));
    assert_shown("");
}

static void replacing_changes_the_way_in_place(void **state)
{
    struct route_entry entry = peer_route(lab_vxlan(*state), 2);

    assert_ok(route_replace(*state, &entry));
    entry.gateway = 0x0a2a0300;
    assert_ok(route_replace(*state, &entry));
    assert_shown("10.42.2.0/24 via 10.42.3.0 dev vxlan100 proto 81 onlink \n");
    entry.scope = 40; /* of no meaning to the kernel */
    assert_ok(route_replace(*state, &entry));
    assert_shown("10.42.2.0/24 via 10.42.3.0 dev vxlan100 proto 81 scope 40 onlink \n");
    entry.gateway = 0;
    entry.scope = RT_SCOPE_LINK;
    assert_ok(route_replace(*state, &entry));
    assert_shown("10.42.2.0/24 dev vxlan100 proto 81 scope link \n");
}

static void a_route_has_the_mtu_that_it_was_given(void **state)
{
    struct route_entry entry = peer_route(lab_vxlan(*state), 2), found;

    entry.mtu_bytes = 1350;
    assert_ok(route_replace(*state, &entry));
    assert_shown("10.42.2.0/24 via 10.42.2.0 dev vxlan100 proto 81 onlink mtu 1350 \n");
    assert_ok(route_find(*state, entry.dst, &found));
    assert_int_equal(found.mtu_bytes, 1350);
    entry.mtu_bytes = 0;
    assert_ok(route_replace(*state, &entry));
    assert_shown("10.42.2.0/24 via 10.42.2.0 dev vxlan100 proto 81 onlink \n");
}

static void deleting_takes_only_what_is_ours(void **state)
{
    AUTO_FREE char *before = NULL;
    struct route_entry entry = peer_route(lab_vxlan(*state), 2);

    lab_do("ip", "route", "add", "10.42.2.0/24", "dev", "vxlan100", "proto", "static");
    lab_do("ip", "route", "add", "10.42.2.0/24", "dev", "vxlan100", "metric", "7", "proto", "bird");
    lab_do("ip", "route", "add", "10.42.2.0/25", "dev", "vxlan100", "proto", "81");
    before = lab_run("ip", "route", "show", NULL);
    assert_ok(route_delete(*state, &entry));
    assert_shown(before);
}

static void all_routes_to_a_destination_show_whoever_made_them(void **state)
{
    AUTO_FREE struct route_entry *entries = NULL;
    struct route_entry entry = peer_route(lab_vxlan(*state), 2);
    size_t count;

    assert_ok(route_replace(*state, &entry));
    lab_do("ip", "route", "add", "10.42.2.0/24", "dev", "vxlan100", "metric", "7", "proto", "bird");
    lab_do("ip", "route", "add", "unreachable", "10.42.2.0/24", "metric", "9");
    lab_do("ip", "route", "add", "10.42.2.0/25", "dev", "vxlan100");
    lab_do("ip", "route", "add", "10.42.2.0/24", "dev", "vxlan100", "table", "7");
    assert_ok(route_get_exact(*state, entry.dst, &entries, &count));
    assert_int_equal(count, 3);
    assert_int_equal(entries[0].protocol, 81);
    assert_int_equal(entries[1].protocol, 12);
    assert_int_equal(entries[1].metric, 7);
    assert_int_equal(entries[2].type, RTN_UNREACHABLE);
    assert_int_equal(entries[2].ifindex, 0);
}

static void a_dump_keeps_to_protocol_and_device(void **state)
{
    AUTO_FREE struct route_entry *entries = NULL;
    struct route_entry entry = peer_route(lab_vxlan(*state), 2);
    size_t count;

    lab_do("ip", "link", "add", "d0", "type", "veth", "peer", "name", "p0");
    lab_do("ip", "link", "set", "d0", "up");
    assert_ok(route_replace(*state, &entry));
    lab_do("ip", "route", "add", "10.42.3.0/24", "dev", "vxlan100", "proto", "static");
    lab_do("ip", "route", "add", "10.42.4.0/24", "dev", "d0", "proto", "81");
    assert_ok(route_dump(*state, 81, entry.ifindex, &entries, &count));
    assert_int_equal(count, 1);
    free(TAKE_PTR(entries));
    assert_ok(route_dump(*state, 81, 0, &entries, &count));
    assert_int_equal(count, 2);
    free(TAKE_PTR(entries));
    assert_ok(route_dump(*state, 0, 0, &entries, &count));
    assert_int_equal(count, 3);
}

static void several_next_hops_are_told_apart_from_one(void **state)
{
    AUTO_FREE struct route_entry *entries = NULL;
    int ifindex = lab_vxlan(*state);
    size_t count;

    lab_do("ip", "route", "add", "10.42.2.0/24", "proto", "81", "nexthop", "via", "10.42.2.0",
           "dev", "vxlan100", "onlink", "nexthop", "via", "10.42.3.0", "dev", "vxlan100", "onlink");
    assert_ok(route_get_exact(*state, (struct ip4_prefix){0x0a2a0200, 24}, &entries, &count));
    assert_int_equal(count, 1);
    assert_true(entries[0].is_multipath);
    assert_int_equal(entries[0].ifindex, ifindex);
    assert_int_equal(entries[0].gateway, 0x0a2a0200);
}

static void a_lookup_finds_device_source_and_mtu(void **state)
{
    struct route_path path;

    lab_do("ip", "link", "add", "d0", "mtu", "1500", "type", "veth", "peer", "name", "p0");
    lab_do("ip", "link", "set", "d0", "up");
    lab_do("ip", "addr", "add", "198.51.100.1/24", "dev", "d0");
    lab_do("ip", "route", "add", "203.0.113.0/24", "via", "198.51.100.9", "mtu", "1280");
    lab_do("ip", "route", "add", "192.0.2.0/24", "via", "198.51.100.9", "mtu", "9000");
    assert_ok(route_lookup(*state, 0xc6336402, &path));
    assert_int_equal(path.ifindex, lab_ifindex(*state, "d0"));
    assert_int_equal(path.gateway, 0);
    assert_int_equal(path.source, 0xc6336401);
    assert_int_equal(path.mtu_bytes, 1500);
    assert_false(path.is_local);
    assert_ok(route_lookup(*state, 0xcb007101, &path));
    assert_int_equal(path.gateway, 0xc6336409);
    assert_int_equal(path.mtu_bytes, 1280);
    assert_ok(route_lookup(*state, 0xc0000201, &path));
    assert_int_equal(path.mtu_bytes, 1500);
    assert_ok(route_lookup(*state, 0xc6336401, &path));
    assert_true(path.is_local);
}

static void no_way_is_enetunreach_whatever_the_reason(void **state)
{
    static const char *const types[] = {"unreachable", "prohibit", "blackhole"};
    struct route_path path;

    assert_error(route_lookup(*state, 0x08080808, &path), ENETUNREACH);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        lab_do("ip", "route", "replace", types[i], "8.8.8.8");
        assert_error(route_lookup(*state, 0x08080808, &path), ENETUNREACH);
        assert_non_null(strstr(err_text(), "look up the route to 8.8.8.8: "));
    }
}

static void the_kernels_words_are_part_of_an_error(void **state)
{
    struct route_entry entry = {.dst = {0x0a2a0201, 24}, .ifindex = lab_vxlan(*state)};

    assert_error(route_replace(*state, &entry), EINVAL);
    assert_non_null(
        strstr(err_text(), "Invalid argument (Invalid prefix for given prefix length)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB_TEST(a_fresh_namespace_has_no_routes),
        LAB_TEST(a_route_to_a_peer_has_our_form),
        LAB_TEST(a_route_without_gateway_is_a_link_route),
        LAB_TEST(replacing_changes_the_way_in_place),
        LAB_TEST(a_route_has_the_mtu_that_it_was_given),
        LAB_TEST(deleting_takes_only_what_is_ours),
        LAB_TEST(all_routes_to_a_destination_show_whoever_made_them),
        LAB_TEST(a_dump_keeps_to_protocol_and_device),
        LAB_TEST(several_next_hops_are_told_apart_from_one),
        LAB_TEST(a_lookup_finds_device_source_and_mtu),
        LAB_TEST(no_way_is_enetunreach_whatever_the_reason),
        LAB_TEST(the_kernels_words_are_part_of_an_error),
    };

    lab_require();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
