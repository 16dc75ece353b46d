/* One peer: what is asked when, and when it is lost. */
#include "agent/probe/track.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

#define HOST 0xc0a8010b
#define VTEP 0x0a2a0200

/* The other side: which ways answer; what was asked is answered at once. */
struct peer_side {
    struct probe_track track;
    bool answers[PROBE_WAY_COUNT];
    unsigned int asked, sized; /* sized: of these, to find the largest packet */
    uint64_t nonces[64];
    enum probe_way ways[64];
    uint32_t takes_bytes; /* larger ones are lost; 0: none is */
    uint32_t sizes[64];
    size_t count; /* asked in this run */
};

static void on_send(void *data, enum probe_way way, uint32_t addr, uint64_t nonce, uint32_t bytes)
{
    struct peer_side *side = data;

    assert_int_equal(addr, way == PROBE_HOST_ECHO || way == PROBE_HOST_UDP ? HOST : VTEP);
    side->asked++;
    side->sized += bytes > 0;
    if (side->count == ARRAY_LEN(side->nonces))
        return;
    side->nonces[side->count] = nonce;
    side->sizes[side->count] = bytes;
    side->ways[side->count++] = way;
}

/* An answer takes 400 us. */
static struct probe_now at(int64_t now_ms)
{
    return (struct probe_now){.boot_ms = now_ms, .work_us = now_ms * 1000 + 400};
}

static void answer_all(struct peer_side *side, int64_t now_ms)
{
    for (size_t i = 0; i < side->count; i++)
        if (side->answers[side->ways[i]] &&
            (side->takes_bytes == 0 || side->sizes[i] <= side->takes_bytes))
            (void)probe_track_answer(
                &side->track,
                side->ways[i] == PROBE_HOST_ECHO || side->ways[i] == PROBE_HOST_UDP ? HOST : VTEP,
                side->nonces[i], side->sizes[i], at(now_ms));
    side->count = 0;
}

/* Turns the clock; a run whenever one is due. */
static void live(struct peer_side *side, int64_t from_ms, int64_t until_ms)
{
    for (int64_t now_ms = from_ms; now_ms < until_ms; now_ms++) {
        if (probe_track_due_ms(&side->track, true) > now_ms)
            continue;
        probe_track_run(&side->track, (struct probe_now){now_ms, now_ms * 1000, true}, on_send,
                        side);
        answer_all(side, now_ms);
    }
}

static void answer_by(struct peer_side *side, bool echo, bool udp)
{
    side->answers[PROBE_HOST_ECHO] = side->answers[PROBE_VTEP_ECHO] = echo;
    side->answers[PROBE_HOST_UDP] = side->answers[PROBE_VTEP_UDP] = udp;
}

static struct peer_side *make(bool is_watched)
{
    const struct probe_target target = {.node_id = "a", .host_ip = HOST, .vtep = VTEP};
    struct peer_side *side = NEW(struct peer_side);

    probe_track_init(&side->track, &target, is_watched, 1000);
    answer_by(side, true, true);
    return side;
}

static void a_watched_peer_is_asked_once_a_second_and_seldom_by_udp(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);

    live(side, 1000, 11000);
    assert_in_range(side->asked, 24, 28); /* ten rounds of two, two of them of four */
    assert_int_equal(probe_track_state(&side->track, 11000), PROBE_REACHED);
    assert_int_equal(side->track.stats[PROBE_OVERLAY].mean_us, 400);
    assert_int_equal(probe_stats_loss(&side->track.stats[PROBE_OVERLAY]), 0);
}

static void a_dead_host_is_lost_within_three_and_a_half_seconds_and_not_at_once(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);

    live(side, 1000, 11000);
    answer_by(side, false, false);
    live(side, 11000, 12500);
    assert_int_not_equal(probe_track_state(&side->track, 12500), PROBE_LOST);
    live(side, 12500, 14500);
    assert_int_equal(probe_track_state(&side->track, 14500), PROBE_LOST);
    answer_by(side, true, false);
    live(side, 14500, 16000);
    assert_int_equal(probe_track_state(&side->track, 16000), PROBE_REACHED);
}

static void a_stopped_agent_is_not_a_dead_host(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);

    live(side, 1000, 11000);
    answer_by(side, true, false);
    live(side, 11000, 60000);
    assert_int_equal(probe_track_state(&side->track, 60000), PROBE_REACHED);
}

static void a_kernel_that_never_answered_cannot_be_lost(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);

    answer_by(side, false, true);
    live(side, 1000, 11000);
    answer_by(side, false, false);
    live(side, 11000, 60000);
    assert_int_equal(probe_track_state(&side->track, 60000), PROBE_SILENT);
    assert_in_range(side->asked, 100, 170); /* nobody chases it */
}

static void who_was_held_up_itself_accuses_nobody(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);

    live(side, 1000, 11000);
    answer_by(side, false, false);
    live(side, 11000, 12000);
    answer_by(side, true, true);
    live(side, 20000, 20001); /* eight seconds later it runs again, once */
    assert_int_not_equal(probe_track_state(&side->track, 20001), PROBE_LOST);
    live(side, 20001, 21500);
    assert_int_equal(probe_track_state(&side->track, 21500), PROBE_REACHED);
}

