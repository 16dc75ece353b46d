/* The runtime's firewall in a real kernel: the table that was wanted, and what it lets through. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/net/fdb.h"
#include "lib/net/nft_elements.h"
#include "runtime/firewall.h"
#include "tests/kernel/runtime_bed.h"

static void add_peer(struct bed *bed, int vxlan, uint8_t last, uint32_t remote)
{
    const struct fdb_entry entry = {
        .ifindex = vxlan, .mac = {{2, 0x51, 10, 42, last, 0}}, .remote = remote};

    assert_ok(lab_set_fdb(bed->kernel.nl, &entry));
}

static void the_table_in_the_kernel_is_the_one_that_was_wanted(void **state)
{
    struct bed *bed = *state;
    const struct firewall_peer peers[] = {{0xc0a8010b, 0x0a2a0300}, {0xc0a8010c, 0x0a2a0200}};
    const struct firewall_spec spec = {.subnet = bed->state.subnet,
                                       .cluster = bed->state.cluster,
                                       .peers = peers,
                                       .peer_count = 2};
    AUTO_JSON json_t *want = firewall_ruleset(&spec), *have = NULL;
    int vxlan = lab_vxlan(bed->kernel.nl);

    add_peer(bed, vxlan, 2, peers[1].host);
    add_peer(bed, vxlan, 3, peers[0].host);
    bed_look(bed);
    assert_ok(nft_table_get(bed->kernel.nft, "inet", "quilt", &have));
    assert_true(nft_ruleset_equal(want, have));
    bed_assert_right(bed);
}

static void peers_follow_the_overlays_entries(void **state)
{
    struct bed *bed = *state;
    int vxlan = lab_vxlan(bed->kernel.nl);
    AUTO_FREE char *with = NULL, *without = NULL;

    bed_look(bed);
    add_peer(bed, vxlan, 2, 0xc0a8010b);
    bed->rc.are_peers_known = false; /* nobody turns the loop here: no event has told */
    reconcile_run(&bed->rc, LOOK_MEMBERS);
    with = lab_run("nft", "list", "map", "inet", "quilt", "peers", NULL);
    assert_non_null(strstr(with, "192.168.1.11"));
    assert_int_equal(bed->rc.repairs[KERNEL_FIREWALL], 0);
    lab_do("ip", "link", "del", "vxlan100");
    reconcile_run(&bed->rc, LOOK_NET | LOOK_MEMBERS);
    without = lab_run("nft", "list", "map", "inet", "quilt", "peers", NULL);
    assert_null(strstr(without, "192.168.1.11"));
    bed_assert_right(bed);
}

/* The runtime has lost its state, or it is of another start of the host than the overlay. */
static void peers_are_let_in_before_the_subnet_is_known(void **state)
{
    struct bed *bed = *state;
    int vxlan = lab_vxlan(bed->kernel.nl);
    AUTO_FREE char *set = NULL;

    bed->state.subnet = bed->state.cluster = (struct ip4_prefix){0};
    for (uint8_t i = 1; i <= 5; i++)
        add_peer(bed, vxlan, i, 0xc0a80100U + i);
    bed_look(bed);
    assert_int_equal(bed->rc.repairs[KERNEL_FIREWALL], 0);
    set = lab_run("nft", "list", "map", "inet", "quilt", "peers", NULL);
    assert_non_null(strstr(set, "192.168.1.5"));
    bed_assert_right(bed);
}

/* The overlay still has those of the cluster before. */
static void more_peers_than_the_cluster_has_subnets_are_let_in(void **state)
{
    struct bed *bed = *state;
    int vxlan = lab_vxlan(bed->kernel.nl);
    AUTO_FREE char *set = NULL;

    for (uint8_t i = 1; i <= 20; i++)
        add_peer(bed, vxlan, i, 0xc0a80100U + i);
    bed_look(bed);
    assert_ok(state_configure(&bed->state, (struct ip4_prefix){0x0a630000, 26},
                              (struct ip4_prefix){0x0a630000, 24}));
    assert_ok(reconcile_firewall_now(&bed->rc));
    bed_look(bed);
    set = lab_run("nft", "list", "map", "inet", "quilt", "peers", NULL);
    assert_non_null(strstr(set, "192.168.1.20"));
    bed_assert_right(bed);
}

