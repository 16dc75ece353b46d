/* Neighbours and forwarding entries, also ten thousand at once. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/net/fdb.h"
#include "lib/net/neigh.h"
#include "lib/net/route.h"
#include "lib/net/vxlan.h"
#include "tests/kernel/lab.h"

#define PEERS 10000

static struct fdb_entry fdb_entry(int ifindex, uint32_t n)
{
    return (struct fdb_entry){
        .ifindex = ifindex, .mac = mac_from_ip4(0x0a000000 + (n << 8)), .remote = 0xc6120000 + n};
}

static struct neigh_entry neigh_entry(int ifindex, uint32_t n)
{
    uint32_t addr = 0x0a000000 + (n << 8);

    return (struct neigh_entry){.ifindex = ifindex, .addr = addr, .mac = mac_from_ip4(addr)};
}

static void a_new_device_forwards_to_nobody(void **state)
{
    AUTO_FREE struct fdb_entry *entries = NULL;
    size_t count;

    assert_ok(fdb_dump(*state, lab_vxlan(*state), &entries, &count));
    assert_int_equal(count, 0);
    assert_null(entries);
}

static void an_fdb_entry_is_permanent_external_and_single(void **state)
{
    AUTO_FREE struct fdb_entry *entries = NULL;
    AUTO_FREE char *shown = NULL;
    struct fdb_entry entry = fdb_entry(lab_vxlan(*state), 2);
    size_t count;

    assert_ok(lab_set_fdb(*state, &entry));
    assert_ok(lab_set_fdb(*state, &entry));
    assert_ok(fdb_dump(*state, entry.ifindex, &entries, &count));
    assert_int_equal(count, 1);
    assert_true(mac_equal(entries[0].mac, entry.mac));
    assert_int_equal(entries[0].remote, 0xc6120002);
    assert_true(entries[0].is_permanent);
    assert_true(entries[0].is_external);
    assert_int_equal(entries[0].port, 0);
    assert_int_equal(entries[0].vni, 0);
    shown = lab_run("bridge", "fdb", "show", "dev", "vxlan100", NULL);
    assert_string_equal(shown, "02:51:0a:00:02:00 dst 198.18.0.2 self extern_learn permanent\n");
}

static void replacing_moves_the_mac_to_the_new_host(void **state)
{
    AUTO_FREE struct fdb_entry *entries = NULL;
    struct fdb_entry entry = fdb_entry(lab_vxlan(*state), 2);
    size_t count;

    assert_ok(lab_set_fdb(*state, &entry));
    entry.remote = 0xc6120063;
    assert_ok(lab_set_fdb(*state, &entry));
    assert_ok(fdb_dump(*state, entry.ifindex, &entries, &count));
    assert_int_equal(count, 1);
    assert_int_equal(entries[0].remote, 0xc6120063);
}

/* The VXLAN driver appends remotes to flooding entries only; this holds it to that. */
static void a_peers_mac_cannot_get_a_second_remote(void **state)
{
    AUTO_FREE struct fdb_entry *entries = NULL;
    struct fdb_entry entry = fdb_entry(lab_vxlan(*state), 2);
    size_t count;

    assert_ok(lab_set_fdb(*state, &entry));
    lab_do("bridge", "fdb", "append", "02:51:0a:00:02:00", "dev", "vxlan100", "dst", "198.18.0.7",
           "extern_learn");
    assert_ok(fdb_dump(*state, entry.ifindex, &entries, &count));
    assert_int_equal(count, 1);
    assert_int_equal(entries[0].remote, 0xc6120002);
}

static void another_port_or_vni_shows(void **state)
{
    struct fdb_entry entry = fdb_entry(lab_vxlan(*state), 2);
    struct fdb_entry now;

    assert_ok(lab_set_fdb(*state, &entry));
    lab_do("bridge", "fdb", "replace", "02:51:0a:00:02:00", "dev", "vxlan100", "dst", "198.18.0.2",
           "port", "8472", "vni", "7");
    assert_ok(fdb_get(*state, entry.ifindex, entry.mac, &now));
    assert_int_equal(now.port, 8472);
    assert_int_equal(now.vni, 7);
    assert_false(now.is_external);
    assert_ok(lab_delete_fdb(*state, &now));
    assert_ok(lab_set_fdb(*state, &entry));
    assert_ok(fdb_get(*state, entry.ifindex, entry.mac, &now));
    assert_int_equal(now.port, 0);
    assert_int_equal(now.vni, 0);
    assert_true(now.is_external);
}