static void only_what_was_asked_of_that_address_is_an_answer(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);

    answer_by(side, false, false);
    probe_track_run(&side->track, (struct probe_now){1000, 0, true}, on_send, side);
    assert_true(side->count > 0);
    assert_int_equal(side->ways[0], PROBE_HOST_ECHO);
    assert_false(probe_track_answer(&side->track, VTEP, side->nonces[0], 0, at(1000)));
    assert_false(probe_track_answer(&side->track, HOST, side->nonces[0] + 2, 0, at(1000)));
    assert_false(probe_track_answer(&side->track, HOST, 0, 0, at(1000)));
    assert_true(probe_track_answer(&side->track, HOST, side->nonces[0], 0, at(1000)));
    assert_false(probe_track_answer(&side->track, HOST, side->nonces[0], 0, at(1000)));
}

static void a_filtered_way_is_no_loss_of_an_open_path(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);

    side->answers[PROBE_HOST_ECHO] = false;
    live(side, 1000, 60000);
    assert_in_range(probe_stats_loss(&side->track.stats[PROBE_UNDERLAY]), 0, 10);
    assert_int_equal(probe_stats_loss(&side->track.stats[PROBE_OVERLAY]), 0);
}

static void a_peer_that_had_not_begun_to_answer_has_lost_nothing(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);

    ladder_set_top(&side->track.ladder, 1500, 0);
    answer_by(side, true, false);
    live(side, 1000, 1500);
    answer_by(side, true, true);
    live(side, 1500, 11000);
    assert_int_equal(probe_stats_loss(&side->track.stats[PROBE_UNDERLAY]), 0);
    assert_int_equal(probe_stats_loss(&side->track.stats[PROBE_OVERLAY]), 0);
}

static void a_black_hole_is_found_within_half_a_minute(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);

    ladder_set_top(&side->track.ladder, 1500, 0);
    live(side, 1000, 11000);
    assert_int_equal(side->track.ladder.largest_bytes, 1500);
    side->takes_bytes = 1400;
    live(side, 11000, 41000);
    assert_in_range(side->track.ladder.largest_bytes, 1396, 1400);
    side->takes_bytes = 0;
    live(side, 41000, 71000);
    assert_int_equal(side->track.ladder.largest_bytes, 1500);
}

static void while_its_agent_is_away_nothing_is_told_of_sizes(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);

    ladder_set_top(&side->track.ladder, 1500, 0);
    live(side, 1000, 11000);
    answer_by(side, true, false);
    live(side, 11000, 300000);
    assert_int_equal(side->track.ladder.largest_bytes, 1500);
}

static void sizes_are_not_looked_for_before_there_is_an_answer_and_then_at_once(void **state)
{
    AUTO_FREE struct peer_side *side = make(false);

    ladder_set_top(&side->track.ladder, 1500, 0);
    answer_by(side, true, false);
    live(side, 1000, 300000);
    assert_int_equal(side->sized, 0);
    answer_by(side, true, true);
    side->track.due_ms = 300000; /* its turn */
    live(side, 300000, 300010);
    assert_int_equal(side->sized, 1);
    assert_int_equal(side->track.ladder.largest_bytes, 1500);
}

static void what_was_lost_is_counted(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);

    live(side, 1000, 11000);
    side->answers[PROBE_VTEP_ECHO] = side->answers[PROBE_VTEP_UDP] = false;
    live(side, 11000, 90000);
    assert_int_equal(probe_stats_loss(&side->track.stats[PROBE_OVERLAY]), 100);
    assert_int_equal(probe_stats_loss(&side->track.stats[PROBE_UNDERLAY]), 0);
    assert_int_equal(probe_track_state(&side->track, 90000), PROBE_REACHED);
}

static void an_agent_that_stood_still_is_no_way_that_became_longer(void **state)
{
    AUTO_FREE struct peer_side *side = make(true);
    const struct probe_stats *stats = &side->track.stats[PROBE_UNDERLAY];

    live(side, 1000, 11000);
    probe_track_run(&side->track, (struct probe_now){12000, 12000000, true}, on_send, side);
    assert_int_equal(side->ways[0], PROBE_HOST_ECHO);
    assert_true(probe_track_answer(&side->track, HOST, side->nonces[0], 0, at(20000)));
    assert_int_equal(stats->last_us, 400);
    assert_int_equal(stats->min_us, 400);
    assert_int_equal(stats->mean_us, 400);
    assert_int_equal(probe_stats_loss(stats), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watched_peer_is_asked_once_a_second_and_seldom_by_udp),
        cmocka_unit_test(a_dead_host_is_lost_within_three_and_a_half_seconds_and_not_at_once),
        cmocka_unit_test(a_stopped_agent_is_not_a_dead_host),
        cmocka_unit_test(a_kernel_that_never_answered_cannot_be_lost),
        cmocka_unit_test(who_was_held_up_itself_accuses_nobody),
        cmocka_unit_test(only_what_was_asked_of_that_address_is_an_answer),
        cmocka_unit_test(a_filtered_way_is_no_loss_of_an_open_path),
        cmocka_unit_test(a_peer_that_had_not_begun_to_answer_has_lost_nothing),
        cmocka_unit_test(a_black_hole_is_found_within_half_a_minute),
        cmocka_unit_test(while_its_agent_is_away_nothing_is_told_of_sizes),
        cmocka_unit_test(sizes_are_not_looked_for_before_there_is_an_answer_and_then_at_once),
        cmocka_unit_test(what_was_lost_is_counted),
        cmocka_unit_test(an_agent_that_stood_still_is_no_way_that_became_longer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
