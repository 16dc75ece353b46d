/* The properties of the overlay's difference, for any overlay and any damage. */
#include <string.h>
#include <time.h>

#include "agent/overlay/diff.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "tests/unit/agent/overlay_sim.h"
#include "tests/unit/cmocka.h"

#define MANY 10000

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

static void apply(const struct overlay_want *want, struct overlay_have *have)
{
    struct overlay_changes changes = diff(want, have);

    for (size_t i = 0; i < changes.count; i++)
        simulate(have, want, &changes.items[i]);
    overlay_have_sort(have);
    overlay_changes_deinit(&changes);
}

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

/* An agent that starts again knows the peers of its state file at first, or none when it is lost.
 * Those that it had besides are still in the kernel, and containers talk through them. */
static void while_not_all_peers_are_known_nothing_of_others_is_removed(void **state)
{
    struct overlay_want all = make_want(20), some = make_want(0);
    struct overlay_have have = overlay_have_from_want(&all);

    some.is_partial = true;
    assert_nothing_to_do(&some, &have);
    some.is_partial = false;
    apply(&some, &have);
    assert_int_equal(have.route_count + have.fdb_count + have.neigh_count, 0);
    overlay_have_deinit(&have);
    overlay_want_deinit(&all);
    overlay_want_deinit(&some);
}

/* But what can be no other peer's: an entry that floods, a route of another length, a way to our
 * own subnet. */
static void while_not_all_peers_are_known_what_is_nobodys_is_removed(void **state)
{
    struct overlay_want want = make_want(3), some = make_want(1);
    struct overlay_have have = overlay_have_from_want(&want);
    struct fdb_entry flood = have.fdbs[0], own = have.fdbs[0];
    struct route_entry wide = have.routes[0], way_to_us = have.routes[0];

    some.is_partial = true;
    flood.mac = (struct mac){.bytes = {0}};
    own.mac = mac_from_ip4(want.subnet.addr);
    wide.dst.len = 16;
    way_to_us.dst.addr = way_to_us.gateway = want.subnet.addr;
    APPEND(have.fdbs, have.fdb_count, flood);
    APPEND(have.fdbs, have.fdb_count, own);
    APPEND(have.routes, have.route_count, wide);
    APPEND(have.routes, have.route_count, way_to_us);
    overlay_have_sort(&have);
    apply(&some, &have);
    assert_nothing_to_do(&want, &have);
    overlay_have_deinit(&have);
    overlay_want_deinit(&want);
    overlay_want_deinit(&some);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_needs_no_change),
        cmocka_unit_test(from_nothing_all_is_built_in_order),
        cmocka_unit_test(after_the_changes_of_any_damage_there_is_nothing_to_do),
        cmocka_unit_test(a_peers_route_comes_last_and_goes_first),
        cmocka_unit_test(while_not_all_peers_are_known_nothing_of_others_is_removed),
        cmocka_unit_test(while_not_all_peers_are_known_what_is_nobodys_is_removed),
        cmocka_unit_test(time_grows_with_the_peers_not_with_their_square),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
