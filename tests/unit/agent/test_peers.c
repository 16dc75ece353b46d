/* The other nodes, and what is believed of them. */
#include <stdio.h>
#include <string.h>

#include "agent/peers.h"
#include "tests/unit/cmocka.h"

#define CONFIRM_MS 10000

static struct api_node make_node(unsigned int number)
{
    struct api_node node = {
        .host_ip = 0xc0a80100 + number,
        .subnet = {.addr = 0x0a2a0000 + number * 256, .len = 24},
        .is_up = true,
    };

    (void)snprintf(node.node_id, sizeof node.node_id, "00000000-0000-4000-8000-%012u", number);
    (void)snprintf(node.hostname, sizeof node.hostname, "host%u", number);
    return node;
}

/* We are node 1; the list has nodes 1 to count. */
static size_t make_list(struct api_node *nodes, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        nodes[i] = make_node(i + 1);
    return count;
}

static struct peers make_peers(unsigned int count)
{
    struct peers peers = {0};
    struct api_node me = make_node(1), nodes[64];
    struct peers_self self = {
        .host_ip = me.host_ip,
        .subnet = me.subnet,
        .cluster_cidr = {.addr = 0x0a2a0000, .len = 16},
        .node_prefix_len = 24,
    };

    memcpy(self.node_id, me.node_id, sizeof self.node_id);
    peers_set_self(&peers, &self);
    assert_true(count <= 64);
    if (count > 0)
        (void)peers_take_list(&peers, nodes, make_list(nodes, count), 0, CONFIRM_MS);
    return peers;
}

static enum peer_verdict verdict_of(const struct peers *peers, unsigned int number)
{
    struct api_node node = make_node(number);
    const struct peer *peer;

    HASH_FIND_STR(peers->by_id, node.node_id, peer);
    assert_non_null(peer);
    return peer->verdict;
}

static void the_wanted_are_all_others_that_are_up_by_vtep_address(void **state)
{
    struct peers peers = {0};
    struct api_node nodes[4];
    struct overlay_peer *wanted;
    size_t count;

    peers = make_peers(0);
    (void)make_list(nodes, 4);
    nodes[2].is_up = false;
    nodes[1].subnet.addr = 0x0a2a0900;
    assert_true(peers_take_list(&peers, nodes, 4, 0, CONFIRM_MS));
    wanted = peers_wanted(&peers, &count);
    assert_int_equal(count, 2);
    assert_int_equal(wanted[0].vtep, 0x0a2a0400);
    assert_int_equal(wanted[0].host_ip, 0xc0a80104);
    assert_int_equal(wanted[1].vtep, 0x0a2a0900);
    assert_int_equal(peers_count(&peers), 3);
    free(wanted);
    peers_deinit(&peers);
}

static void a_list_or_node_that_says_nothing_new_changes_nothing(void **state)
{
    struct peers peers = make_peers(5);
    struct api_node nodes[5], beat = make_node(3);

    assert_false(peers_take_list(&peers, nodes, make_list(nodes, 5), 1, CONFIRM_MS));
    beat.last_heartbeat = 1800000000;
    assert_false(peers_take_node(&peers, &beat));
    beat.host_ip++;
    assert_true(peers_take_node(&peers, &beat));
    peers_deinit(&peers);
}

static void we_are_not_our_own_peer(void **state)
{
    struct peers peers = {0};
    struct api_node me = make_node(1);
    struct peers_self self = {.host_ip = me.host_ip};

    /* heard of before it was known to be us */
    assert_true(peers_take_node(&peers, &me));
    memcpy(self.node_id, me.node_id, sizeof self.node_id);
    peers_set_self(&peers, &self);
    assert_int_equal(peers_count(&peers), 0);
    assert_false(peers_take_node(&peers, &me));
    assert_int_equal(peers_count(&peers), 0);
    peers_deinit(&peers);
}

static void what_is_said_outright_is_done_at_once(void **state)
{
    struct peers peers = make_peers(3);
    struct api_node down = make_node(2);

    down.is_up = false;
    assert_true(peers_take_node(&peers, &down));
    assert_int_equal(verdict_of(&peers, 2), PEER_DOWN);
    assert_int_equal(peers.wanted_count, 1);
    assert_true(peers_take_deleted(&peers, make_node(3).node_id));
    assert_false(peers_take_deleted(&peers, make_node(3).node_id));
    assert_int_equal(peers_count(&peers), 1);
    assert_int_equal(peers.wanted_count, 0);
    peers_deinit(&peers);
}

