/* What the runtime makes of a host, in a real kernel: endpoints that talk, routes, and damage of
 * every kind that one look puts right. */
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "tests/kernel/runtime_bed.h"

/* ---- endpoints ------------------------------------------------------------------------------- */

static void two_endpoints_reach_each_other_and_nothing_is_written_twice(void **state)
{
    struct bed *bed = *state;

    (void)bed_enter(bed, 0);
    (void)bed_enter(bed, 1);
    bed_look(bed);
    bed_assert_pings(bed, 0, "10.42.1.2");
    bed_assert_pings(bed, 1, "10.42.1.1");
    bed_assert_right(bed);
}

static void an_endpoint_looks_as_promised_on_both_sides(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *addr = NULL, *route = NULL, *neigh = NULL, *host = NULL, *host_route = NULL;

    (void)bed_enter(bed, 0);
    bed_look(bed);
    addr = bed_run_inside(bed, 0, "-4", "addr");
    assert_non_null(strstr(addr, "inet 10.42.1.1/32 scope global eth0"));
    assert_non_null(strstr(addr, "eth0@"));
    assert_non_null(strstr(addr, "mtu 1450"));
    route = bed_run_inside(bed, 0, "route", "show");
    assert_string_equal(route, "default via 169.254.1.1 dev eth0 proto 81 \n"
                               "169.254.1.1 dev eth0 proto 81 scope link \n");
    neigh = bed_run_inside(bed, 0, "neigh", "show");
    assert_non_null(strstr(
        neigh, "169.254.1.1 dev eth0 lladdr 02:51:a9:fe:01:01 extern_learn PERMANENT proto 81 \n"));
    host = lab_run("ip", "link", "show", "qv0a2a0101", NULL);
    assert_non_null(strstr(host, "02:51:a9:fe:01:01"));
    assert_non_null(strstr(host, "alias quilt:endpoint:a/eth0"));
    host_route = lab_run("ip", "route", "show", "10.42.1.1", NULL);
    assert_string_equal(host_route, "10.42.1.1 dev qv0a2a0101 proto 81 scope link \n");
}

/* Each damage alone; one look repairs it, and the next finds nothing. */
static void every_damage_is_repaired_by_one_look(void **state)
{
    static const char *const damages[][9] = {
        {"ip", "link", "del", "qv0a2a0101"},
        {"ip", "link", "set", "qv0a2a0101", "down"},
        {"ip", "link", "set", "qv0a2a0101", "mtu", "1300"},
        {"ip", "link", "set", "qv0a2a0101", "address", "02:00:00:00:00:01"},
        {"ip", "route", "del", "10.42.1.1/32"},
        {"ip", "route", "replace", "10.42.1.1/32", "dev", "lo", "proto", "81"},
        {"ip", "neigh", "del", "10.42.1.1", "dev", "qv0a2a0101"},
        {"ip", "neigh", "flush", "dev", "qv0a2a0101", "nud", "permanent"},
        {"nft", "delete", "table", "inet", "quilt"},
        {"nft", "flush", "chain", "inet", "quilt", "prerouting"},
        {"nft", "add element inet quilt peers { 203.0.113.9 : cb00:7109 }"},
        {"nft", "add element inet quilt origins { 10.42.9.0 . c0a8:10b }"},
        {"nft", "flush", "set", "inet", "quilt", "endpoints"},
        {"nft", "flush", "chain", "inet", "quilt", "to_host"},
        {"nft", "flush", "chain", "netdev", "quilt", "qv0a2a0101"},
        {"nft", "delete", "table", "netdev", "quilt"},
        {"nft", "flush", "chain", "netdev", "quilt", "frames"},
        {"nft", "add rule netdev quilt qv0a2a0102 counter accept"},
        {"sysctl", "-qw", "net.ipv4.ip_forward=0"},
        {"sysctl", "-qw", "net.ipv4.conf.qv0a2a0101.forwarding=0"},
        {"sysctl", "-qw", "net.ipv4.conf.qv0a2a0101.arp_ignore=0"},
        {"sysctl", "-qw", "net.ipv6.conf.qv0a2a0101.disable_ipv6=0"},
    };
    struct bed *bed = *state;

    (void)bed_enter(bed, 0);
    (void)bed_enter(bed, 1);
    bed_look(bed);
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        const char *const *d = damages[i];
        uint64_t before = bed_count_writes(bed);

        free(lab_run(d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], NULL));
        bed_look(bed);
        if (bed_count_writes(bed) == before)
            fail_msg("damage %zu (%s %s %s) was not seen", i, d[0], d[1], d[2] ? d[2] : "");
        bed_assert_right(bed);
        bed_assert_pings(bed, 0, "10.42.1.2");
        bed_assert_pings(bed, 1, "10.42.1.1");
        /* As if time had gone by: this is not about repairing over and over. */
        guard_deinit(&bed->rc.guard);
    }
}

