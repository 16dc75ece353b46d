/* The overlay's difference: a table of damages, and the properties that hold for any overlay, on a
 * kernel that is simulated by sorted arrays. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/overlay/diff.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "tests/unit/cmocka.h"

#define MANY 10000

/* ---- overlays to work on ------------------------------------------------------------------- */

/* 10.0.0.0/8 in /24s; we are 10.0.1.0/24, peers follow. */
static struct overlay_want make_want(size_t count)
{
    struct overlay_want want = {
        .alias = "quilt:test:overlay",
        .vni = 100,
        .port = 4789,
        .local = 0xc0a8010a, /* 192.168.1.10 */
        .subnet = {.addr = 0x0a000100, .len = 24},
        .mtu_bytes = 1450,
        .peers = mem_array(count + 1, sizeof *want.peers),
    };

    for (size_t i = 0; i < count; i++)
        want.peers[want.peer_count++] = (struct overlay_peer){
            .vtep = 0x0a000200 + (uint32_t)i * 256, .host_ip = 0xc0a80000 + 11 + (uint32_t)i};
    return want;
}

static struct overlay_changes diff(const struct overlay_want *want, const struct overlay_have *have)
{
    struct overlay_changes changes = {0};

    assert_int_equal(overlay_diff(want, have, &changes), 0);
    return changes;
}

static void assert_nothing_to_do(const struct overlay_want *want, const struct overlay_have *have)
{
    struct overlay_changes changes = diff(want, have);

    assert_int_equal(changes.count, 0);
    overlay_changes_deinit(&changes);
}

/* ---- a kernel ------------------------------------------------------------------------------ */

/* What the kernel would have after one change. Removing shifts, adding appends; sorted after. */
#define REMOVE_WHERE(array_, count_, condition_) \
    do {                                         \
        size_t kept_ = 0;                        \
        for (size_t i = 0; i < (count_); i++)    \
            if (!(condition_))                   \
                (array_)[kept_++] = (array_)[i]; \
        (count_) = kept_;                        \
    } while (0)
#define APPEND(array_, count_, value_)                                   \
    do {                                                                 \
        (array_) = mem_resize((array_), (count_) + 1, sizeof *(array_)); \
        (array_)[(count_)++] = (value_);                                 \
    } while (0)

static void simulate_device(struct overlay_have *have, const struct overlay_want *want,
                            const struct overlay_change *change)
{
    struct overlay_want alone = *want;

    overlay_have_deinit(have);
    if (change->verb == OVERLAY_REMOVE)
        return;
    alone.peer_count = 0;
    *have = overlay_have_from_want(&alone);
    have->addr_count = 0;
    have->device.is_up = false;
}

static void simulate_fdb(struct overlay_have *have, const struct overlay_change *change)
{
    struct fdb_entry entry = {
        .mac = change->mac, .remote = change->remote, .is_permanent = true, .is_external = true};

    /* replace rewrites a lone external entry; what else there is stays (as in the kernel) */
    if (change->verb == OVERLAY_REPLACE)
        REMOVE_WHERE(have->fdbs, have->fdb_count,
                     mac_equal(have->fdbs[i].mac, change->mac) && have->fdbs[i].is_external);
    if (change->verb == OVERLAY_REMOVE) {
        REMOVE_WHERE(have->fdbs, have->fdb_count,
                     mac_equal(have->fdbs[i].mac, change->mac) &&
                         (change->remote == 0 || have->fdbs[i].remote == change->remote));
        return;
    }
    APPEND(have->fdbs, have->fdb_count, entry);
}

static void simulate_neigh(struct overlay_have *have, const struct overlay_change *change)
{
    struct neigh_entry entry = {.addr = change->addr,
                                .mac = change->mac,
                                .is_permanent = true,
                                .is_external = true,
                                .protocol = 81};

    REMOVE_WHERE(have->neighs, have->neigh_count, have->neighs[i].addr == change->addr);
    if (change->verb != OVERLAY_REMOVE)
        APPEND(have->neighs, have->neigh_count, entry);
}

static void simulate_route(struct overlay_have *have, const struct overlay_change *change)
{
    struct route_entry entry = {.dst = {.addr = change->addr, .len = change->prefix_len},
                                .gateway = change->addr,
                                .is_onlink = true,
                                .protocol = 81,
                                .type = RTN_UNICAST};

    REMOVE_WHERE(have->routes, have->route_count,
                 have->routes[i].dst.addr == change->addr &&
                     have->routes[i].dst.len == change->prefix_len);
    if (change->verb != OVERLAY_REMOVE)
        APPEND(have->routes, have->route_count, entry);
}