static void peers_that_move_and_endpoints_that_come_make_the_table_that_was_wanted(void **state)
{
    struct bed *bed = *state;
    const struct firewall_peer peers[] = {{0xc0a8010c, 0x0a2a0200}, {0xc0a8010d, 0x0a2a0300}};
    struct member endpoint = {.set = MEMBERS_ENDPOINTS, .addr = ADDR_A};
    const struct member_list endpoints = {&endpoint, 1};
    const struct firewall_spec spec = {.subnet = bed->state.subnet,
                                       .cluster = bed->state.cluster,
                                       .peers = peers,
                                       .peer_count = 2,
                                       .endpoints = &endpoints};
    AUTO_JSON json_t *want = firewall_ruleset(&spec), *have = NULL;
    int vxlan = lab_vxlan(bed->kernel.nl);
    uint32_t before, after;

    add_peer(bed, vxlan, 2, 0xc0a8010b);
    add_peer(bed, vxlan, 4, 0xc0a8010e);
    bed_look(bed);
    bed_look(bed);
    assert_ok(nft_generation(bed->kernel.elements, &before));
    add_peer(bed, vxlan, 2, peers[0].host);
    add_peer(bed, vxlan, 3, peers[1].host);
    lab_do("bridge", "fdb", "del", "02:51:0a:2a:04:00", "dev", "vxlan100");
    (void)bed_enter(bed, 0);
    bed->rc.are_peers_known = false;
    reconcile_run(&bed->rc, LOOK_MEMBERS);
    assert_ok(nft_generation(bed->kernel.elements, &after));
    assert_int_equal(after, before + 1); /* all in one transaction */
    assert_true(reconcile_firewall_is_current(&bed->rc));
    assert_ok(nft_table_get(bed->kernel.nft, "inet", "quilt", &have));
    assert_true(nft_ruleset_equal(want, have));
}

static void what_others_do_to_members_is_found_and_undone(void **state)
{
    struct bed *bed = *state;
    AUTO_JSON json_t *before = NULL, *after = NULL;
    int vxlan = lab_vxlan(bed->kernel.nl);

    add_peer(bed, vxlan, 2, 0xc0a8010b);
    bed_look(bed);
    bed_look(bed);
    assert_ok(nft_table_get(bed->kernel.nft, "inet", "quilt", &before));
    lab_do("nft", "delete element inet quilt peers { 192.168.1.11 }; "
                  "add element inet quilt peers { 192.168.1.99 : 1:1 }");
    assert_false(reconcile_firewall_is_current(&bed->rc));
    /* One that is gone cannot be removed: then all is compared. */
    add_peer(bed, vxlan, 2, 0xc0a8010c);
    add_peer(bed, vxlan, 2, 0xc0a8010b);
    bed_look(bed);
    assert_ok(nft_table_get(bed->kernel.nft, "inet", "quilt", &after));
    assert_true(nft_ruleset_equal(before, after));
    bed_assert_right(bed);
}

/* Each step is taken when the firewall is known to be right; whether it was looked at before. */
struct story {
    struct bed *bed;
    struct loop_source *timer;
    int64_t deadline_ms;
    size_t step;
    bool has_looked[4];
};

static void take_step(struct story *s)
{
    static const char *const commands[] = {
        "add table inet foreign; add set inet foreign peers { type ipv4_addr; }",
        "add element inet foreign peers { 192.0.2.1 }",
        "delete table inet foreign; add element inet quilt peers { 192.0.2.1 : 1:1 }",
    };

    s->has_looked[s->step] = s->bed->rc.last_run_ms != 0;
    s->bed->rc.last_run_ms = 0;
    if (s->step == ARRAY_LEN(commands))
        loop_exit(s->bed->loop, 0);
    else
        lab_do("nft", commands[s->step++]);
}

static void poll_current(void *data)
{
    struct story *s = data;
    struct reconcile *rc = &s->bed->rc;

    if (clock_boot_ms() > s->deadline_ms)
        loop_exit(s->bed->loop, 1);
    if (reconcile_firewall_is_current(rc) && !loop_timer_is_armed(rc->soon))
        take_step(s);
    loop_timer_set_in(s->timer, 1);
}

static void what_others_do_to_their_tables_is_no_reason_to_look(void **state)
{
    struct bed *bed = *state;
    struct story s = {.bed = bed, .deadline_ms = clock_boot_ms() + 5000};
    AUTO_FREE char *set = NULL;

    bed_look(bed);
    assert_ok(loop_add_timer(bed->loop, poll_current, &s, &s.timer));
    loop_timer_set_in(s.timer, 1);
    assert_int_equal(loop_run(bed->loop), 0);
    loop_source_free(s.timer);
    assert_true(s.has_looked[0]);
    assert_false(s.has_looked[1]);
    assert_false(s.has_looked[2]);
    assert_true(s.has_looked[3]);
    set = lab_run("nft", "list", "map", "inet", "quilt", "peers", NULL);
    assert_null(strstr(set, "192.0.2.1"));
}

/* ---- the short cut --------------------------------------------------------------------------- */