static bool is_inside_unreadable;

int __real_link_get_by_index(struct nl *nl, int ifindex, struct link_info *ret_info);
int __wrap_link_get_by_index(struct nl *nl, int ifindex, struct link_info *ret_info);

int __wrap_link_get_by_index(struct nl *nl, int ifindex, struct link_info *ret_info)
{
    return is_inside_unreadable ? err_fail(ENOBUFS, "the kernel's answer got lost")
                                : __real_link_get_by_index(nl, ifindex, ret_info);
}

static void an_inside_that_cannot_be_looked_at_costs_the_container_no_device(void **state)
{
    struct bed *bed = *state;
    const struct endpoint *endpoint = bed_enter(bed, 0);
    struct link_info before, after;

    bed_look(bed);
    assert_ok(link_get(bed->kernel.nl, "qv0a2a0101", &before));
    lab_do("ip", "route", "del", "10.42.1.1/32");
    is_inside_unreadable = true;
    assert_error(plug_build(&bed->kernel, endpoint, MTU), ENOBUFS);
    is_inside_unreadable = false;
    assert_ok(link_get(bed->kernel.nl, "qv0a2a0101", &after));
    assert_int_equal(after.ifindex, before.ifindex);
    bed_look(bed);
    bed_assert_right(bed);
}

static void a_half_built_endpoint_is_completed(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *route = NULL;
    char netns[64];

    (void)bed_enter(bed, 0);
    bed_look(bed);
    /* As a kill between two writes leaves it: the host's route comes last. */
    (void)snprintf(netns, sizeof netns, "--net=%s", bed->paths[0]);
    lab_do("nsenter", netns, "ip", "route", "flush", "table", "main");
    lab_do("nsenter", netns, "ip", "addr", "flush", "dev", "eth0");
    lab_do("ip", "route", "del", "10.42.1.1/32");
    bed_look(bed);
    bed_assert_right(bed);
    route = bed_run_inside(bed, 0, "route", "show");
    assert_non_null(strstr(route, "default via 169.254.1.1"));
}