/* Why such an entry is removed first (agent/overlay/diff.c). */
static void what_was_made_by_hand_stays_without_the_mark_whatever_is_written_over_it(void **state)
{
    struct fdb_entry entry = fdb_entry(lab_vxlan(*state), 2);
    struct fdb_entry now;

    lab_do("bridge", "fdb", "add", "02:51:0a:00:02:00", "dev", "vxlan100", "dst", "198.18.0.7");
    assert_ok(lab_set_fdb(*state, &entry));
    assert_ok(fdb_get(*state, entry.ifindex, entry.mac, &now));
    assert_int_equal(now.remote, 0xc6120002);
    assert_false(now.is_external);
    assert_ok(lab_delete_fdb(*state, &now));
    assert_ok(lab_set_fdb(*state, &entry));
    assert_ok(fdb_get(*state, entry.ifindex, entry.mac, &now));
    assert_int_equal(now.remote, 0xc6120002);
    assert_true(now.is_external);
    assert_true(now.is_permanent);
}

static void a_flooding_entry_shows_in_the_dump_and_can_be_deleted(void **state)
{
    AUTO_FREE struct fdb_entry *entries = NULL;
    int ifindex = lab_vxlan(*state);
    size_t count;

    lab_do("bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "vxlan100", "dst", "198.18.0.7");
    lab_do("bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "vxlan100", "dst", "198.18.0.8");
    assert_ok(fdb_dump(*state, ifindex, &entries, &count));
    assert_int_equal(count, 2);
    assert_ok(lab_delete_fdb(*state, &entries[0]));
    assert_ok(lab_delete_fdb(*state, &entries[1]));
    assert_error(lab_delete_fdb(*state, &entries[1]), ENOENT);
    free(TAKE_PTR(entries));
    assert_ok(fdb_dump(*state, ifindex, &entries, &count));
    assert_int_equal(count, 0);
}

static void a_neighbour_is_permanent_external_and_marked(void **state)
{
    AUTO_FREE struct neigh_entry *entries = NULL;
    AUTO_FREE char *shown = NULL;
    struct neigh_entry entry = neigh_entry(lab_vxlan(*state), 2);
    size_t count;

    assert_ok(neigh_replace(*state, &entry));
    assert_ok(neigh_replace(*state, &entry));
    assert_ok(neigh_dump(*state, entry.ifindex, &entries, &count));
    assert_int_equal(count, 1);
    assert_int_equal(entries[0].addr, 0x0a000200);
    assert_true(mac_equal(entries[0].mac, entry.mac));
    assert_true(entries[0].is_permanent);
    assert_true(entries[0].is_external);
    assert_int_equal(entries[0].protocol, 81);
    shown = lab_run("ip", "neigh", "show", "dev", "vxlan100", NULL);
    assert_string_equal(shown,
                        "10.0.2.0 lladdr 02:51:0a:00:02:00 extern_learn PERMANENT proto 81 \n");
    assert_ok(lab_delete_neigh(*state, &entry));
    assert_error(lab_delete_neigh(*state, &entry), ENOENT);
    free(TAKE_PTR(entries));
    assert_ok(neigh_dump(*state, entry.ifindex, &entries, &count));
    assert_int_equal(count, 0);
}

static void replacing_takes_over_a_neighbour_made_by_hand(void **state)
{
    AUTO_FREE struct neigh_entry *entries = NULL;
    struct neigh_entry entry = neigh_entry(lab_vxlan(*state), 2);
    size_t count;

    lab_do("ip", "neigh", "add", "10.0.2.0", "lladdr", "02:00:00:00:00:01", "dev", "vxlan100",
           "nud", "reachable");
    assert_ok(neigh_replace(*state, &entry));
    assert_ok(neigh_dump(*state, entry.ifindex, &entries, &count));
    assert_int_equal(count, 1);
    assert_true(mac_equal(entries[0].mac, entry.mac));
    assert_true(entries[0].is_permanent);
    assert_true(entries[0].is_external);
    assert_int_equal(entries[0].protocol, 81);
}

static void other_devices_neighbours_are_not_listed(void **state)
{
    AUTO_FREE struct neigh_entry *entries = NULL;
    int ifindex = lab_vxlan(*state);
    size_t count;

    lab_do("ip", "link", "add", "d0", "type", "veth", "peer", "name", "p0");
    lab_do("ip", "neigh", "add", "10.0.2.0", "lladdr", "02:00:00:00:00:01", "dev", "d0", "nud",
           "permanent");
    assert_ok(neigh_dump(*state, ifindex, &entries, &count));
    assert_int_equal(count, 0);
}

static int64_t now_us(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void assert_all_worked(const struct nl_batch *batch)
{
    for (size_t i = 0; i < nl_batch_count(batch); i++)
        if (nl_batch_result(batch, i)->result != 0)
            fail_msg("change %zu: %s", i, nl_batch_result(batch, i)->text);
}

/* Neighbour, FDB entry and route for each of many peers, in one batch. */
static void fill_peers(struct nl_batch *batch, int ifindex)
{
    for (uint32_t n = 1; n <= PEERS; n++) {
        struct neigh_entry neigh = neigh_entry(ifindex, n);
        struct fdb_entry fdb = fdb_entry(ifindex, n);
        struct route_entry route = {
            .dst = {neigh.addr, 24}, .gateway = neigh.addr, .ifindex = ifindex, .is_onlink = true};

        neigh_fill_replace(nl_batch_next(batch, NULL), &neigh);
        fdb_fill_replace(nl_batch_next(batch, NULL), &fdb);
        route_fill_replace(nl_batch_next(batch, NULL), &route);
    }
}

static void ten_thousand_peers_go_in_with_one_batch(void **state)
{
    AUTO_FREE struct neigh_entry *neighs = NULL;
    AUTO_FREE struct fdb_entry *fdbs = NULL;
    AUTO_FREE struct route_entry *routes = NULL;
    struct nl_batch *batch = nl_batch_new();
    int ifindex = lab_vxlan(*state);
    int64_t start_us;
    size_t count;

    fill_peers(batch, ifindex);
    assert_int_equal(nl_batch_count(batch), 3 * PEERS);
    start_us = now_us();
    assert_ok(nl_batch_send(*state, batch));
    print_message("%d changes in %lld us\n", 3 * PEERS, (long long)(now_us() - start_us));
    assert_all_worked(batch);
    nl_batch_free(batch);
    start_us = now_us();
    assert_ok(neigh_dump(*state, ifindex, &neighs, &count));
    assert_int_equal(count, PEERS);
    assert_ok(fdb_dump(*state, ifindex, &fdbs, &count));
    assert_int_equal(count, PEERS);
    assert_ok(route_dump(*state, QUILT_ROUTE_PROTOCOL, ifindex, &routes, &count));
    assert_int_equal(count, PEERS);
    print_message("%d entries dumped in %lld us\n", 3 * PEERS, (long long)(now_us() - start_us));
}

/* Every change of a batch has its own result, whether few or all fail. */
static void each_change_of_a_batch_has_its_own_result(void **state)
{
    struct nl_batch *batch = nl_batch_new();
    int ifindex = lab_vxlan(*state);
    int owner;

    for (uint32_t n = 0; n < PEERS; n++) {
        struct neigh_entry neigh = neigh_entry(n % 3 == 1 ? 4711 : ifindex, n + 1);

        neigh_fill_replace(nl_batch_next(batch, n == 7 ? &owner : NULL), &neigh);
    }
    assert_ok(nl_batch_send(*state, batch));
    for (size_t n = 0; n < PEERS; n++) {
        const struct nl_change *change = nl_batch_result(batch, n);

        assert_int_equal(change->result, n % 3 == 1 ? -ENODEV : 0);
        assert_string_equal(change->text, n % 3 == 1 ? "No such device" : "");
        assert_ptr_equal(change->owner, n == 7 ? &owner : NULL);
    }
    nl_batch_free(batch);
}

static void a_batch_may_fail_throughout_with_the_kernels_words(void **state)
{
    struct nl_batch *batch = nl_batch_new();
    int ifindex = lab_vxlan(*state);

    for (uint32_t n = 0; n < PEERS; n++) {
        struct route_entry route = {.dst = {0x0a000001, 24}, .ifindex = ifindex};

        route_fill_replace(nl_batch_next(batch, NULL), &route);
    }
    assert_ok(nl_batch_send(*state, batch));
    for (size_t n = 0; n < PEERS; n++) {
        assert_int_equal(nl_batch_result(batch, n)->result, -EINVAL);
        assert_string_equal(nl_batch_result(batch, n)->text,
                            "Invalid argument (Invalid prefix for given prefix length)");
    }
    nl_batch_free(batch);
}

static void an_empty_batch_is_nothing_to_do(void **state)
{
    struct nl_batch *batch = nl_batch_new();

    assert_ok(nl_batch_send(*state, batch));
    nl_batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB_TEST(a_new_device_forwards_to_nobody),
        LAB_TEST(an_fdb_entry_is_permanent_external_and_single),
        LAB_TEST(replacing_moves_the_mac_to_the_new_host),
        LAB_TEST(a_peers_mac_cannot_get_a_second_remote),
        LAB_TEST(another_port_or_vni_shows),
        LAB_TEST(what_was_made_by_hand_stays_without_the_mark_whatever_is_written_over_it),
        LAB_TEST(a_flooding_entry_shows_in_the_dump_and_can_be_deleted),
        LAB_TEST(a_neighbour_is_permanent_external_and_marked),
        LAB_TEST(replacing_takes_over_a_neighbour_made_by_hand),
        LAB_TEST(other_devices_neighbours_are_not_listed),
        LAB_TEST(ten_thousand_peers_go_in_with_one_batch),
        LAB_TEST(each_change_of_a_batch_has_its_own_result),
        LAB_TEST(a_batch_may_fail_throughout_with_the_kernels_words),
        LAB_TEST(an_empty_batch_is_nothing_to_do),
    };

    lab_require();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
