/* What the runtime makes of a host, in a real kernel: endpoints that talk, and damage of every kind
 * that one look puts right.
 *
 *     netns a -- qv0a2a0101 --+
 *                             +-- the test's own namespace (the host)
 *     netns b -- qv0a2a0102 --+
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/net/fdb.h"
#include "lib/net/netns.h"
#include "lib/net/nft_elements.h"
#include "lib/net/sysctl.h"
#include "runtime/firewall.h"
#include "runtime/reconcile.h"
#include "tests/kernel/lab.h"

#define BOOT "00000000-0000-4000-8000-000000000001"
#define ADDR_A 0x0a2a0101 /* 10.42.1.1 */
#define MTU 1450

struct bed {
    char dir[32];
    char paths[2][48]; /* of the containers' namespaces */
    int host_fd;       /* the host's */
    struct loop *loop;
    struct kernel kernel;
    struct state state;
    struct reconcile rc;
    unsigned int saves;
};

static void make_netns(const struct bed *bed, const char *path)
{
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    assert_int_equal(mount("/proc/thread-self/ns/net", path, NULL, MS_BIND, NULL), 0);
    assert_int_equal(setns(bed->host_fd, CLONE_NEWNET), 0);
}

static void drop_netns(const char *path)
{
    (void)umount2(path, MNT_DETACH);
    (void)unlink(path);
}

static void count_save(void *data)
{
    ((struct bed *)data)->saves++;
}

static int setup(void **state)
{
    struct bed *bed = NEW(struct bed);

    memcpy(bed->dir, "/tmp/quilt-plug-XXXXXX", 23);
    assert_non_null(mkdtemp(bed->dir));
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    bed->host_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(bed->paths[i], sizeof bed->paths[i], "%s/%c", bed->dir, "ab"[i]);
        make_netns(bed, bed->paths[i]);
    }
    assert_ok(loop_new(&bed->loop));
    assert_ok(kernel_open(&bed->kernel));
    assert_ok(link_set_up(bed->kernel.nl, lab_ifindex(bed->kernel.nl, "lo"), true));
    state_init(&bed->state, BOOT);
    assert_ok(
        state_configure(&bed->state, (struct ip4_prefix){0x0a2a0100, 24}, MESH_CLUSTER_DEFAULT));
    assert_ok(reconcile_init(&bed->rc, bed->loop, &bed->kernel, &bed->state,
                             &(struct firewall_policy){0}, count_save, bed));
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    struct bed *bed = *state;

    reconcile_deinit(&bed->rc);
    state_deinit(&bed->state);
    kernel_close(&bed->kernel);
    loop_free(bed->loop);
    for (size_t i = 0; i < 2; i++)
        drop_netns(bed->paths[i]);
    assert_int_equal(rmdir(bed->dir), 0);
    close(bed->host_fd);
    free(bed);
    return 0;
}

/* Into the state only; a look builds it. */
static const struct endpoint *enter(struct bed *bed, size_t which)
{
    char ids[2][2] = {"a", "b"};
    struct endpoint wanted = {.id = ids[which],
                              .netns_path = bed->paths[which],
                              .ifname = "eth0",
                              .created_at_s = 1700000000};
    const struct endpoint *endpoint;
    AUTO_CLOSE int fd = -1;

    assert_ok(plug_open_netns(wanted.netns_path, &fd, &wanted.netns));
    assert_ok(state_attach(&bed->state, &wanted, 0, &endpoint));
    return endpoint;
}

static void look(struct bed *bed)
{
    reconcile_run(&bed->rc, LOOK_ALL);
}

static uint64_t count_writes(const struct bed *bed)
{
    uint64_t count = 0;

    for (size_t i = 0; i < KERNEL_OBJECT_COUNT; i++)
        count += bed->kernel.writes[i];
    return count;
}

/* A look that finds nothing to do: the proof that all is as it should be. */
static void assert_right(struct bed *bed)
{
    uint64_t before = count_writes(bed);

    look(bed);
    assert_int_equal(count_writes(bed), before);
    assert_true(guard_next_ms(&bed->rc.guard) == INT64_MAX);
}

/* From the container's inside to an address, three packets. */
static void assert_pings(const struct bed *bed, size_t from, const char *to)
{
    char netns[64];

    (void)snprintf(netns, sizeof netns, "--net=%s", bed->paths[from]);
    lab_do("nsenter", netns, "ping", "-q", "-c", "3", "-i", "0.01", "-W", "2", to);
}

