/* Whom an agent probes, whom it answers, and what it tells. */
#include "agent/probe/packet.h"
#include "agent/probe/probes.h"
#include "agent/probe/responder.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static struct probe_target *make_targets(const char *self_id, size_t count)
{
    struct probe_target *targets = mem_array(count + 1, sizeof *targets);
    size_t made = 0;

    for (size_t i = 0; i < count; i++) {
        struct probe_target t = {.host_ip = 0xc0a80000 + (uint32_t)i,
                                 .vtep = 0x0a000000 + (uint32_t)i * 256};

        (void)snprintf(t.node_id, sizeof t.node_id, "00000000-0000-4000-8000-%012zu", i);
        if (strcmp(t.node_id, self_id) == 0)
            continue;
        t.distance = probe_ring_distance(self_id, t.node_id);
        targets[made++] = t;
    }
    return targets;
}

static void every_node_is_watched_by_five(void **state)
{
    enum { NODES = 40 };
    unsigned int watchers[NODES] = {0};

    for (size_t i = 0; i < NODES; i++) {
        char self_id[UUID_TEXT_SIZE];
        AUTO_FREE struct probe_target *targets = NULL;

        (void)snprintf(self_id, sizeof self_id, "00000000-0000-4000-8000-%012zu", i);
        targets = make_targets(self_id, NODES);
        assert_int_equal(probe_ring_choose(targets, NODES - 1), NODES - 1);
        for (size_t j = 0; j < PROBE_WATCHED; j++)
            watchers[targets[j].host_ip - 0xc0a80000]++;
    }
    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(watchers[i], PROBE_WATCHED);
}

static void of_very_many_only_a_few_are_measured(void **state)
{
    AUTO_FREE struct probe_target *targets = make_targets("x", 1000);

    assert_int_equal(probe_ring_choose(targets, 1000), PROBE_MEASURED_FEW);
    assert_int_equal(probe_ring_choose(targets, PROBE_MEASURED_MAX), PROBE_MEASURED_MAX);
    assert_int_equal(probe_ring_choose(targets, 0), 0);
}

static void count_send(void *data, enum probe_way way, uint32_t addr, uint64_t nonce,
                       uint32_t bytes)
{
    ++*(unsigned int *)data;
}

static void the_rate_is_bounded_however_many_there_are(void **state)
{
    struct probes probes = {0};
    AUTO_FREE struct probe_target *targets = make_targets("x", 250);
    unsigned int sent = 0;

    probes_set_targets(&probes, targets, 250, 1000);
    assert_int_equal(probes.watched_count, PROBE_WATCHED);
    for (int64_t now_ms = 1000; now_ms < 61000; now_ms++)
        if (probes_due_ms(&probes) <= now_ms)
            (void)probes_run(&probes, (struct probe_now){.boot_ms = now_ms}, count_send, &sent);
    /* 5 watched: 2.4 to 2.7 a second each; the others 4 a turn, in 60 s each at most once. */
    assert_in_range(sent, 60 * 12, 60 * 14 + 250 * 4 + 300);
    probes_deinit(&probes);
}

/* What takes requests of sizes, and answers small ones only. */
struct hole {
    struct probes *probes;
    unsigned int sent;
};

static void send_into_hole(void *data, enum probe_way way, uint32_t addr, uint64_t nonce,
                           uint32_t bytes)
{
    struct hole *hole = data;

    hole->sent++;
    if (bytes == 0)
        probes_take_answer(hole->probes, addr, nonce, 0,
                           (struct probe_now){.boot_ms = 1, .work_us = 400});
}