static void a_name_taken_inside_is_refused_and_nothing_is_left(void **state)
{
    struct bed *bed = *state;
    const struct endpoint *endpoint = bed_enter(bed, 0);
    AUTO_FREE char *links = NULL;
    char netns[64];

    (void)snprintf(netns, sizeof netns, "--net=%s", bed->paths[0]);
    lab_do("nsenter", netns, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other");
    assert_error(plug_build(&bed->kernel, endpoint, MTU), EEXIST);
    assert_non_null(strstr(err_text(), "ifname: 'eth0' exists already in"));
    links = lab_run("ip", "-o", "link", "show", NULL);
    assert_null(strstr(links, "qv0a2a"));
}

static void a_default_route_of_the_container_is_left_alone(void **state)
{
    struct bed *bed = *state;
    const struct endpoint *endpoint = bed_enter(bed, 0);
    AUTO_FREE char *route = NULL;
    char netns[64];

    (void)snprintf(netns, sizeof netns, "--net=%s", bed->paths[0]);
    lab_do("nsenter", netns, "ip", "link", "add", "v0", "up", "type", "veth", "peer", "name", "v1");
    lab_do("nsenter", netns, "ip", "link", "set", "v1", "up");
    lab_do("nsenter", netns, "ip", "route", "add", "default", "dev", "v0");
    assert_error(plug_build(&bed->kernel, endpoint, MTU), EEXIST);
    assert_non_null(strstr(err_text(), "a route to 0.0.0.0/0 exists that is not ours"));
    assert_ok(plug_remove(&bed->kernel, endpoint->addr));
    route = bed_run_inside(bed, 0, "route", "show");
    assert_non_null(strstr(route, "default dev v0"));
}

static void a_foreign_device_with_our_name_is_left_alone(void **state)
{
    struct bed *bed = *state;
    const struct endpoint *endpoint = bed_enter(bed, 0);
    AUTO_FREE char *before = NULL, *after = NULL;

    lab_do("ip", "link", "add", "qv0a2a0101", "type", "veth", "peer", "name", "x");
    before = lab_run("ip", "link", "show", "qv0a2a0101", NULL);
    assert_error(plug_build(&bed->kernel, endpoint, MTU), EEXIST);
    assert_error(plug_remove(&bed->kernel, endpoint->addr), EEXIST);
    bed_look(bed);
    assert_string_equal(guard_error(&bed->rc.guard, "endpoint a/eth0"),
                        "a device qv0a2a0101 exists that is not ours; it is left alone");
    after = lab_run("ip", "link", "show", "qv0a2a0101", NULL);
    assert_string_equal(before, after);
}

static void a_path_that_names_another_namespace_now_is_not_plugged_into(void **state)
{
    struct bed *bed = *state;
    const struct endpoint *endpoint = bed_enter(bed, 0);
    AUTO_FREE char *links = NULL;

    bed_drop_netns(bed->paths[0]);
    bed_make_netns(bed, bed->paths[0]);
    assert_int_equal(plug_build(&bed->kernel, endpoint, MTU), PLUG_GONE);
    links = bed_run_inside(bed, 0, "link", "show");
    assert_null(strstr(links, "eth0"));
}

static void when_the_namespace_is_gone_the_endpoint_waits_without_writing(void **state)
{
    struct bed *bed = *state;

    (void)bed_enter(bed, 0);
    bed_look(bed);
    bed_drop_netns(bed->paths[0]);
    /* The kernel takes the device with the namespace, a little later. */
    assert_ok(plug_remove(&bed->kernel, ADDR_A));
    bed_look(bed); /* its device is no way to it any more */
    bed_assert_right(bed);
    assert_int_equal(bed->state.endpoints.count, 1);
}

static void a_restarted_container_gets_its_device_in_the_new_namespace(void **state)
{
    struct bed *bed = *state;

    (void)bed_enter(bed, 0);
    (void)bed_enter(bed, 1);
    bed_look(bed);
    bed_drop_netns(bed->paths[0]);
    bed_make_netns(bed, bed->paths[0]);
    assert_int_equal(bed_enter(bed, 0)->addr, ADDR_A);
    assert_ok(
        plug_build(&bed->kernel, endpoint_table_find(&bed->state.endpoints, "a", "eth0"), MTU));
    bed_assert_pings(bed, 0, "10.42.1.2");
    bed_look(bed); /* the short cut leads to the new device */
    bed_assert_right(bed);
}

static void devices_of_ours_without_a_record_are_removed_and_no_others(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *links = NULL;

    (void)bed_enter(bed, 0);
    bed_look(bed);
    state_detach(&bed->state, "a", "eth0", 0);
    lab_do("ip", "link", "add", "qvfffffff1", "type", "veth", "peer", "name", "x");
    bed_look(bed);
    links = lab_run("ip", "-o", "link", "show", NULL);
    assert_null(strstr(links, "qv0a2a0101"));
    assert_non_null(strstr(links, "qvfffffff1"));
    bed_assert_right(bed);
}

static void endpoints_follow_the_overlays_mtu_and_keep_it_when_it_goes(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *inside = NULL, *after = NULL;

    (void)bed_enter(bed, 0);
    (void)lab_vxlan(bed->kernel.nl);
    bed_look(bed);
    assert_int_equal(bed->rc.mtu_bytes, 1450);
    lab_do("ip", "link", "set", "vxlan100", "mtu", "1390");
    bed_look(bed);
    inside = bed_run_inside(bed, 0, "link", "show");
    assert_non_null(strstr(inside, "mtu 1390"));
    assert_int_equal(bed->state.mtu_bytes, 1390);
    assert_int_equal(bed->saves, 2);
    lab_do("ip", "link", "del", "vxlan100");
    bed_look(bed); /* nothing is sent on by it any more */
    bed_assert_right(bed);
    after = bed_run_inside(bed, 0, "link", "show");
    assert_non_null(strstr(after, "mtu 1390"));
}

/* ---- routes ---------------------------------------------------------------------------------- */

static void put_route(struct bed *bed, uint32_t dst)
{
    const struct route route = {.dst = {dst, 24}, .via = "vxlan100", .gateway = dst};

    assert_true(route_table_put(&bed->state.routes, &route));
}

static void routes_come_with_their_device_and_return_with_it(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *routes = NULL, *again = NULL;

    put_route(bed, 0x0a2a0200);
    bed_look(bed);
    bed_assert_right(bed); /* not ready yet is no error */
    (void)lab_vxlan(bed->kernel.nl);
    bed_look(bed);
    routes = lab_run("ip", "route", "show", "10.42.2.0/24", NULL);
    assert_string_equal(routes, "10.42.2.0/24 via 10.42.2.0 dev vxlan100 proto 81 onlink \n");
    lab_do("ip", "link", "set", "vxlan100", "down");
    bed_assert_right(bed);
    lab_do("ip", "link", "set", "vxlan100", "up");
    bed_look(bed);
    again = lab_run("ip", "route", "show", "10.42.2.0/24", NULL);
    assert_string_equal(again, routes);
    bed_assert_right(bed);
}

static void a_foreign_route_is_never_touched_and_ours_comes_when_it_goes(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *foreign = NULL, *ours = NULL;

    (void)lab_vxlan(bed->kernel.nl);
    lab_do("ip", "route", "add", "10.42.2.0/24", "dev", "lo", "proto", "static");
    put_route(bed, 0x0a2a0200);
    bed_look(bed);
    foreign = lab_run("ip", "route", "show", "10.42.2.0/24", NULL);
    assert_string_equal(foreign, "10.42.2.0/24 dev lo proto static scope link \n");
    assert_non_null(guard_error(&bed->rc.guard, "route 10.42.2.0/24"));
    lab_do("ip", "route", "del", "10.42.2.0/24");
    bed_look(bed);
    ours = lab_run("ip", "route", "show", "10.42.2.0/24", NULL);
    assert_string_equal(ours, "10.42.2.0/24 via 10.42.2.0 dev vxlan100 proto 81 onlink \n");
    bed_assert_right(bed);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Stops the loop once the device is there again, or the time is up. */
struct waiting {
    struct bed *bed;
    struct loop_source *timer;
    int64_t deadline_ms;
};

static void poll_device(void *data)
{
    struct waiting *w = data;
    struct link_info info;

    if (link_get(w->bed->kernel.nl, "qv0a2a0101", &info) == 0)
        loop_exit(w->bed->loop, 0);
    else if (clock_boot_ms() > w->deadline_ms)
        loop_exit(w->bed->loop, 1);
    else
        loop_timer_set_in(w->timer, 5);
}

static void a_deleted_device_is_back_within_a_second_by_the_event_alone(void **state)
{
    struct bed *bed = *state;
    struct waiting w = {.bed = bed};

    (void)bed_enter(bed, 0);
    bed_look(bed);
    lab_do("ip", "link", "del", "qv0a2a0101");
    w.deadline_ms = clock_boot_ms() + 1000;
    assert_ok(loop_add_timer(bed->loop, poll_device, &w, &w.timer));
    loop_timer_set_in(w.timer, 5);
    assert_int_equal(loop_run(bed->loop), 0);
    loop_source_free(w.timer);
    bed_assert_right(bed);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, bed_setup, bed_teardown)
    const struct CMUnitTest tests[] = {
        TEST(two_endpoints_reach_each_other_and_nothing_is_written_twice),
        TEST(an_endpoint_looks_as_promised_on_both_sides),
        TEST(every_damage_is_repaired_by_one_look),
        TEST(an_inside_that_cannot_be_looked_at_costs_the_container_no_device),
        TEST(a_half_built_endpoint_is_completed),
        TEST(a_name_taken_inside_is_refused_and_nothing_is_left),
        TEST(a_default_route_of_the_container_is_left_alone),
        TEST(a_foreign_device_with_our_name_is_left_alone),
        TEST(a_path_that_names_another_namespace_now_is_not_plugged_into),
        TEST(when_the_namespace_is_gone_the_endpoint_waits_without_writing),
        TEST(a_restarted_container_gets_its_device_in_the_new_namespace),
        TEST(devices_of_ours_without_a_record_are_removed_and_no_others),
        TEST(endpoints_follow_the_overlays_mtu_and_keep_it_when_it_goes),
        TEST(routes_come_with_their_device_and_return_with_it),
        TEST(a_foreign_route_is_never_touched_and_ours_comes_when_it_goes),
        TEST(a_deleted_device_is_back_within_a_second_by_the_event_alone),
    };

    lab_require();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