static void simulate_address(struct overlay_have *have, const struct overlay_change *change)
{
    struct addr_entry entry = {.addr = change->addr, .prefix_len = change->prefix_len};

    REMOVE_WHERE(have->addrs, have->addr_count, have->addrs[i].addr == change->addr);
    if (change->verb != OVERLAY_REMOVE)
        APPEND(have->addrs, have->addr_count, entry);
}

static void simulate(struct overlay_have *have, const struct overlay_want *want,
                     const struct overlay_change *change)
{
    switch (change->object) {
    case OVERLAY_DEVICE:
        simulate_device(have, want, change);
        break;
    case OVERLAY_ALIAS:
        memcpy(have->device.alias, want->alias, sizeof have->device.alias);
        break;
    case OVERLAY_MAC:
        have->device.mac = mac_from_ip4(want->subnet.addr);
        break;
    case OVERLAY_MTU:
        have->device.mtu_bytes = want->mtu_bytes;
        break;
    case OVERLAY_LINK:
        have->device.is_up = true;
        break;
    case OVERLAY_ADDRESS:
        simulate_address(have, change);
        break;
    case OVERLAY_NEIGH:
        simulate_neigh(have, change);
        break;
    case OVERLAY_FDB:
        simulate_fdb(have, change);
        break;
    case OVERLAY_ROUTE:
        simulate_route(have, change);
        break;
    case OVERLAY_SYSCTL:
    case OVERLAY_OBJECT_COUNT:
        fail();
    }
}

static void apply(const struct overlay_want *want, struct overlay_have *have)
{
    struct overlay_changes changes = diff(want, have);

    for (size_t i = 0; i < changes.count; i++)
        simulate(have, want, &changes.items[i]);
    overlay_have_sort(have);
    overlay_changes_deinit(&changes);
}

/* ---- properties ---------------------------------------------------------------------------- */

static void what_is_right_needs_no_change(void **state)
{
    const size_t sizes[] = {0, 1, 2, 253, MANY};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct overlay_want want = make_want(sizes[i]);
        struct overlay_have have = overlay_have_from_want(&want);

        assert_nothing_to_do(&want, &have);
        overlay_have_deinit(&have);
        overlay_want_deinit(&want);
    }
}

static void from_nothing_all_is_built_in_order(void **state)
{
    struct overlay_want want = make_want(2);
    struct overlay_have have = {0};
    struct overlay_changes changes = diff(&want, &have);
    const struct {
        enum overlay_object object;
        enum overlay_verb verb;
        uint32_t addr;
    } expected[] = {
        {OVERLAY_DEVICE, OVERLAY_ADD, 0},
        {OVERLAY_ADDRESS, OVERLAY_ADD, 0x0a000100},
        {OVERLAY_LINK, OVERLAY_REPLACE, 0},
        {OVERLAY_NEIGH, OVERLAY_ADD, 0x0a000200},
        {OVERLAY_NEIGH, OVERLAY_ADD, 0x0a000300},
        {OVERLAY_FDB, OVERLAY_ADD, 0},
        {OVERLAY_FDB, OVERLAY_ADD, 0},
        {OVERLAY_ROUTE, OVERLAY_ADD, 0x0a000200},
        {OVERLAY_ROUTE, OVERLAY_ADD, 0x0a000300},
    };

    assert_int_equal(changes.count, ARRAY_LEN(expected));
    for (size_t i = 0; i < changes.count; i++) {
        assert_int_equal(changes.items[i].object, expected[i].object);
        assert_int_equal(changes.items[i].verb, expected[i].verb);
        assert_int_equal(changes.items[i].addr, expected[i].addr);
    }
    overlay_changes_deinit(&changes);
    apply(&want, &have);
    assert_nothing_to_do(&want, &have);
    overlay_have_deinit(&have);
    overlay_want_deinit(&want);
}

/* One random wound. */
static void damage(struct overlay_have *have, uint64_t random)
{
    size_t n = have->fdb_count, at = n ? (random >> 8) % n : 0;
    struct fdb_entry flood = {.remote = 0x0a0a0a0a, .is_permanent = true};

    switch (random % 16) {
    case 0:
        have->device.is_up = !have->device.is_up;
        break;
    case 1:
        have->device.mtu_bytes = 1400;
        break;
    case 2:
        have->device.mac.bytes[5] ^= 1;
        break;
    case 3:
        have->device.vxlan.vni = 7;
        break;
    case 4:
        have->addr_count = 0;
        break;
    case 5:
        APPEND(have->fdbs, have->fdb_count, flood);
        break;
    case 6:
        if (n)
            REMOVE_WHERE(have->fdbs, have->fdb_count, i == at);
        break;
    case 7:
        if (n)
            have->fdbs[at].remote ^= 0xff;
        break;
    case 8:
        if (n) {
            have->fdbs[at].is_external = false;
            have->fdbs[at].remote ^= 0xf0;
        }
        break;
    case 9:
        if (n) {
            flood = have->fdbs[at];
            flood.remote ^= 0xf;
            APPEND(have->fdbs, have->fdb_count, flood);
        }
        break;
    case 10:
        if (have->neigh_count)
            have->neighs[(random >> 8) % have->neigh_count].mac.bytes[0] ^= 4;
        break;
    case 11:
        if (have->neigh_count)
            REMOVE_WHERE(have->neighs, have->neigh_count, i == at % have->neigh_count);
        break;
    case 12:
        if (have->route_count)
            REMOVE_WHERE(have->routes, have->route_count, i == at % have->route_count);
        break;
    case 13:
        if (have->route_count)
            have->routes[at % have->route_count].gateway ^= 3;
        break;
    case 14:
        if (have->neigh_count)
            have->neighs[at % have->neigh_count].is_permanent = false;
        break;
    default:
        have->device.alias[7] ^= 1;
        break;
    }
    overlay_have_sort(have);
}