static char *run_inside(const struct bed *bed, size_t where, const char *object, const char *verb)
{
    char netns[64];

    (void)snprintf(netns, sizeof netns, "--net=%s", bed->paths[where]);
    return lab_run("nsenter", netns, "ip", object, verb, NULL);
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static void two_endpoints_reach_each_other_and_nothing_is_written_twice(void **state)
{
    struct bed *bed = *state;

    (void)enter(bed, 0);
    (void)enter(bed, 1);
    look(bed);
    assert_pings(bed, 0, "10.42.1.2");
    assert_pings(bed, 1, "10.42.1.1");
    assert_right(bed);
}

static void an_endpoint_looks_as_promised_on_both_sides(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *addr = NULL, *route = NULL, *neigh = NULL, *host = NULL, *host_route = NULL;

    (void)enter(bed, 0);
    look(bed);
    addr = run_inside(bed, 0, "-4", "addr");
    assert_non_null(strstr(addr, "inet 10.42.1.1/32 scope global eth0"));
    assert_non_null(strstr(addr, "eth0@"));
    assert_non_null(strstr(addr, "mtu 1450"));
    route = run_inside(bed, 0, "route", "show");
    assert_string_equal(route, "default via 169.254.1.1 dev eth0 proto 81 \n"
                               "169.254.1.1 dev eth0 proto 81 scope link \n");
    neigh = run_inside(bed, 0, "neigh", "show");
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

    (void)enter(bed, 0);
    (void)enter(bed, 1);
    look(bed);
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        const char *const *d = damages[i];
        uint64_t before = count_writes(bed);

        free(lab_run(d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], NULL));
        look(bed);
        if (count_writes(bed) == before)
            fail_msg("damage %zu (%s %s %s) was not seen", i, d[0], d[1], d[2] ? d[2] : "");
        assert_right(bed);
        assert_pings(bed, 0, "10.42.1.2");
        assert_pings(bed, 1, "10.42.1.1");
        /* As if time had gone by: this is not about repairing over and over. */
        guard_deinit(&bed->rc.guard);
    }
}

static void a_half_built_endpoint_is_completed(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *route = NULL;
    char netns[64];

    (void)enter(bed, 0);
    look(bed);
    /* As a kill between two writes leaves it: the host's route comes last. */
    (void)snprintf(netns, sizeof netns, "--net=%s", bed->paths[0]);
    lab_do("nsenter", netns, "ip", "route", "flush", "table", "main");
    lab_do("nsenter", netns, "ip", "addr", "flush", "dev", "eth0");
    lab_do("ip", "route", "del", "10.42.1.1/32");
    look(bed);
    assert_right(bed);
    route = run_inside(bed, 0, "route", "show");
    assert_non_null(strstr(route, "default via 169.254.1.1"));
}

static void a_name_taken_inside_is_refused_and_nothing_is_left(void **state)
{
    struct bed *bed = *state;
    const struct endpoint *endpoint = enter(bed, 0);
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
    const struct endpoint *endpoint = enter(bed, 0);
    AUTO_FREE char *route = NULL;
    char netns[64];

    (void)snprintf(netns, sizeof netns, "--net=%s", bed->paths[0]);
    lab_do("nsenter", netns, "ip", "link", "add", "v0", "up", "type", "veth", "peer", "name", "v1");
    lab_do("nsenter", netns, "ip", "link", "set", "v1", "up");
    lab_do("nsenter", netns, "ip", "route", "add", "default", "dev", "v0");
    assert_error(plug_build(&bed->kernel, endpoint, MTU), EEXIST);
    assert_non_null(strstr(err_text(), "a route to 0.0.0.0/0 exists that is not ours"));
    assert_ok(plug_remove(&bed->kernel, endpoint->addr));
    route = run_inside(bed, 0, "route", "show");
    assert_non_null(strstr(route, "default dev v0"));
}

static void a_foreign_device_with_our_name_is_left_alone(void **state)
{
    struct bed *bed = *state;
    const struct endpoint *endpoint = enter(bed, 0);
    AUTO_FREE char *before = NULL, *after = NULL;

    lab_do("ip", "link", "add", "qv0a2a0101", "type", "veth", "peer", "name", "x");
    before = lab_run("ip", "link", "show", "qv0a2a0101", NULL);
    assert_error(plug_build(&bed->kernel, endpoint, MTU), EEXIST);
    assert_error(plug_remove(&bed->kernel, endpoint->addr), EEXIST);
    look(bed);
    assert_string_equal(guard_error(&bed->rc.guard, "endpoint a/eth0"),
                        "a device qv0a2a0101 exists that is not ours; it is left alone");
    after = lab_run("ip", "link", "show", "qv0a2a0101", NULL);
    assert_string_equal(before, after);
}

