/* The overlay's difference, one damage at a time. */
#include <stdio.h>
#include <string.h>

#include "agent/overlay/diff.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "tests/unit/agent/overlay_sim.h"
#include "tests/unit/cmocka.h"

static struct overlay_changes diff(const struct overlay_want *want, const struct overlay_have *have)
{
    struct overlay_changes changes = {0};

    assert_int_equal(overlay_diff(want, have, &changes), 0);
    return changes;
}

struct damage_case {
    const char *name;
    void (*hurt)(struct overlay_have *have);
    struct overlay_change expected[3];
    size_t count;
};

static void lose_device(struct overlay_have *h)
{
    overlay_have_deinit(h);
}
static void take_down(struct overlay_have *h)
{
    h->device.is_up = false;
}
static void change_vni(struct overlay_have *h)
{
    h->device.vxlan.vni = 42;
}
static void change_local(struct overlay_have *h)
{
    h->device.vxlan.local ^= 1;
}
static void turn_learning_on(struct overlay_have *h)
{
    h->device.vxlan.is_learning = true;
}
static void change_mtu(struct overlay_have *h)
{
    h->device.mtu_bytes = 1500;
}
static void change_mac(struct overlay_have *h)
{
    h->device.mac = mac_from_ip4(1);
}
static void add_flooding(struct overlay_have *h)
{
    struct fdb_entry all_zero = {.remote = 0xc0a80163, .is_permanent = true};

    APPEND(h->fdbs, h->fdb_count, all_zero);
    overlay_have_sort(h);
}
static void move_fdb(struct overlay_have *h)
{
    h->fdbs[0].remote = 0xc0a80163;
}
static void take_fdb_over(struct overlay_have *h)
{
    h->fdbs[0].remote = 0xc0a80163;
    h->fdbs[0].is_external = false;
}
static void change_fdb_port(struct overlay_have *h)
{
    h->fdbs[0].port = 8472;
}
static void spell_fdb_port_out(struct overlay_have *h)
{
    h->fdbs[0].port = 4789;
    h->fdbs[0].vni = 100;
}
static void send_fdb_through_a_device(struct overlay_have *h)
{
    h->fdbs[0].via = 7;
}
static void point_fdb_to_a_nexthop(struct overlay_have *h)
{
    h->fdbs[0].remote = 0;
    h->fdbs[0].nexthop = 11;
}
static void take_neigh_over(struct overlay_have *h)
{
    h->neighs[0].protocol = 0;
}
static void add_foreign_neigh(struct overlay_have *h)
{
    struct neigh_entry foreign = {.addr = 0x0a0a0a0a, .is_permanent = true};

    APPEND(h->neighs, h->neigh_count, foreign);
}
static void add_foreign_address(struct overlay_have *h)
{
    struct addr_entry foreign = {.addr = 0x0a000105, .prefix_len = 24};

    APPEND(h->addrs, h->addr_count, foreign);
}
static void keep_old_address(struct overlay_have *h)
{
    struct addr_entry old = {.addr = 0x0a000900, .prefix_len = 32};

    APPEND(h->addrs, h->addr_count, old);
}
static void forget_onlink(struct overlay_have *h)
{
    h->routes[0].is_onlink = false;
}
static void give_route_an_mtu(struct overlay_have *h)
{
    h->routes[0].mtu_bytes = 1200;
}
static void lose_route(struct overlay_have *h)
{
    h->route_count = 0;
}
static void hide_route_behind_metric(struct overlay_have *h)
{
    h->routes[0].metric = 50;
}
static void add_shadowed_route(struct overlay_have *h)
{
    struct route_entry shadowed = h->routes[0];

    shadowed.metric = 50;
    APPEND(h->routes, h->route_count, shadowed);
    overlay_have_sort(h);
}
static void lose_alias_after_creation(struct overlay_have *h)
{
    h->device.alias[0] = '\0';
}

#define PEER_VTEP 0x0a000200
#define PEER_HOST 0xc0a8000b
#define CHANGE(object_, verb_, ...)                                         \
    {                                                                       \
        .object = OVERLAY_##object_, .verb = OVERLAY_##verb_, ##__VA_ARGS__ \
    }