/* Some peers gone, some new, some elsewhere. */
static void shuffle_peers(struct overlay_want *want, uint64_t random)
{
    size_t kept = 0;

    for (size_t i = 0; i < want->peer_count; i++) {
        uint64_t luck = (random >> (i % 48)) & 7;

        if (luck == 0)
            continue;
        if (luck == 1)
            want->peers[i].host_ip ^= 0x100;
        if (luck == 2)
            want->peers[i].vtep += 0x01000000;
        want->peers[kept++] = want->peers[i];
    }
    want->peer_count = kept;
    if (kept > 1)
        qsort(want->peers, kept, sizeof *want->peers, overlay_peer_compare);
}

static void after_the_changes_of_any_damage_there_is_nothing_to_do(void **state)
{
    for (unsigned int round = 0; round < 2000; round++) {
        struct overlay_want want = make_want(round % 40);
        struct overlay_have have = overlay_have_from_want(&want);

        for (unsigned int i = 0; i < round % 7; i++)
            damage(&have, random_u64());
        if (round % 3 == 0)
            shuffle_peers(&want, random_u64());
        apply(&want, &have);
        assert_nothing_to_do(&want, &have);
        overlay_have_deinit(&have);
        overlay_want_deinit(&want);
    }
}

static void a_peers_route_comes_last_and_goes_first(void **state)
{
    struct overlay_want before = make_want(20), after = make_want(20);
    struct overlay_have have = overlay_have_from_want(&before);
    struct overlay_changes changes;
    bool is_route_gone = false, is_route_there = false;

    after.peers[3].vtep += 0x01000000; /* one peer leaves, another joins */
    qsort(after.peers, 20, sizeof *after.peers, overlay_peer_compare);
    changes = diff(&after, &have);
    assert_int_equal(changes.count, 6);
    for (size_t i = 0; i < changes.count; i++) {
        const struct overlay_change *c = &changes.items[i];

        if (c->object == OVERLAY_ROUTE) {
            is_route_gone |= c->verb == OVERLAY_REMOVE;
            is_route_there |= c->verb == OVERLAY_ADD;
            continue;
        }
        if (c->verb == OVERLAY_REMOVE) {
            assert_true(is_route_gone);
            assert_true(c->is_after_route);
        } else {
            assert_false(is_route_there);
            assert_false(c->is_after_route);
        }
    }
    overlay_changes_deinit(&changes);
    overlay_have_deinit(&have);
    overlay_want_deinit(&before);
    overlay_want_deinit(&after);
}

static double seconds_of_diff(size_t count)
{
    struct overlay_want want = make_want(count);
    struct overlay_have nothing = {0}, have = overlay_have_from_want(&want);
    struct overlay_changes changes;
    struct timespec from, to;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < 5; i++) {
        changes = diff(&want, &nothing);
        overlay_changes_deinit(&changes);
        assert_nothing_to_do(&want, &have);
    }
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    overlay_have_deinit(&have);
    overlay_want_deinit(&want);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* A quadratic one would take a hundred times as long for ten times as many. */
static void time_grows_with_the_peers_not_with_their_square(void **state)
{
    double few = seconds_of_diff(MANY / 10), many = seconds_of_diff(MANY);

    assert_true(many < 0.01 || many < 40 * few);
}

/* ---- single damages ------------------------------------------------------------------------ */

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
        cmocka_unit_test(what_is_right_needs_no_change),
        cmocka_unit_test(from_nothing_all_is_built_in_order),
        cmocka_unit_test(after_the_changes_of_any_damage_there_is_nothing_to_do),
        cmocka_unit_test(a_peers_route_comes_last_and_goes_first),
        cmocka_unit_test(time_grows_with_the_peers_not_with_their_square),
        cmocka_unit_test(each_damage_has_its_repair_and_no_other),
        cmocka_unit_test(our_device_that_cannot_be_mended_is_made_anew),
        cmocka_unit_test(a_device_that_is_not_ours_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