static void few_search_at_a_time_and_all_have_their_turn(void **state)
{
    struct probes probes = {0};
    struct hole hole = {.probes = &probes};
    AUTO_FREE struct probe_target *targets = make_targets("x", 40);
    size_t most = 0;

    for (size_t i = 0; i < 40; i++)
        targets[i].ip_bytes = 1500;
    probes_set_targets(&probes, targets, 40, 1000);
    for (int64_t now_ms = 1000; now_ms < 301000; now_ms++) {
        size_t searching = 0;

        if (probes_due_ms(&probes) > now_ms)
            continue;
        (void)probes_run(&probes, (struct probe_now){.boot_ms = now_ms}, send_into_hole, &hole);
        for (size_t i = 0; i < probes.count; i++)
            searching += probes.tracks[i].ladder.is_searching;
        most = searching > most ? searching : most;
    }
    assert_int_equal(most, PROBES_SEARCHING_MAX);
    assert_true(probes.has_sizes);
    for (size_t i = 0; i < probes.count; i++)
        assert_true(ladder_is_short(&probes.tracks[i].ladder));
    probes_deinit(&probes);
}

static void what_is_known_outlives_a_change_of_others(void **state)
{
    struct probes probes = {0};
    AUTO_FREE struct probe_target *three = make_targets("x", 3), *two = make_targets("x", 2);
    const struct probe_track *track;

    probes_set_targets(&probes, three, 3, 1000);
    track = probes_find(&probes, "00000000-0000-4000-8000-000000000001");
    assert_non_null(track);
    probes.tracks[track - probes.tracks].heard_ms = 77;
    probes_set_targets(&probes, two, 2, 2000);
    assert_int_equal(probes.count, 2);
    assert_int_equal(probes_find(&probes, "00000000-0000-4000-8000-000000000001")->heard_ms, 77);
    assert_null(probes_find(&probes, "00000000-0000-4000-8000-000000000002"));
    probes_deinit(&probes);
}

static void a_heartbeat_tells_of_the_watched_and_not_of_too_many(void **state)
{
    struct probes probes = {0};
    AUTO_FREE struct probe_target *targets = make_targets("x", 250);
    AUTO_STRBUF struct strbuf out = {0};
    size_t told = 0;

    probes_tell(&probes, 1000, &out);
    assert_int_equal(out.len, 0);
    probes_set_targets(&probes, targets, 250, 1000);
    for (size_t i = 0; i < probes.count; i++)
        probes.tracks[i].latest_ms = 1000;
    probes_tell(&probes, 2000, &out);
    for (const char *p = out.data; (p = strstr(p, "node_id")); p++)
        told++;
    assert_int_equal(told, PROBES_TOLD_MAX);
    assert_int_equal(strncmp(out.data, ",\"probes\":[{\"node_id\":", 22), 0);
    probes_deinit(&probes);
}

static void only_peers_are_answered_and_not_too_often(void **state)
{
    struct responder responder = {0};
    struct responder_source *sources = mem_array(2, sizeof *sources);

    sources[0] = (struct responder_source){.addr = 9, .uses = 1};
    sources[1] = (struct responder_source){.addr = 3, .uses = 1};
    assert_false(responder_admit(&responder, 3, 1000));
    responder_set_sources(&responder, sources, 2);
    assert_false(responder_admit(&responder, 4, 1000));
    for (int i = 0; i < RESPONDER_PER_SECOND; i++)
        assert_true(responder_admit(&responder, 3, 1000));
    assert_false(responder_admit(&responder, 3, 1999));
    assert_true(responder_admit(&responder, 9, 1999));
    assert_true(responder_admit(&responder, 3, 2000));
    responder_deinit(&responder);
}

static void a_packet_is_read_as_it_was_written_and_nothing_else_is(void **state)
{
    const struct probe_packet packet = {PROBE_REQUEST, 1500, 0x0123456789abcdef};
    uint8_t bytes[PROBE_PACKET_BYTES];
    struct probe_packet read;

    probe_packet_write(&packet, bytes);
    assert_true(probe_packet_read(bytes, sizeof bytes, &read));
    assert_int_equal(read.type, PROBE_REQUEST);
    assert_int_equal(read.ip_bytes, 1500);
    assert_true(read.nonce == packet.nonce);
    assert_false(probe_packet_read(bytes, sizeof bytes - 1, &read));
    for (size_t i = 0; i < 6; i++) {
        bytes[i] ^= 0x80;
        assert_false(probe_packet_read(bytes, sizeof bytes, &read));
        bytes[i] ^= 0x80;
    }
}