static void a_path_that_names_another_namespace_now_is_not_plugged_into(void **state)
{
    struct bed *bed = *state;
    const struct endpoint *endpoint = enter(bed, 0);
    AUTO_FREE char *links = NULL;

    drop_netns(bed->paths[0]);
    make_netns(bed, bed->paths[0]);
    assert_int_equal(plug_build(&bed->kernel, endpoint, MTU), PLUG_GONE);
    links = run_inside(bed, 0, "link", "show");
    assert_null(strstr(links, "eth0"));
}

static void when_the_namespace_is_gone_the_endpoint_waits_without_writing(void **state)
{
    struct bed *bed = *state;

    (void)enter(bed, 0);
    look(bed);
    drop_netns(bed->paths[0]);
    /* The kernel takes the device with the namespace, a little later. */
    assert_ok(plug_remove(&bed->kernel, ADDR_A));
    assert_right(bed);
    assert_int_equal(bed->state.endpoints.count, 1);
}

static void a_restarted_container_gets_its_device_in_the_new_namespace(void **state)
{
    struct bed *bed = *state;

    (void)enter(bed, 0);
    (void)enter(bed, 1);
    look(bed);
    drop_netns(bed->paths[0]);
    make_netns(bed, bed->paths[0]);
    assert_int_equal(enter(bed, 0)->addr, ADDR_A);
    assert_ok(
        plug_build(&bed->kernel, endpoint_table_find(&bed->state.endpoints, "a", "eth0"), MTU));
    assert_pings(bed, 0, "10.42.1.2");
    assert_right(bed);
}

static void devices_of_ours_without_a_record_are_removed_and_no_others(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *links = NULL;

    (void)enter(bed, 0);
    look(bed);
    state_detach(&bed->state, "a", "eth0", 0);
    lab_do("ip", "link", "add", "qvfffffff1", "type", "veth", "peer", "name", "x");
    look(bed);
    links = lab_run("ip", "-o", "link", "show", NULL);
    assert_null(strstr(links, "qv0a2a0101"));
    assert_non_null(strstr(links, "qvfffffff1"));
    assert_right(bed);
}

static void endpoints_follow_the_overlays_mtu_and_keep_it_when_it_goes(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *inside = NULL, *after = NULL;

    (void)enter(bed, 0);
    (void)lab_vxlan(bed->kernel.nl);
    look(bed);
    assert_int_equal(bed->rc.mtu_bytes, 1450);
    lab_do("ip", "link", "set", "vxlan100", "mtu", "1390");
    look(bed);
    inside = run_inside(bed, 0, "link", "show");
    assert_non_null(strstr(inside, "mtu 1390"));
    assert_int_equal(bed->state.mtu_bytes, 1390);
    assert_int_equal(bed->saves, 2);
    lab_do("ip", "link", "del", "vxlan100");
    assert_right(bed);
    after = run_inside(bed, 0, "link", "show");
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
    look(bed);
    assert_right(bed); /* not ready yet is no error */
    (void)lab_vxlan(bed->kernel.nl);
    look(bed);
    routes = lab_run("ip", "route", "show", "10.42.2.0/24", NULL);
    assert_string_equal(routes, "10.42.2.0/24 via 10.42.2.0 dev vxlan100 proto 81 onlink \n");
    lab_do("ip", "link", "set", "vxlan100", "down");
    assert_right(bed);
    lab_do("ip", "link", "set", "vxlan100", "up");
    look(bed);
    again = lab_run("ip", "route", "show", "10.42.2.0/24", NULL);
    assert_string_equal(again, routes);
    assert_right(bed);
}

static void a_foreign_route_is_never_touched_and_ours_comes_when_it_goes(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *foreign = NULL, *ours = NULL;

    (void)lab_vxlan(bed->kernel.nl);
    lab_do("ip", "route", "add", "10.42.2.0/24", "dev", "lo", "proto", "static");
    put_route(bed, 0x0a2a0200);
    look(bed);
    foreign = lab_run("ip", "route", "show", "10.42.2.0/24", NULL);
    assert_string_equal(foreign, "10.42.2.0/24 dev lo proto static scope link \n");
    assert_non_null(guard_error(&bed->rc.guard, "route 10.42.2.0/24"));
    lab_do("ip", "route", "del", "10.42.2.0/24");
    look(bed);
    ours = lab_run("ip", "route", "show", "10.42.2.0/24", NULL);
    assert_string_equal(ours, "10.42.2.0/24 via 10.42.2.0 dev vxlan100 proto 81 onlink \n");
    assert_right(bed);
}

/* ---- the firewall ---------------------------------------------------------------------------- */

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
    look(bed);
    assert_ok(nft_table_get(bed->kernel.nft, "inet", "quilt", &have));
    assert_true(nft_ruleset_equal(want, have));
    assert_right(bed);
}