static void a_list_in_which_all_are_down_is_obeyed(void **state)
{
    struct peers peers = make_peers(20);
    struct api_node nodes[20];

    (void)make_list(nodes, 20);
    for (size_t i = 0; i < 20; i++)
        nodes[i].is_up = false;
    assert_true(peers_take_list(&peers, nodes, 20, 1, CONFIRM_MS));
    assert_int_equal(peers.wanted_count, 0);
    assert_int_equal(peers.missing_count, 0);
    peers_deinit(&peers);
}

/* ---- claims that are not believed ----------------------------------------------------------- */

static void no_impossible_claim_is_ever_wanted(void **state)
{
    const struct {
        enum peer_verdict verdict;
        struct ip4_prefix subnet;
        uint32_t host_ip;
    } rows[] = {
        {PEER_OUR_SUBNET, {0x0a2a0100, 24}, 0xc0a80114},
        {PEER_OUR_HOST_IP, {0x0a2a1400, 24}, 0xc0a80101},
        {PEER_SUBNET_OUTSIDE, {0x0a2b1400, 24}, 0xc0a80114},
        {PEER_SUBNET_SIZE, {0x0a2a1400, 25}, 0xc0a80114},
        {PEER_SUBNET_SIZE, {0x0a2a0000, 16}, 0xc0a80114},
        {PEER_HOST_IP_UNUSABLE, {0x0a2a1400, 24}, 0x00000000}, /* 0.0.0.0 */
        {PEER_HOST_IP_UNUSABLE, {0x0a2a1400, 24}, 0x7f000001}, /* 127.0.0.1 */
        {PEER_HOST_IP_UNUSABLE, {0x0a2a1400, 24}, 0xef010101}, /* 239.1.1.1 */
        {PEER_HOST_IP_UNUSABLE, {0x0a2a1400, 24}, 0xffffffff},
        {PEER_HOST_IP_INSIDE, {0x0a2a1400, 24}, 0x0a2a0205}, /* 10.42.2.5 */
        {PEER_WANTED, {0x0a2a1400, 24}, 0xc0a80114},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct peers peers = make_peers(3);
        struct api_node node = make_node(20);

        node.subnet = rows[i].subnet;
        node.host_ip = rows[i].host_ip;
        assert_true(peers_take_node(&peers, &node));
        assert_int_equal(verdict_of(&peers, 20), rows[i].verdict);
        assert_int_equal(peers.wanted_count, rows[i].verdict == PEER_WANTED ? 3 : 2);
        assert_int_equal(peer_verdict_problem(rows[i].verdict) == NULL,
                         rows[i].verdict == PEER_WANTED);
        peers_deinit(&peers);
    }
}

static void of_two_claimants_of_one_subnet_neither_is_wanted_until_one_yields(void **state)
{
    struct peers peers = make_peers(3);
    struct api_node rival = make_node(9);

    rival.subnet = make_node(2).subnet;
    assert_true(peers_take_node(&peers, &rival));
    assert_int_equal(verdict_of(&peers, 2), PEER_SUBNET_TWICE);
    assert_int_equal(verdict_of(&peers, 9), PEER_SUBNET_TWICE);
    assert_int_equal(peers.wanted_count, 1);
    rival.is_up = false;
    assert_true(peers_take_node(&peers, &rival));
    assert_int_equal(verdict_of(&peers, 2), PEER_WANTED);
    peers_deinit(&peers);
}

/* ---- doubt ---------------------------------------------------------------------------------- */