/* What has come to the hooks of other tables since it was asked last. */
static void assert_seen(unsigned int packets)
{
    AUTO_FREE char *listing = lab_run("nft", "reset", "counter", "inet", "seen", "n", NULL);
    AUTO_FREE char *want = mem_printf("packets %u ", packets);

    if (!strstr(listing, want))
        fail_msg("wanted %sand there is: %s", want, listing);
}

static void watch_forwarding(void)
{
    lab_do("nft", "add table inet seen; add counter inet seen n; "
                  "add chain inet seen forward { type filter hook forward priority 0; }; "
                  "add rule inet seen forward counter name n");
}

/* Two containers, and somebody who watches what is forwarded. */
static struct bed *make_two(void **state)
{
    struct bed *bed = *state;

    (void)bed_enter(bed, 0);
    (void)bed_enter(bed, 1);
    bed_look(bed);
    watch_forwarding();
    return bed;
}

/* Three pings and their answers. */
static void assert_short_way(const struct bed *bed)
{
    bed_assert_pings(bed, 0, "10.42.1.2");
    assert_seen(0);
}

static void assert_long_way(const struct bed *bed)
{
    bed_assert_pings(bed, 0, "10.42.1.2");
    assert_seen(6);
}

static void containers_of_a_node_reach_each_other_past_all_hooks(void **state)
{
    struct bed *bed = make_two(state);

    assert_short_way(bed);
    lab_do("nft", "flush", "map", "netdev", "quilt", "veths");
    assert_long_way(bed);
    bed_look(bed);
    assert_short_way(bed);
    bed_assert_right(bed);
}

static void without_the_short_cut_all_goes_by_the_hooks(void **state)
{
    struct bed *bed = *state;

    bed->rc.can_short_cut = false;
    (void)make_two(state);
    assert_long_way(bed);
    bed_assert_right(bed);
}

static void trying_the_short_cut_leaves_nothing_and_removes_what_was_left(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *before = NULL, *after = NULL;

    lab_do("nft", "add table ip foreign");
    before = lab_run("nft", "list", "ruleset", NULL);
    assert_true(reconcile_can_short_cut(&bed->rc));
    lab_do("nft", "add table netdev quilt-probe; add chain netdev quilt-probe left");
    assert_true(reconcile_can_short_cut(&bed->rc));
    lab_do("nft", "add table netdev quilt-probe");
    bed->rc.policy.is_all_tracked = true;
    assert_false(reconcile_can_short_cut(&bed->rc));
    after = lab_run("nft", "list", "ruleset", NULL);
    assert_string_equal(before, after);
}

static void block_something_by_ipsec(void)
{
    lab_do("ip", "xfrm", "policy", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "dir", "fwd",
           "action", "block");
}

static void a_policy_of_ipsec_takes_the_short_cut_away(void **state)
{
    struct bed *bed = make_two(state);

    block_something_by_ipsec();
    bed_look(bed);
    assert_long_way(bed);
    bed_assert_right(bed);
    lab_do("ip", "xfrm", "policy", "flush");
    bed_look(bed);
    assert_short_way(bed);
    bed_assert_right(bed);
}

/* The table is not written for a while. */
static void hold_back(struct bed *bed)
{
    static const char key[] = "firewall table netdev quilt";

    while (guard_allows(&bed->rc.guard, key, clock_boot_ms()))
        (void)guard_note(&bed->rc.guard, key, "it fails", clock_boot_ms());
}

static void what_cannot_be_kept_right_is_shut(void **state)
{
    struct bed *bed = make_two(state);

    assert_null(reconcile_why_no_short_cut(&bed->rc));
    bed->rc.is_frames_known = false;
    hold_back(bed);
    reconcile_run(&bed->rc, LOOK_MEMBERS);
    assert_long_way(bed);
    assert_string_equal(reconcile_why_no_short_cut(&bed->rc), "its table cannot be kept right");
    guard_deinit(&bed->rc.guard);
    bed_look(bed);
    assert_short_way(bed);
    bed_assert_right(bed);
}

static void what_cannot_be_taken_away_is_shut(void **state)
{
    struct bed *bed = make_two(state);

    hold_back(bed);
    block_something_by_ipsec();
    reconcile_run(&bed->rc, LOOK_FIREWALL);
    assert_long_way(bed);
    guard_deinit(&bed->rc.guard);
    bed_look(bed);
    assert_long_way(bed);
    bed_assert_right(bed);
}

static void a_device_goes_from_the_map_with_its_endpoint_and_so_does_its_chain(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *table = NULL;

    (void)bed_enter(bed, 0);
    (void)bed_enter(bed, 1);
    bed_look(bed);
    state_detach(&bed->state, "b", "eth0", 0);
    assert_ok(plug_remove(&bed->kernel, ADDR_A + 1));
    assert_ok(reconcile_admit(&bed->rc)); /* as another attach of the same group does */
    bed_look(bed);
    table = lab_run("nft", "list", "table", "netdev", "quilt", NULL);
    assert_null(strstr(table, "10.42.1.2"));
    assert_null(strstr(table, "qv0a2a0102"));
    bed_assert_right(bed);
}