static void peers_follow_the_overlays_entries(void **state)
{
    struct bed *bed = *state;
    int vxlan = lab_vxlan(bed->kernel.nl);
    AUTO_FREE char *with = NULL, *without = NULL;

    look(bed);
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
    assert_right(bed);
}

static void peers_that_move_and_endpoints_that_come_make_the_table_that_was_wanted(void **state)
{
    struct bed *bed = *state;
    const struct firewall_peer peers[] = {{0xc0a8010c, 0x0a2a0200}, {0xc0a8010d, 0x0a2a0300}};
    const uint32_t endpoints[] = {ADDR_A};
    const struct firewall_spec spec = {.subnet = bed->state.subnet,
                                       .cluster = bed->state.cluster,
                                       .peers = peers,
                                       .peer_count = 2,
                                       .endpoints = endpoints,
                                       .endpoint_count = 1};
    AUTO_JSON json_t *want = firewall_ruleset(&spec), *have = NULL;
    int vxlan = lab_vxlan(bed->kernel.nl);
    uint32_t before, after;

    add_peer(bed, vxlan, 2, 0xc0a8010b);
    add_peer(bed, vxlan, 4, 0xc0a8010e);
    look(bed);
    look(bed);
    assert_ok(nft_generation(bed->kernel.elements, &before));
    add_peer(bed, vxlan, 2, peers[0].host);
    add_peer(bed, vxlan, 3, peers[1].host);
    lab_do("bridge", "fdb", "del", "02:51:0a:2a:04:00", "dev", "vxlan100");
    (void)enter(bed, 0);
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
    look(bed);
    look(bed);
    assert_ok(nft_table_get(bed->kernel.nft, "inet", "quilt", &before));
    lab_do("nft", "delete element inet quilt peers { 192.168.1.11 }; "
                  "add element inet quilt peers { 192.168.1.99 : 1:1 }");
    assert_false(reconcile_firewall_is_current(&bed->rc));
    /* One that is gone cannot be removed: then all is compared. */
    add_peer(bed, vxlan, 2, 0xc0a8010c);
    add_peer(bed, vxlan, 2, 0xc0a8010b);
    look(bed);
    assert_ok(nft_table_get(bed->kernel.nft, "inet", "quilt", &after));
    assert_true(nft_ruleset_equal(before, after));
    assert_right(bed);
}

static void foreign_tables_stay_byte_for_byte(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *before = NULL, *after = NULL;

    lab_do("nft", "add table inet foreign; add set inet foreign s { type ipv4_addr; }; "
                  "add element inet foreign s { 192.0.2.1 }");
    before = lab_run("nft", "-a", "list", "table", "inet", "foreign", NULL);
    look(bed);
    lab_do("nft", "delete", "table", "inet", "quilt");
    look(bed);
    after = lab_run("nft", "-a", "list", "table", "inet", "foreign", NULL);
    assert_string_equal(before, after);
}

static void a_forged_source_is_dropped(void **state)
{
    struct bed *bed = *state;
    AUTO_FREE char *rules = NULL;
    char netns[64];

    (void)enter(bed, 0);
    (void)enter(bed, 1);
    look(bed);
    (void)snprintf(netns, sizeof netns, "--net=%s", bed->paths[0]);
    lab_do("nsenter", netns, "ip", "addr", "add", "10.42.1.77/32", "dev", "eth0");
    lab_do("nsenter", netns, "sh", "-c",
           "! ping -q -c 2 -i 0.01 -W 1 -I 10.42.1.77 10.42.1.2 >/dev/null");
    rules = lab_run("nft", "list", "counter", "inet", "quilt", "forged_source", NULL);
    assert_non_null(strstr(rules, "packets 2 "));
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

    (void)enter(bed, 0);
    look(bed);
    lab_do("ip", "link", "del", "qv0a2a0101");
    w.deadline_ms = clock_boot_ms() + 1000;
    assert_ok(loop_add_timer(bed->loop, poll_device, &w, &w.timer));
    loop_timer_set_in(w.timer, 5);
    assert_int_equal(loop_run(bed->loop), 0);
    loop_source_free(w.timer);
    assert_right(bed);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(two_endpoints_reach_each_other_and_nothing_is_written_twice),
        TEST(an_endpoint_looks_as_promised_on_both_sides),
        TEST(every_damage_is_repaired_by_one_look),
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
        TEST(the_table_in_the_kernel_is_the_one_that_was_wanted),
        TEST(peers_follow_the_overlays_entries),
        TEST(peers_that_move_and_endpoints_that_come_make_the_table_that_was_wanted),
        TEST(what_others_do_to_members_is_found_and_undone),
        TEST(foreign_tables_stay_byte_for_byte),
        TEST(a_forged_source_is_dropped),
        TEST(a_deleted_device_is_back_within_a_second_by_the_event_alone),
    };

    lab_require();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
