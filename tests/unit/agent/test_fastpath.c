/* The fast path's records: what they hold, which slots they get, how they differ. */

#include <arpa/inet.h>
#include <string.h>

#include "agent/fastpath/records.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static struct overlay_peer peers[] = {
    {0x0a2a0200, 0xc0a8010b}, {0x0a2a0300, 0xc0a8010c}, {0x0a2a0400, 0xc0a8010d}};

static struct overlay_want make(void)
{
    return (struct overlay_want){.vni = 100,
                                 .port = 4789,
                                 .local = 0xc0a8010a,
                                 .subnet = {0x0a2a0100, 24},
                                 .peers = peers,
                                 .peer_count = ARRAY_LEN(peers)};
}

static void the_config_says_who_this_node_is(void **state)
{
    const struct overlay_want want = make();
    const struct fastpath_config config = fastpath_make_config(&want, true, 32768, 60999);
    const uint8_t mac[] = {0x02, 0x51, 10, 42, 1, 0};

    assert_int_equal(config.is_enabled, 1);
    assert_int_equal(ntohl(config.local_be), 0xc0a8010a);
    assert_int_equal(ntohl(config.subnet_be), 0x0a2a0100);
    assert_int_equal(ntohl(config.mask_be), 0xffffff00);
    assert_int_equal(ntohl(config.vni_be), 0x00006400);
    assert_int_equal(ntohs(config.port_be), 4789);
    assert_int_equal(config.source_port_min, 32768);
    assert_int_equal(config.source_port_count, 28231);
    assert_memory_equal(config.vtep_mac, mac, sizeof mac);
    assert_int_equal(config.subnet_shift, 8);
    assert_int_equal(fastpath_make_config(&want, false, 1, 2).is_enabled, 0);
}

static void a_peers_headers_are_ready_but_for_what_each_packet_has_of_its_own(void **state)
{
    static const uint8_t headers[FASTPATH_INNER_OFFSET] = {
        0,    0,    0,    0,    0,   0,   0,    0,    0,  0,  0, 0, 0x08, 0x00, /* Ethernet */
        0x45, 0,    0,    0,    0,   0,   0,    0,    64, 17, 0, 0,             /* IPv4 */
        192,  168,  1,    10,   192, 168, 1,    11,                             /* addresses */
        0,    0,    0x12, 0xb5, 0,   0,   0,    0,                              /* UDP */
        0x08, 0,    0,    0,    0,   0,   100,  0,                              /* VXLAN */
        0x02, 0x51, 10,   42,   2,   0,   0x02, 0x51, 10, 42, 1, 0, 0x08, 0x00, /* Ethernet */
    };
    const struct overlay_want want = make();
    const struct fastpath_way way = {.ifindex = 7, .next_hop = 0xc0a80101, .mtu_bytes = 1500};
    const struct fastpath_peer peer = fastpath_make_peer(&want, &peers[0], &way, 1450);

    assert_int_equal(ntohl(peer.subnet_be), 0x0a2a0200);
    assert_int_equal(ntohl(peer.host_be), 0xc0a8010b);
    assert_int_equal(ntohl(peer.next_hop_be), 0xc0a80101);
    assert_int_equal(peer.ifindex, 7);
    assert_int_equal(peer.mtu, 1450);
    assert_memory_equal(peer.headers, headers, sizeof headers);
}

static void the_smaller_mtu_counts_of_the_way_and_of_the_overlay(void **state)
{
    static const struct {
        uint32_t way, overlay, mtu;
    } cases[] = {
        {1500, 1450, 1450}, {1400, 1450, 1350}, {9000, 1450, 1450},
        {1500, 0, 0},       {40, 1450, 0},      {0, 1450, 0},
    };
    const struct overlay_want want = make();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fastpath_way way = {.ifindex = 7, .mtu_bytes = cases[i].way};

        assert_int_equal(fastpath_make_peer(&want, &peers[0], &way, cases[i].overlay).mtu,
                         cases[i].mtu);
    }
}