static void sources_come_move_and_go_one_by_one(void **state)
{
    struct responder responder = {0};
    struct responder_source *sources = mem_array(4, sizeof *sources);

    sources[0] = (struct responder_source){.addr = 201, .host_ip = 101, .uses = 1};
    sources[1] = (struct responder_source){.addr = 101, .uses = 1};
    sources[2] = (struct responder_source){.addr = 202, .host_ip = 101, .uses = 1};
    sources[3] = (struct responder_source){.addr = 101, .uses = 1};
    responder_set_sources(&responder, sources, 4);
    assert_int_equal(responder.count, 3);
    assert_true(responder_put(&responder, 203, 103));
    assert_false(responder_put(&responder, 203, 103));
    assert_true(responder_admit(&responder, 203, 1000));
    assert_true(responder_admit(&responder, 103, 1000));
    assert_false(responder_put(&responder, 203, 104));
    assert_false(responder_admit(&responder, 103, 1000));
    assert_true(responder_admit(&responder, 104, 1000));
    assert_true(responder_drop(&responder, 201));
    assert_false(responder_admit(&responder, 201, 1000));
    assert_true(responder_admit(&responder, 101, 1000)); /* of another peer, too */
    assert_true(responder_drop(&responder, 202));
    assert_false(responder_admit(&responder, 101, 1000));
    assert_false(responder_drop(&responder, 202));
    assert_true(responder_drop(&responder, 203));
    assert_int_equal(responder.count, 0);
    responder_deinit(&responder);
}

static void of_many_targets_only_a_near_one_changes_who_is_probed(void **state)
{
    struct probes probes = {0};
    AUTO_FREE struct probe_target *targets = make_targets("x", 300);
    struct probe_target near, far;

    for (size_t i = 0; i < 300; i++)
        targets[i].vtep = (uint32_t)i + 1;
    probes_set_targets(&probes, targets, 300, 1000);
    assert_int_equal(probes.count, PROBE_MEASURED_FEW);
    near = targets[3]; /* sorted by now */
    far = targets[200];
    assert_true(probes_is_far(&probes, &far));
    assert_false(probes_is_far(&probes, &near));
    near.distance = UINT64_MAX;
    assert_false(probes_is_far(&probes, &near));
    far.distance = 0;
    assert_false(probes_is_far(&probes, &far));
    far.distance = UINT64_MAX;
    probes.target_count = PROBE_MEASURED_MAX;
    assert_false(probes_is_far(&probes, &far)); /* all are to be probed now */
    probes_set_targets(&probes, targets, PROBE_MEASURED_MAX, 2000);
    probes.target_count++;
    assert_false(probes_is_far(&probes, &far)); /* and now no more */
    probes_deinit(&probes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_come_move_and_go_one_by_one),
        cmocka_unit_test(of_many_targets_only_a_near_one_changes_who_is_probed),
        cmocka_unit_test(every_node_is_watched_by_five),
        cmocka_unit_test(of_very_many_only_a_few_are_measured),
        cmocka_unit_test(the_rate_is_bounded_however_many_there_are),
        cmocka_unit_test(few_search_at_a_time_and_all_have_their_turn),
        cmocka_unit_test(what_is_known_outlives_a_change_of_others),
        cmocka_unit_test(a_heartbeat_tells_of_the_watched_and_not_of_too_many),
        cmocka_unit_test(only_peers_are_answered_and_not_too_often),
        cmocka_unit_test(a_packet_is_read_as_it_was_written_and_nothing_else_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