static const struct damage_case damages[] = {
    {"device down", take_down, {CHANGE(LINK, REPLACE)}, 1},
    {"MTU", change_mtu, {CHANGE(MTU, REPLACE)}, 1},
    {"MAC", change_mac, {CHANGE(MAC, REPLACE)}, 1},
    {"no alias yet", lose_alias_after_creation, {CHANGE(ALIAS, REPLACE)}, 1},
    {"flooding entry", add_flooding, {CHANGE(FDB, REMOVE)}, 1},
    {"FDB moved", move_fdb, {CHANGE(FDB, REPLACE, .remote = PEER_HOST)}, 1},
    {"FDB made by hand",
     take_fdb_over,
     {CHANGE(FDB, REMOVE), CHANGE(FDB, ADD, .remote = PEER_HOST)},
     2},
    {"FDB port", change_fdb_port, {CHANGE(FDB, REPLACE, .remote = PEER_HOST)}, 1},
    {"FDB through a device of somebody's choice",
     send_fdb_through_a_device,
     {CHANGE(FDB, REPLACE, .remote = PEER_HOST)},
     1},
    {"FDB that points to a nexthop",
     point_fdb_to_a_nexthop,
     {CHANGE(FDB, REMOVE), CHANGE(FDB, ADD, .remote = PEER_HOST)},
     2},
    {"FDB with the device's own port and VNI", spell_fdb_port_out, {{0}}, 0},
    {"neighbour of another protocol",
     take_neigh_over,
     {CHANGE(NEIGH, REPLACE, .addr = PEER_VTEP)},
     1},
    {"foreign neighbour", add_foreign_neigh, {{0}}, 0},
    {"foreign address", add_foreign_address, {{0}}, 0},
    {"address of an earlier subnet",
     keep_old_address,
     {CHANGE(ADDRESS, REMOVE, .addr = 0x0a000900)},
     1},
    {"route without onlink", forget_onlink, {CHANGE(ROUTE, REPLACE, .addr = PEER_VTEP)}, 1},
    {"route with another MTU", give_route_an_mtu, {CHANGE(ROUTE, REPLACE, .addr = PEER_VTEP)}, 1},
    {"route lost", lose_route, {CHANGE(ROUTE, ADD, .addr = PEER_VTEP)}, 1},
    {"route of another metric only",
     hide_route_behind_metric,
     {CHANGE(ROUTE, ADD, .addr = PEER_VTEP)},
     1},
    {"a second route behind ours", add_shadowed_route, {{0}}, 0},
};

static void each_damage_has_its_repair_and_no_other(void **state)
{
    for (size_t d = 0; d < ARRAY_LEN(damages); d++) {
        struct overlay_want want = make_want(1);
        struct overlay_have have = overlay_have_from_want(&want);
        struct overlay_changes changes;

        damages[d].hurt(&have);
        changes = diff(&want, &have);
        if (changes.count != damages[d].count)
            print_error("%s: %zu changes\n", damages[d].name, changes.count);
        assert_int_equal(changes.count, damages[d].count);
        for (size_t i = 0; i < changes.count; i++) {
            assert_int_equal(changes.items[i].object, damages[d].expected[i].object);
            assert_int_equal(changes.items[i].verb, damages[d].expected[i].verb);
            assert_int_equal(changes.items[i].addr, damages[d].expected[i].addr);
            assert_int_equal(changes.items[i].remote, damages[d].expected[i].remote);
        }
        overlay_changes_deinit(&changes);
        overlay_have_deinit(&have);
        overlay_want_deinit(&want);
    }
}

static void our_device_that_cannot_be_mended_is_made_anew(void **state)
{
    void (*const hurts[])(struct overlay_have *) = {change_vni, change_local, turn_learning_on,
                                                    lose_device};

    for (size_t i = 0; i < ARRAY_LEN(hurts); i++) {
        struct overlay_want want = make_want(3);
        struct overlay_have have = overlay_have_from_want(&want);
        struct overlay_changes changes;
        size_t first = 0;

        hurts[i](&have);
        changes = diff(&want, &have);
        if (hurts[i] != lose_device)
            assert_int_equal(changes.items[first++].verb, OVERLAY_REMOVE);
        assert_int_equal(changes.items[first].object, OVERLAY_DEVICE);
        assert_int_equal(changes.items[first].verb, OVERLAY_ADD);
        /* device, address, link, and three of each peer */
        assert_int_equal(changes.count, first + 12);
        overlay_changes_deinit(&changes);
        overlay_have_deinit(&have);
        overlay_want_deinit(&want);
    }
}

static void a_device_that_is_not_ours_is_refused(void **state)
{
    const struct {
        const char *kind, *alias, *text;
    } cases[] = {
        {"dummy", "", "of kind 'dummy'"},
        {"bridge", "quilt:x:overlay", "of kind 'bridge'"},
        {"vxlan", "flannel", "its alias 'flannel'"},
        {"vxlan", "", "its alias ''"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct overlay_want want = make_want(1);
        struct overlay_have have = {.device = {.ifindex = 9}};
        struct overlay_changes changes = {0};

        (void)snprintf(have.device.kind, sizeof have.device.kind, "%s", cases[i].kind);
        (void)snprintf(have.device.alias, sizeof have.device.alias, "%s", cases[i].alias);
        assert_int_equal(overlay_diff(&want, &have, &changes), OVERLAY_DIFF_REFUSED);
        assert_int_equal(changes.count, 0);
        assert_non_null(strstr(err_text(), cases[i].text));
        overlay_want_deinit(&want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_damage_has_its_repair_and_no_other),
        cmocka_unit_test(our_device_that_cannot_be_mended_is_made_anew),
        cmocka_unit_test(a_device_that_is_not_ours_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