static void what_was_found_to_pass_is_the_mtu_where_it_is_less(void **state)
{
    const struct overlay_want want = make();
    const struct fastpath_way way = {.ifindex = 7, .mtu_bytes = 1500};
    struct overlay_peer peer = peers[0];

    peer.found_bytes = 1400;
    assert_int_equal(fastpath_make_peer(&want, &peer, &way, 1450).mtu, 1350);
    peer.found_bytes = 9000;
    assert_int_equal(fastpath_make_peer(&want, &peer, &way, 1450).mtu, 1450);
}

static void a_next_hops_record_is_the_beginning_of_a_frame(void **state)
{
    const struct mac its = {{1, 2, 3, 4, 5, 6}}, own = {{7, 8, 9, 10, 11, 12}};
    const uint8_t frame[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct fastpath_hop hop = fastpath_make_hop(0xc0a80101, 7, its, own), other = hop;

    assert_int_equal(ntohl(hop.next_hop_be), 0xc0a80101);
    assert_int_equal(hop.ifindex, 7);
    assert_memory_equal(&hop.macs, frame, sizeof hop.macs);
    assert_memory_equal(&hop.macs_rest, frame + sizeof hop.macs, sizeof hop.macs_rest);
    other.seen_beat = 3;
    other.seen_at = 4;
    assert_true(fastpath_hop_is_same(&hop, &other));
    other = fastpath_make_hop(0xc0a80101, 7, own, own);
    assert_false(fastpath_hop_is_same(&hop, &other));
    hop.next_hop_be = other.next_hop_be = 0;
    assert_true(fastpath_hop_is_same(&hop, &other));
}

/* ---- slots and differences ----------------------------------------------------------------- */

static struct fastpath_entry entry(uint32_t vtep, uint32_t slot)
{
    return (struct fastpath_entry){
        .vtep = vtep, .index = vtep, .peer = {.slot = slot, .mtu = 1450}};
}

static void a_peer_keeps_its_slot_and_a_new_one_gets_the_first_free_one(void **state)
{
    struct fastpath_entry had[] = {entry(2, 1), entry(4, 0), entry(9, 3)};
    struct fastpath_entry wanted[] = {entry(1, 0), entry(2, 0), entry(3, 0), entry(4, 0)};
    const struct fastpath_entries have = {.items = had, .count = ARRAY_LEN(had)};
    struct fastpath_entries want = {.items = wanted, .count = ARRAY_LEN(wanted)};
    struct fastpath_slots slots;

    fastpath_note_slots(&slots, &have);
    fastpath_take_slots(&slots, &want, &have);
    assert_int_equal(wanted[0].peer.slot, 2);
    assert_int_equal(wanted[1].peer.slot, 1);
    assert_int_equal(wanted[2].peer.slot, 4);
    assert_int_equal(wanted[3].peer.slot, 0);
}

static void a_slot_that_was_freed_is_the_next_ones(void **state)
{
    struct fastpath_entry had[] = {entry(2, 0), entry(4, 1), entry(5, FASTPATH_PEER_SLOTS - 1)};
    struct fastpath_entry kept[] = {entry(4, 1)};
    struct fastpath_entry first[] = {entry(7, 9)}, second[] = {entry(8, 9)};
    const struct fastpath_entries have = {.items = had, .count = 3}, none = {0};
    const struct fastpath_entries want = {.items = kept, .count = 1};
    struct fastpath_entries one = {.items = first, .count = 1}, two = {.items = second, .count = 1};
    struct fastpath_slots slots;

    fastpath_note_slots(&slots, &have);
    fastpath_free_slots(&slots, &want, &have);
    fastpath_take_slots(&slots, &one, &none);
    assert_int_equal(first[0].peer.slot, 0);
    fastpath_take_slots(&slots, &two, &none);
    assert_int_equal(second[0].peer.slot, 2);
    assert_false(slots.is_taken[FASTPATH_PEER_SLOTS - 1]); /* everybody's stays everybody's */
}

static void peers_beyond_the_slots_share_the_last_one(void **state)
{
    const struct fastpath_entries none = {0};
    struct fastpath_entries want = {.count = FASTPATH_PEER_SLOTS + 2};
    struct fastpath_slots slots = {0};

    want.items = mem_zalloc(want.count * sizeof *want.items);
    for (size_t i = 0; i < want.count; i++)
        want.items[i].vtep = (uint32_t)i;
    fastpath_take_slots(&slots, &want, &none);
    assert_int_equal(want.items[FASTPATH_PEER_SLOTS - 2].peer.slot, FASTPATH_PEER_SLOTS - 2);
    for (size_t i = FASTPATH_PEER_SLOTS - 1; i < want.count; i++)
        assert_int_equal(want.items[i].peer.slot, FASTPATH_PEER_SLOTS - 1);
    fastpath_entries_deinit(&want);
}

static void of_two_at_one_index_the_first_stays(void **state)
{
    struct fastpath_entry wanted[] = {entry(1, 0), entry(2, 0), entry(3, 0)};
    struct fastpath_entries want = {.items = wanted, .count = ARRAY_LEN(wanted)};

    wanted[1].index = 1;
    fastpath_entries_drop_doubles(&want);
    assert_int_equal(want.count, 2);
    assert_int_equal(want.items[0].vtep, 1);
    assert_int_equal(want.items[1].vtep, 3);
}

static void a_record_at_a_wrong_index_is_taken_away_and_put_at_the_right_one(void **state)
{
    struct fastpath_entry had[] = {entry(1, 0)}, wanted[] = {entry(1, 0)};
    const struct fastpath_entries have = {.items = had, .count = 1}, want = {wanted, 1};
    struct fastpath_difference difference;

    had[0].index = 7;
    fastpath_compare(&want, &have, false, &difference);
    assert_int_equal(difference.put_count, 1);
    assert_int_equal(difference.removal_count, 1);
    assert_int_equal(difference.removals[0], 7);
    fastpath_difference_deinit(&difference);
}

static void only_what_differs_is_written_and_removed(void **state)
{
    struct fastpath_entry had[] = {entry(1, 0), entry(2, 1), entry(3, 2)};
    struct fastpath_entry wanted[] = {entry(1, 0), entry(3, 2), entry(4, 3)};
    const struct fastpath_entries have = {.items = had, .count = ARRAY_LEN(had)};
    const struct fastpath_entries want = {.items = wanted, .count = ARRAY_LEN(wanted)};
    struct fastpath_difference difference;

    wanted[1].peer.mtu = 1300;
    fastpath_compare(&want, &have, false, &difference);
    assert_int_equal(difference.put_count, 2);
    assert_int_equal(difference.puts[0]->vtep, 3);
    assert_int_equal(difference.puts[1]->vtep, 4);
    assert_int_equal(difference.removal_count, 1);
    assert_int_equal(difference.removals[0], 2);
    fastpath_difference_deinit(&difference);
}

static void what_is_right_has_no_difference_and_doubt_removes_nothing(void **state)
{
    struct fastpath_entry had[] = {entry(1, 0), entry(2, 1)};
    const struct fastpath_entries have = {.items = had, .count = 2},
                                  want = {.items = had, .count = 1};
    struct fastpath_difference difference;

    fastpath_compare(&have, &have, false, &difference);
    assert_int_equal(difference.put_count + difference.removal_count, 0);
    fastpath_difference_deinit(&difference);
    fastpath_compare(&want, &have, true, &difference);
    assert_int_equal(difference.put_count + difference.removal_count, 0);
    fastpath_difference_deinit(&difference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_config_says_who_this_node_is),
        cmocka_unit_test(a_peers_headers_are_ready_but_for_what_each_packet_has_of_its_own),
        cmocka_unit_test(what_was_found_to_pass_is_the_mtu_where_it_is_less),
        cmocka_unit_test(a_next_hops_record_is_the_beginning_of_a_frame),
        cmocka_unit_test(the_smaller_mtu_counts_of_the_way_and_of_the_overlay),
        cmocka_unit_test(a_peer_keeps_its_slot_and_a_new_one_gets_the_first_free_one),
        cmocka_unit_test(a_slot_that_was_freed_is_the_next_ones),
        cmocka_unit_test(peers_beyond_the_slots_share_the_last_one),
        cmocka_unit_test(of_two_at_one_index_the_first_stays),
        cmocka_unit_test(a_record_at_a_wrong_index_is_taken_away_and_put_at_the_right_one),
        cmocka_unit_test(only_what_differs_is_written_and_removed),
        cmocka_unit_test(what_is_right_has_no_difference_and_doubt_removes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