static void how_many_may_vanish_without_a_word(void **state)
{
    /* known peers, how many of them the next list has, is it believed */
    const struct {
        unsigned int known, kept;
        bool is_believed;
    } rows[] = {
        {1, 0, false}, {2, 1, true},  {2, 0, false},  {3, 1, true},   {3, 0, false},   {5, 3, true},
        {5, 2, false}, {10, 5, true}, {10, 4, false}, {40, 20, true}, {40, 19, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct peers peers = make_peers(rows[i].known + 1);
        struct api_node nodes[64];
        bool is_changed =
            peers_take_list(&peers, nodes, make_list(nodes, rows[i].kept + 1), 1000, CONFIRM_MS);

        if (is_changed != rows[i].is_believed)
            print_error("%u of %u kept\n", rows[i].kept, rows[i].known);
        assert_int_equal(is_changed, rows[i].is_believed);
        assert_int_equal(peers.wanted_count, is_changed ? rows[i].kept : rows[i].known);
        assert_int_equal(peers.missing_count, is_changed ? 0 : rows[i].known - rows[i].kept);
        peers_deinit(&peers);
    }
}

static void a_doubted_list_is_believed_when_a_late_second_one_agrees(void **state)
{
    struct peers peers = make_peers(20);
    struct api_node nodes[20];

    (void)make_list(nodes, 20);
    assert_false(peers_take_list(&peers, nodes, 2, 1000, CONFIRM_MS));
    assert_int_equal(peers_confirm_at_ms(&peers, CONFIRM_MS), 11000);
    assert_false(peers_take_list(&peers, nodes, 2, 10999, CONFIRM_MS));
    assert_false(peers_take_same_list(&peers, 10999, CONFIRM_MS));
    assert_true(peers_take_same_list(&peers, 11000, CONFIRM_MS));
    assert_int_equal(peers_count(&peers), 1);
    assert_int_equal(peers.missing_count, 0);
    assert_int_equal(peers_confirm_at_ms(&peers, CONFIRM_MS), INT64_MAX);
    peers_deinit(&peers);
}

static void each_missing_node_needs_two_lists_without_it(void **state)
{
    struct peers peers = make_peers(20);
    struct api_node nodes[20];

    (void)make_list(nodes, 20);
    assert_false(peers_take_list(&peers, nodes, 4, 1000, CONFIRM_MS));
    assert_false(peers_take_list(&peers, nodes, 6, 5000, CONFIRM_MS)); /* 5 and 6 were there */
    assert_false(peers_take_list(&peers, nodes, 4, 8000, CONFIRM_MS));
    assert_int_equal(peers_confirm_at_ms(&peers, CONFIRM_MS), 11000);
    assert_true(peers_take_list(&peers, nodes, 4, 11000, CONFIRM_MS));
    assert_int_equal(peers.wanted_count, 5);
    assert_int_equal(peers.missing_count, 2);
    assert_int_equal(peers_confirm_at_ms(&peers, CONFIRM_MS), 18000);
    assert_true(peers_take_list(&peers, nodes, 4, 18000, CONFIRM_MS));
    assert_int_equal(peers.wanted_count, 3);
    peers_deinit(&peers);
}

static void a_list_of_nobody_is_never_believed(void **state)
{
    struct peers peers = make_peers(20);
    struct api_node nodes[21], fresh = make_node(30);

    (void)make_list(nodes, 20);
    assert_false(peers_take_list(&peers, nodes, 1, 1000, CONFIRM_MS));
    assert_false(peers_take_list(&peers, nodes, 0, 500000, CONFIRM_MS));
    assert_false(peers_take_same_list(&peers, 900000, CONFIRM_MS));
    assert_int_equal(peers.wanted_count, 19);
    assert_int_equal(peers_confirm_at_ms(&peers, CONFIRM_MS), INT64_MAX);
    /* one who says a single name may well have forgotten the others, but not for long */
    assert_true(peers_take_node(&peers, &fresh));
    assert_int_equal(peers_confirm_at_ms(&peers, CONFIRM_MS), 11000);
    assert_int_equal(peers.wanted_count, 20);
    assert_true(peers_take_list(&peers, &fresh, 1, 1000000, CONFIRM_MS));
    assert_int_equal(peers.wanted_count, 1);
    peers_deinit(&peers);
}

static void deletions_are_obeyed_at_once_also_in_doubt(void **state)
{
    struct peers peers = make_peers(4);
    struct api_node nodes[4];

    assert_false(peers_take_list(&peers, nodes, make_list(nodes, 1), 1000, CONFIRM_MS));
    assert_true(peers_take_deleted(&peers, make_node(2).node_id));
    assert_true(peers_take_deleted(&peers, make_node(3).node_id));
    assert_int_equal(peers.wanted_count, 1);
    assert_int_equal(peers.missing_count, 1);
    assert_true(peers_take_deleted(&peers, make_node(4).node_id));
    assert_int_equal(peers.missing_count, 0);
    peers_deinit(&peers);
}

static void what_was_found_on_the_way_holds_until_a_peer_has_another_host(void **state)
{
    struct peers peers = make_peers(3);
    struct api_node moved = make_node(2);
    AUTO_FREE struct overlay_peer *before = NULL, *after = NULL;
    size_t count;

    assert_false(peers_note_found(&peers, "nobody", 1400));
    assert_true(peers_note_found(&peers, moved.node_id, 1400));
    assert_false(peers_note_found(&peers, moved.node_id, 1400));
    before = peers_wanted(&peers, &count);
    assert_int_equal(count, 2);
    assert_int_equal(before[0].found_bytes, 1400);
    assert_int_equal(before[1].found_bytes, 0);
    moved.host_ip += 100;
    assert_true(peers_take_node(&peers, &moved));
    after = peers_wanted(&peers, &count);
    assert_int_equal(after[0].found_bytes, 0);
    peers_deinit(&peers);
}

static void an_operator_is_believed_at_once(void **state)
{
    struct peers peers = make_peers(20);
    struct api_node nodes[20];

    assert_false(peers_believe_list(&peers));
    assert_false(peers_take_list(&peers, nodes, make_list(nodes, 1), 1000, CONFIRM_MS));
    assert_true(peers_believe_list(&peers));
    assert_int_equal(peers_count(&peers), 0);
    assert_int_equal(peers.missing_count, 0);
    peers_deinit(&peers);
}

/* What a control plane says whose database was lost: the same hosts and subnets, other ids. */
static void who_has_a_missing_nodes_subnet_takes_its_place_at_once(void **state)
{
    struct peers peers = make_peers(6);
    struct api_node nodes[] = {make_node(1), make_node(22)};
    struct api_node twin = make_node(3);

    nodes[1].subnet = make_node(2).subnet;
    assert_true(peers_take_list(&peers, nodes, 2, 1000, CONFIRM_MS));
    assert_int_equal(verdict_of(&peers, 22), PEER_WANTED);
    assert_int_equal(verdict_of(&peers, 2), PEER_REPLACED);
    assert_int_equal(verdict_of(&peers, 3), PEER_WANTED);
    assert_int_equal(peers.wanted_count, 5);
    assert_true(peers.is_replacing);
    peers.is_replacing = false;
    memcpy(twin.node_id, make_node(23).node_id, sizeof twin.node_id);
    assert_true(peers_take_node(&peers, &twin));
    assert_true(peers.is_replacing);
    assert_int_equal(verdict_of(&peers, 23), PEER_WANTED);
    assert_int_equal(verdict_of(&peers, 3), PEER_REPLACED);
    assert_int_equal(peers.wanted_count, 5);
    peers_deinit(&peers);
}

/* A list with many false claims, the true one, and then one of nobody. */
static void who_was_listed_last_keeps_its_subnet_when_all_are_missing(void **state)
{
    struct peers peers = make_peers(3);
    struct api_node nodes[7];

    (void)make_list(nodes, 7);
    for (size_t i = 3; i < 7; i++)
        nodes[i] = make_node((unsigned int)(20 + i));
    nodes[3].subnet = nodes[1].subnet;
    assert_true(peers_take_list(&peers, nodes, 7, 1000, CONFIRM_MS));
    assert_int_equal(verdict_of(&peers, 2), PEER_SUBNET_TWICE);
    assert_true(peers_take_list(&peers, nodes, 3, 2000, CONFIRM_MS)); /* at once, though in doubt */
    assert_int_equal(peers.missing_count, 4);
    assert_int_equal(verdict_of(&peers, 2), PEER_WANTED);
    assert_int_equal(verdict_of(&peers, 23), PEER_REPLACED);
    assert_false(peers_take_list(&peers, nodes, 1, 3000, CONFIRM_MS));
    assert_int_equal(peers.missing_count, 6);
    assert_int_equal(verdict_of(&peers, 2), PEER_WANTED);
    assert_int_equal(verdict_of(&peers, 23), PEER_REPLACED);
    peers_deinit(&peers);
}

static void a_full_list_ends_the_doubt(void **state)
{
    struct peers peers = make_peers(20);
    struct api_node nodes[20];

    (void)make_list(nodes, 20);
    assert_false(peers_take_list(&peers, nodes, 1, 1000, CONFIRM_MS));
    (void)peers_take_list(&peers, nodes, 20, 2000, CONFIRM_MS);
    assert_int_equal(peers.missing_count, 0);
    assert_int_equal(peers.wanted_count, 19);
    peers_deinit(&peers);
}

static void what_a_doubted_list_does_say_is_taken(void **state)
{
    struct peers peers = make_peers(20);
    struct api_node nodes[2] = {make_node(2), make_node(30)};

    nodes[0].is_up = false;
    assert_true(peers_take_list(&peers, nodes, 2, 1000, CONFIRM_MS));
    assert_int_equal(peers.missing_count, 18);
    assert_int_equal(verdict_of(&peers, 2), PEER_DOWN);
    assert_int_equal(verdict_of(&peers, 30), PEER_WANTED);
    assert_int_equal(peers.wanted_count, 19);
    peers_deinit(&peers);
}

/* An agent that starts again knows its peers from its state file, which may be older than its
 * kernel. */
static void what_is_remembered_is_not_told_until_there_is_a_list(void **state)
{
    struct peers peers = make_peers(0);
    struct api_node nodes[3], remembered = make_node(2);

    assert_true(peers_take_node(&peers, &remembered));
    assert_int_equal(peers.wanted_count, 1);
    assert_false(peers_are_told(&peers));
    assert_true(peers_take_list(&peers, nodes, make_list(nodes, 3), 1, CONFIRM_MS));
    assert_true(peers_are_told(&peers));
    peers_deinit(&peers);
}

/* Remembered: 2 to 20. What was in force and not remembered must not go for a list that is
 * doubted; each way out of the doubt ends that. */
static struct peers make_doubting(void)
{
    struct peers peers = make_peers(0);
    struct api_node nodes[20];

    (void)make_list(nodes, 20);
    for (size_t i = 1; i < 20; i++)
        (void)peers_take_node(&peers, &nodes[i]);
    (void)peers_take_list(&peers, nodes, 2, 1000, CONFIRM_MS);
    assert_int_equal(peers.missing_count, 18);
    assert_false(peers_are_told(&peers));
    return peers;
}

static void a_doubted_list_has_told_nothing_until_it_is_believed(void **state)
{
    struct peers confirmed = make_doubting(), accepted = make_doubting();

    (void)peers_take_same_list(&confirmed, 10999, CONFIRM_MS);
    assert_false(peers_are_told(&confirmed));
    (void)peers_take_same_list(&confirmed, 11000, CONFIRM_MS);
    assert_true(peers_are_told(&confirmed));
    (void)peers_believe_list(&accepted);
    assert_true(peers_are_told(&accepted));
    peers_deinit(&confirmed);
    peers_deinit(&accepted);
}

static void a_doubted_list_counts_when_all_that_it_lacks_is_told_of(void **state)
{
    struct peers peers = make_doubting();
    struct api_node node;

    for (unsigned int number = 3; number < 20; number++) {
        (void)peers_take_deleted(&peers, make_node(number).node_id);
        assert_false(peers_are_told(&peers));
    }
    node = make_node(20);
    (void)peers_take_node(&peers, &node);
    assert_true(peers_are_told(&peers));
    peers_deinit(&peers);
}

static void what_was_told_once_stays_told_in_a_later_doubt(void **state)
{
    struct peers peers = make_peers(20);
    struct api_node nodes[20];

    assert_true(peers_are_told(&peers));
    (void)peers_take_list(&peers, nodes, make_list(nodes, 1), 1000, CONFIRM_MS);
    assert_int_equal(peers.missing_count, 19);
    assert_true(peers_are_told(&peers));
    peers_deinit(&peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wanted_are_all_others_that_are_up_by_vtep_address),
        cmocka_unit_test(a_list_or_node_that_says_nothing_new_changes_nothing),
        cmocka_unit_test(we_are_not_our_own_peer),
        cmocka_unit_test(what_is_said_outright_is_done_at_once),
        cmocka_unit_test(a_list_in_which_all_are_down_is_obeyed),
        cmocka_unit_test(no_impossible_claim_is_ever_wanted),
        cmocka_unit_test(of_two_claimants_of_one_subnet_neither_is_wanted_until_one_yields),
        cmocka_unit_test(how_many_may_vanish_without_a_word),
        cmocka_unit_test(a_doubted_list_is_believed_when_a_late_second_one_agrees),
        cmocka_unit_test(each_missing_node_needs_two_lists_without_it),
        cmocka_unit_test(a_list_of_nobody_is_never_believed),
        cmocka_unit_test(deletions_are_obeyed_at_once_also_in_doubt),
        cmocka_unit_test(what_was_found_on_the_way_holds_until_a_peer_has_another_host),
        cmocka_unit_test(an_operator_is_believed_at_once),
        cmocka_unit_test(who_has_a_missing_nodes_subnet_takes_its_place_at_once),
        cmocka_unit_test(who_was_listed_last_keeps_its_subnet_when_all_are_missing),
        cmocka_unit_test(a_full_list_ends_the_doubt),
        cmocka_unit_test(what_a_doubted_list_does_say_is_taken),
        cmocka_unit_test(what_is_remembered_is_not_told_until_there_is_a_list),
        cmocka_unit_test(a_doubted_list_has_told_nothing_until_it_is_believed),
        cmocka_unit_test(a_doubted_list_counts_when_all_that_it_lacks_is_told_of),
        cmocka_unit_test(what_was_told_once_stays_told_in_a_later_doubt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