static void assert_hops(struct bed *bed, const char *some, const char *none)
{
    AUTO_FREE char *hops = NULL;

    bed_look(bed);
    hops = lab_run("nft", "list", "map", "netdev", "quilt", "hops", NULL);
    assert_true(!some || strstr(hops, some));
    assert_null(strstr(hops, none));
    bed_look(bed);
    assert_true(reconcile_firewall_is_current(&bed->rc));
}

static void put_route(struct bed *bed, uint32_t dst, uint8_t len, uint32_t mtu_bytes)
{
    const struct route route = {
        .dst = {dst, len}, .via = "vxlan100", .gateway = dst, .mtu_bytes = mtu_bytes};

    (void)route_table_put(&bed->state.routes, &route);
}

static void hops_are_the_routes_that_are_like_any_other_and_in_the_kernel(void **state)
{
    struct bed *bed = *state;

    (void)lab_vxlan(bed->kernel.nl);
    lab_do("ip", "link", "set", "vxlan100", "up");
    lab_do("ip", "route", "add", "10.42.5.0/24", "dev", "lo"); /* somebody else's */
    put_route(bed, 0x0a2a0200, 24, 0);
    put_route(bed, 0x0a2a0300, 24, 1400);
    put_route(bed, 0x0a2a0400, 25, 0);
    put_route(bed, 0x0a2a0500, 24, 0);
    assert_hops(bed, "{ 10.42.2.0 : 10.42.2.0 }", "10.42.3.0");
    put_route(bed, 0x0a2a0300, 24, 0);
    assert_hops(bed, "10.42.3.0 : 10.42.3.0", "10.42.5.0");
    put_route(bed, 0x0a2a0200, 24, 1400);
    assert_hops(bed, "10.42.3.0 : 10.42.3.0", "10.42.2.0");
    assert_true(route_table_remove(&bed->state.routes, (struct ip4_prefix){0x0a2a0300, 24}));
    assert_hops(bed, NULL, "10.42.3.0");
}

static void foreign_tables_stay_byte_for_byte(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *before = NULL, *after = NULL;

    lab_do("nft", "add table inet foreign; add set inet foreign s { type ipv4_addr; }; "
                  "add element inet foreign s { 192.0.2.1 }");
    before = lab_run("nft", "-a", "list", "table", "inet", "foreign", NULL);
    bed_look(bed);
    lab_do("nft", "delete", "table", "inet", "quilt");
    bed_look(bed);
    after = lab_run("nft", "-a", "list", "table", "inet", "foreign", NULL);
    assert_string_equal(before, after);
}

static void a_forged_source_is_dropped(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *rules = NULL;
    char netns[64];

    (void)bed_enter(bed, 0);
    (void)bed_enter(bed, 1);
    bed_look(bed);
    (void)snprintf(netns, sizeof netns, "--net=%s", bed->paths[0]);
    lab_do("nsenter", netns, "ip", "addr", "add", "10.42.1.77/32", "dev", "eth0");
    lab_do("nsenter", netns, "sh", "-c",
           "! ping -q -c 2 -i 0.01 -W 1 -I 10.42.1.77 10.42.1.2 >/dev/null");
    rules = lab_run("nft", "list", "counter", "inet", "quilt", "forged_source", NULL);
    assert_non_null(strstr(rules, "packets 2 "));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, bed_setup, bed_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_table_in_the_kernel_is_the_one_that_was_wanted),
        TEST(peers_follow_the_overlays_entries),
        TEST(peers_are_let_in_before_the_subnet_is_known),
        TEST(more_peers_than_the_cluster_has_subnets_are_let_in),
        TEST(peers_that_move_and_endpoints_that_come_make_the_table_that_was_wanted),
        TEST(what_others_do_to_members_is_found_and_undone),
        TEST(what_others_do_to_their_tables_is_no_reason_to_look),
        TEST(containers_of_a_node_reach_each_other_past_all_hooks),
        TEST(without_the_short_cut_all_goes_by_the_hooks),
        TEST(trying_the_short_cut_leaves_nothing_and_removes_what_was_left),
        TEST(a_policy_of_ipsec_takes_the_short_cut_away),
        TEST(what_cannot_be_kept_right_is_shut),
        TEST(what_cannot_be_taken_away_is_shut),
        TEST(a_device_goes_from_the_map_with_its_endpoint_and_so_does_its_chain),
        TEST(hops_are_the_routes_that_are_like_any_other_and_in_the_kernel),
        TEST(foreign_tables_stay_byte_for_byte),
        TEST(a_forged_source_is_dropped),
    };

    lab_require();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
