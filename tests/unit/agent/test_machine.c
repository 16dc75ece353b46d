/* When the agent says what to the control plane. */
#include "agent/control_client/machine.h"
#include "tests/unit/cmocka.h"

#define BIT(job) (1u << (job))

static struct control_machine make(size_t urls)
{
    struct control_machine m;

    control_machine_init(&m, urls, 1000);
    return m;
}

static void registered(struct control_machine *m, int64_t now_ms)
{
    control_machine_set_intervals(m, 10000, 5000);
    control_machine_done(m, CONTROL_REGISTER, CONTROL_OK, m->url_index, now_ms, 0);
}

/* Registered at 1000, the stream asked for at once. */
static struct control_machine make_registered(void)
{
    struct control_machine m = make(1);

    assert_int_equal(control_machine_run(&m, 1000), BIT(CONTROL_REGISTER));
    registered(&m, 1000);
    assert_int_equal(control_machine_run(&m, 1000), BIT(CONTROL_STREAM));
    return m;
}

static void first_of_all_it_registers_once(void **state)
{
    struct control_machine m = make(1);

    assert_int_equal(control_machine_due_ms(&m), 1000);
    assert_int_equal(control_machine_run(&m, 999), 0);
    assert_int_equal(control_machine_run(&m, 1000), BIT(CONTROL_REGISTER));
    assert_int_equal(control_machine_run(&m, 100000), 0);
    assert_int_equal(control_machine_due_ms(&m), INT64_MAX);
}

static void registering_is_tried_for_ever_with_growing_bounded_pauses(void **state)
{
    struct control_machine m = make(1);
    int64_t now_ms = 1000, longest_ms = 0;

    for (int i = 0; i < 200; i++) {
        assert_int_equal(control_machine_run(&m, now_ms), BIT(CONTROL_REGISTER));
        control_machine_done(&m, CONTROL_REGISTER, CONTROL_AWAY, 0, now_ms,
                             UINT64_MAX / 7 * (uint64_t)i);
        assert_true(control_machine_due_ms(&m) >= now_ms + 100);
        if (control_machine_due_ms(&m) - now_ms > longest_ms)
            longest_ms = control_machine_due_ms(&m) - now_ms;
        now_ms = control_machine_due_ms(&m);
    }
    assert_true(longest_ms > 3500);
    assert_true(longest_ms <= 7000);
}

static void a_refused_registration_waits_at_least_a_second(void **state)
{
    struct control_machine m = make(1);

    (void)control_machine_run(&m, 1000);
    control_machine_done(&m, CONTROL_REGISTER, CONTROL_REFUSED, 0, 1000, 0);
    assert_int_equal(control_machine_due_ms(&m), 2000);
    assert_int_equal(m.url_index, 0);
}

static void heartbeats_come_at_their_interval_give_or_take_a_tenth(void **state)
{
    struct control_machine m = make_registered();
    const struct {
        uint64_t random;
        int64_t pause_ms;
    } rows[] = {{0, 9000}, {1000, 10000}, {2000, 11000}, {2001, 9000}};
    int64_t now_ms = 10000; /* 1000 and nine tenths of the interval */

    control_machine_stream_up(&m);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(control_machine_due_ms(&m), now_ms);
        assert_int_equal(control_machine_run(&m, now_ms), BIT(CONTROL_BEAT));
        control_machine_done(&m, CONTROL_BEAT, CONTROL_OK, 0, now_ms, rows[i].random);
        now_ms += rows[i].pause_ms;
    }
}

static void a_lost_heartbeat_is_repeated_soon(void **state)
{
    struct control_machine m = make_registered();

    control_machine_stream_up(&m);
    assert_int_equal(control_machine_run(&m, 10000), BIT(CONTROL_BEAT));
    control_machine_done(&m, CONTROL_BEAT, CONTROL_AWAY, 0, 10000, 0);
    assert_int_equal(control_machine_due_ms(&m), 10100);
}

static void a_node_that_is_not_known_registers_again_at_once(void **state)
{
    struct control_machine m = make_registered();

    control_machine_stream_up(&m);
    assert_int_equal(control_machine_run(&m, 10000), BIT(CONTROL_BEAT));
    control_machine_done(&m, CONTROL_BEAT, CONTROL_UNKNOWN_NODE, 0, 10000, 0);
    assert_false(m.is_registered);
    assert_int_equal(control_machine_run(&m, 10000), BIT(CONTROL_REGISTER));
    registered(&m, 10001);
    assert_true(m.is_registered);
    /* the stream is still up: nothing but the next heartbeat is due */
    assert_int_equal(control_machine_due_ms(&m), 19001);
    assert_int_equal(control_machine_run(&m, 19001), BIT(CONTROL_BEAT));
}

static void while_no_stream_is_up_the_list_is_polled(void **state)
{
    struct control_machine m = make_registered();

    m.due_ms[CONTROL_BEAT] = INT64_MAX;
    assert_int_equal(control_machine_due_ms(&m), 6000);
    assert_int_equal(control_machine_run(&m, 6000), BIT(CONTROL_POLL));
    control_machine_done(&m, CONTROL_POLL, CONTROL_OK, 0, 6010, 0);
    assert_int_equal(control_machine_due_ms(&m), 11010);
    control_machine_stream_up(&m);
    assert_int_equal(control_machine_due_ms(&m), INT64_MAX);
    /* lost: asked for again soon, and polled until it is back */
    control_machine_done(&m, CONTROL_STREAM, CONTROL_AWAY, 0, 20000, 0);
    assert_false(m.is_stream_up);
    assert_int_equal(m.due_ms[CONTROL_STREAM], 20020);
    assert_int_equal(m.due_ms[CONTROL_POLL], 25000);
}

static void a_control_plane_without_streams_is_polled_and_asked_again_after_a_minute(void **state)
{
    struct control_machine m = make_registered();

    control_machine_done(&m, CONTROL_STREAM, CONTROL_UNSUPPORTED, 0, 1010, 0);
    assert_int_equal(control_machine_run(&m, 1010), BIT(CONTROL_POLL));
    control_machine_done(&m, CONTROL_POLL, CONTROL_OK, 0, 1020, 0);
    assert_int_equal(m.due_ms[CONTROL_POLL], 6020);
    assert_int_equal(m.due_ms[CONTROL_STREAM], 61010);
}

static void no_answer_moves_on_to_the_next_control_plane_once(void **state)
{
    struct control_machine m = make(3);

    (void)control_machine_run(&m, 1000);
    control_machine_done(&m, CONTROL_REGISTER, CONTROL_AWAY, 0, 1000, 0);
    assert_int_equal(m.url_index, 1);
    /* a job that was started with the old one ends late: that one is given up already */
    control_machine_done(&m, CONTROL_POLL, CONTROL_AWAY, 0, 1000, 0);
    assert_int_equal(m.url_index, 1);
    control_machine_done(&m, CONTROL_BEAT, CONTROL_AWAY, 1, 1000, 0);
    control_machine_done(&m, CONTROL_BEAT, CONTROL_AWAY, 2, 1000, 0);
    assert_int_equal(m.url_index, 0);
    control_machine_done(&m, CONTROL_BEAT, CONTROL_REFUSED, 0, 1000, 0);
    assert_int_equal(m.url_index, 0);
}

static void a_fresh_list_comes_by_poll_or_by_a_new_stream(void **state)
{
    struct control_machine m = make_registered();

    assert_false(control_machine_refresh(&m, 2000));
    assert_int_equal(m.due_ms[CONTROL_POLL], 2000);
    control_machine_stream_up(&m);
    assert_true(control_machine_refresh(&m, 3000));
}

static void who_is_asked_to_wait_waits_and_not_all_alike(void **state)
{
    for (uint64_t i = 0; i < 100; i++) {
        struct control_machine m = make(1);

        assert_int_equal(control_machine_run(&m, 1000), BIT(CONTROL_REGISTER));
        control_machine_put_off(&m, CONTROL_REGISTER, 20000);
        control_machine_done(&m, CONTROL_REGISTER, CONTROL_AWAY, 0, 1000, i * 1000);
        assert_in_range(control_machine_due_ms(&m), 21000, 31000);
        assert_int_equal(control_machine_due_ms(&m), 21000 + (int64_t)(i * 1000 % 10001));
        /* once only */
        (void)control_machine_run(&m, control_machine_due_ms(&m));
        control_machine_done(&m, CONTROL_REGISTER, CONTROL_AWAY, 0, 50000, i);
        assert_in_range(control_machine_due_ms(&m), 50100, 57000);
    }
}

static void nobody_is_put_off_for_long_and_a_heartbeat_is_not_late_for_it(void **state)
{
    struct control_machine m = make_registered();

    assert_int_equal(control_machine_run(&m, 12000), BIT(CONTROL_BEAT) | BIT(CONTROL_POLL));
    control_machine_put_off(&m, CONTROL_BEAT, 3600000);
    control_machine_done(&m, CONTROL_BEAT, CONTROL_AWAY, 0, 12000, 0);
    assert_int_equal(m.due_ms[CONTROL_BEAT], 12000 + 10000 / 3);
    control_machine_put_off(&m, CONTROL_POLL, 3600000);
    control_machine_done(&m, CONTROL_POLL, CONTROL_AWAY, 0, 12000, 0);
    assert_int_equal(m.due_ms[CONTROL_POLL], 12000 + CONTROL_PUT_OFF_MAX_MS);
}

/* ---- over TLS ------------------------------------------------------------------------------ */

static void without_a_ca_the_pinned_one_is_fetched_before_anything_is_said(void **state)
{
    struct control_machine m = make(1);

    control_machine_pin_first(&m, 1000);
    assert_int_equal(control_machine_run(&m, 1000), BIT(CONTROL_PIN));
    assert_int_equal(control_machine_due_ms(&m), INT64_MAX);
    control_machine_done(&m, CONTROL_PIN, CONTROL_AWAY, 0, 1000, 0);
    assert_int_equal(control_machine_due_ms(&m), 1100);
    assert_int_equal(control_machine_run(&m, 1100), BIT(CONTROL_PIN));
    control_machine_done(&m, CONTROL_PIN, CONTROL_OK, 0, 1200, 0);
    assert_int_equal(control_machine_run(&m, 1200), BIT(CONTROL_REGISTER));
}

/* How long until the next attempt, at each of several in a row that end like this; random 0 is the
 * shortest pause, UINT64_MAX about the longest. */
static int64_t pause_of(enum control_job job, enum control_result result, int attempts,
                        uint64_t random)
{
    struct control_machine m = make_registered();

    for (int i = 0; i < attempts; i++) {
        m.is_running[job] = true;
        m.due_ms[job] = INT64_MAX;
        control_machine_done(&m, job, result, 0, 1000000, random);
    }
    return m.due_ms[job] == INT64_MAX ? INT64_MAX : m.due_ms[job] - 1000000;
}

static void each_kind_of_failure_has_its_pauses(void **state)
{
    const struct {
        enum control_job job;
        enum control_result result;
        int64_t first_min_ms, longest_ms;
    } rows[] = {
        {CONTROL_PIN, CONTROL_AWAY, 100, 7000},
        {CONTROL_PIN, CONTROL_REFUSED, 5000, 600000}, /* none of its CAs is the pinned one */
        {CONTROL_REGISTER, CONTROL_UNADMITTED, 100, 7000},
        {CONTROL_REGISTER, CONTROL_BARRED, 5000, 600000},
        {CONTROL_REGISTER, CONTROL_OVERTAKEN, 100, 7000},
        {CONTROL_REGISTER, CONTROL_TWIN, 1000, 15000},
        {CONTROL_REGISTER, CONTROL_UNTRUSTED, 100, 7000},
        {CONTROL_BEAT, CONTROL_UNTRUSTED, 100, 7000},
        {CONTROL_STREAM, CONTROL_UNTRUSTED, 20, 5000},
        {CONTROL_BEAT, CONTROL_OUT_OF_DATE, 100, 7000},
        {CONTROL_CA, CONTROL_AWAY, 1000, 60000},
        {CONTROL_CA, CONTROL_REFUSED, 1000, 60000},
        {CONTROL_RENEW, CONTROL_AWAY, 5000, 3600000},
        {CONTROL_RENEW, CONTROL_REFUSED, 5000, 3600000},
        {CONTROL_RENEW, CONTROL_UNTRUSTED, 5000, 3600000},
        {CONTROL_SWITCH, CONTROL_AWAY, 5000, 3600000},
        {CONTROL_SWITCH, CONTROL_REFUSED, 5000, 3600000},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t longest_ms = 0;

        assert_int_equal(pause_of(rows[i].job, rows[i].result, 1, 0), rows[i].first_min_ms);
        for (uint64_t random = 0; random < 64; random++) {
            int64_t ms = pause_of(rows[i].job, rows[i].result, 40, UINT64_MAX / 64 * random);

            longest_ms = ms > longest_ms ? ms : longest_ms;
        }
        assert_true(longest_ms > rows[i].longest_ms / 2 && longest_ms <= rows[i].longest_ms);
    }
}

static void who_waits_for_anothers_silence_comes_when_it_is_told_to_and_no_later(void **state)
{
    struct control_machine m = make(1);

    (void)control_machine_run(&m, 1000);
    control_machine_put_off(&m, CONTROL_REGISTER, 12000);
    control_machine_done(&m, CONTROL_REGISTER, CONTROL_HELD, 0, 1000, UINT64_MAX);
    assert_int_equal(control_machine_due_ms(&m), 13000);
    (void)control_machine_run(&m, 13000);
    control_machine_done(&m, CONTROL_REGISTER, CONTROL_HELD, 0, 13000, UINT64_MAX);
    assert_int_equal(control_machine_due_ms(&m), 13200); /* it was told nothing */
}

static void who_is_not_admitted_registers_and_asks_for_nothing_else(void **state)
{
    const enum control_job jobs[] = {CONTROL_BEAT, CONTROL_STREAM, CONTROL_POLL, CONTROL_RENEW};

    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        struct control_machine m = make_registered();

        control_machine_want(&m, CONTROL_CA, 1000);
        control_machine_set_renewal(&m, 50000);
        m.is_running[CONTROL_STREAM] = jobs[i] == CONTROL_STREAM;
        m.is_running[jobs[i]] = true;
        control_machine_done(&m, jobs[i], CONTROL_UNADMITTED, 0, 2000, 0);
        assert_false(m.is_registered);
        assert_int_equal(control_machine_run(&m, 1000000), BIT(CONTROL_REGISTER));
        assert_false(control_machine_refresh(&m, 1000000));
        assert_int_equal(control_machine_due_ms(&m), INT64_MAX);
        registered(&m, 1000000);
        assert_int_equal(control_machine_run(&m, 1000000), BIT(CONTROL_STREAM));
    }
}

static void one_that_is_not_admitted_over_and_over_takes_its_time(void **state)
{
    struct control_machine m = make_registered();
    int64_t pause_ms = 0;

    for (int i = 0; i < 20; i++) {
        int64_t now_ms = 10000 * (i + 1);

        m.is_running[CONTROL_STREAM] = true;
        control_machine_done(&m, CONTROL_STREAM, CONTROL_UNADMITTED, 0, now_ms, UINT64_MAX / 3);
        pause_ms = m.due_ms[CONTROL_REGISTER] - now_ms;
        (void)control_machine_run(&m, m.due_ms[CONTROL_REGISTER]);
        registered(&m, now_ms + pause_ms); /* taken here, and refused there */
    }
    assert_true(pause_ms > 1000);
    control_machine_done(&m, CONTROL_BEAT, CONTROL_OK, 0, 300000, 0);
    control_machine_done(&m, CONTROL_STREAM, CONTROL_UNADMITTED, 0, 300000, UINT64_MAX / 3);
    assert_true(m.due_ms[CONTROL_REGISTER] <= 300200);
}

static void an_untrusted_control_plane_is_asked_on_while_its_ca_is_looked_for(void **state)
{
    struct control_machine m = make_registered();

    control_machine_done(&m, CONTROL_STREAM, CONTROL_OK, 0, 2000, 0);
    (void)control_machine_run(&m, 10000);
    control_machine_want(&m, CONTROL_PIN, 10000);
    control_machine_done(&m, CONTROL_BEAT, CONTROL_UNTRUSTED, 0, 10000, 0);
    assert_true(m.is_registered);
    assert_int_equal(control_machine_run(&m, 10000), BIT(CONTROL_PIN));
    control_machine_done(&m, CONTROL_PIN, CONTROL_REFUSED, 0, 10000, 0);
    assert_int_equal(m.due_ms[CONTROL_PIN], 15000);
    control_machine_want(&m, CONTROL_PIN, 10050); /* it waits already */
    assert_int_equal(m.due_ms[CONTROL_PIN], 15000);
    assert_int_equal(m.due_ms[CONTROL_BEAT], 10100);
    /* it was a false one, and the true one is back */
    control_machine_done(&m, CONTROL_BEAT, CONTROL_OK, 0, 10100, 0);
    assert_int_equal(m.due_ms[CONTROL_PIN], INT64_MAX);
}

static void a_ca_that_is_pinned_anew_leads_to_registering(void **state)
{
    struct control_machine m = make_registered();

    control_machine_want(&m, CONTROL_PIN, 5000);
    assert_true(control_machine_run(&m, 5000) & BIT(CONTROL_PIN));
    control_machine_done(&m, CONTROL_PIN, CONTROL_OK, 0, 5000, 0);
    assert_true(control_machine_run(&m, 5000) & BIT(CONTROL_REGISTER));
}

static void who_is_to_pin_first_again_waits_out_its_pause(void **state)
{
    struct control_machine m = make(1);
    int64_t due_ms;

    control_machine_pin_first(&m, 1000);
    assert_int_equal(control_machine_run(&m, 1000), BIT(CONTROL_PIN));
    control_machine_done(&m, CONTROL_PIN, CONTROL_REFUSED, 0, 1000, 0);
    due_ms = m.due_ms[CONTROL_PIN];
    assert_true(due_ms > 1000);
    m.due_ms[CONTROL_REGISTER] = 1000;
    assert_true(control_machine_is_due(&m, CONTROL_REGISTER, 1000));
    control_machine_pin_first(&m, 1000);
    assert_false(control_machine_is_due(&m, CONTROL_REGISTER, 1000));
    assert_int_equal(m.due_ms[CONTROL_PIN], due_ms);
}

static void one_of_several_control_planes_that_is_not_believed_is_left(void **state)
{
    struct control_machine m = make(3);

    control_machine_pin_first(&m, 1000);
    (void)control_machine_run(&m, 1000);
    control_machine_done(&m, CONTROL_PIN, CONTROL_REFUSED, 0, 1000, 0);
    assert_int_equal(m.url_index, 1);
    control_machine_done(&m, CONTROL_REGISTER, CONTROL_UNTRUSTED, 1, 1000, 0);
    assert_int_equal(m.url_index, 2);
    control_machine_done(&m, CONTROL_REGISTER, CONTROL_UNADMITTED, 2, 1000, 0);
    control_machine_done(&m, CONTROL_REGISTER, CONTROL_BARRED, 2, 1000, 0);
    assert_int_equal(m.url_index, 2);
}

static void a_renewal_comes_when_it_is_due_and_keeps_its_own_time_while_it_fails(void **state)
{
    struct control_machine m = make_registered();

    m.due_ms[CONTROL_BEAT] = m.due_ms[CONTROL_POLL] = INT64_MAX;
    control_machine_set_renewal(&m, 500000);
    control_machine_set_renewal(&m, 400000); /* as is known better now */
    assert_int_equal(control_machine_due_ms(&m), 400000);
    assert_int_equal(control_machine_run(&m, 400000), BIT(CONTROL_RENEW));
    control_machine_set_renewal(&m, 400001); /* it runs */
    assert_int_equal(control_machine_due_ms(&m), INT64_MAX);
    control_machine_done(&m, CONTROL_RENEW, CONTROL_AWAY, 0, 400010, 0);
    control_machine_set_renewal(&m, 400020); /* it fails, and waits */
    assert_int_equal(control_machine_due_ms(&m), 405010);
    assert_int_equal(control_machine_run(&m, 405010), BIT(CONTROL_RENEW));
    control_machine_done(&m, CONTROL_RENEW, CONTROL_OK, 0, 405020, 0);
    assert_int_equal(control_machine_due_ms(&m), INT64_MAX);
    control_machine_set_renewal(&m, 900000);
    assert_int_equal(control_machine_due_ms(&m), 900000);
}

static void registering_again_takes_a_failing_renewals_place(void **state)
{
    struct control_machine m = make_registered();

    m.is_running[CONTROL_RENEW] = true;
    control_machine_done(&m, CONTROL_RENEW, CONTROL_AWAY, 0, 2000, UINT64_MAX / 2);
    registered(&m, 3000);
    control_machine_set_renewal(&m, 700000);
    assert_int_equal(m.due_ms[CONTROL_RENEW], 700000);
}

static void what_is_aside_disturbs_neither_heartbeats_nor_the_stream(void **state)
{
    const enum control_job jobs[] = {CONTROL_CA, CONTROL_RENEW, CONTROL_SWITCH};
    const enum control_result results[] = {CONTROL_OK, CONTROL_AWAY, CONTROL_REFUSED,
                                           CONTROL_UNTRUSTED, CONTROL_FOREIGN};

    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        for (size_t k = 0; k < sizeof results / sizeof results[0]; k++) {
            struct control_machine m = make_registered(), before;

            control_machine_stream_up(&m);
            before = m;
            assert_true(control_job_is_aside(jobs[i]));
            control_machine_done(&m, jobs[i], results[k], 0, 2000, 0);
            assert_true(m.is_registered && m.is_stream_up);
            assert_int_equal(m.due_ms[CONTROL_BEAT], before.due_ms[CONTROL_BEAT]);
            assert_int_equal(m.due_ms[CONTROL_STREAM], before.due_ms[CONTROL_STREAM]);
            assert_int_equal(m.due_ms[CONTROL_REGISTER], INT64_MAX);
        }
    }
    assert_false(control_job_is_aside(CONTROL_BEAT));
    assert_false(control_job_is_aside(CONTROL_PIN));
}

/* Registered at 1000; heartbeats each 10 s. */
static void
what_cannot_wait_goes_with_a_heartbeat_at_once_and_no_more_than_one_a_second(void **state)
{
    struct control_machine m = make_registered();

    control_machine_beat_soon(&m, 1500, 40);
    assert_int_equal(control_machine_run(&m, 1539), 0);
    assert_int_equal(control_machine_run(&m, 1540), BIT(CONTROL_BEAT));
    control_machine_beat_soon(&m, 1600, 0); /* while that one is on its way */
    control_machine_done(&m, CONTROL_BEAT, CONTROL_OK, 0, 1700, 0);
    assert_int_equal(control_machine_run(&m, 2539), 0);
    assert_int_equal(control_machine_run(&m, 2540), BIT(CONTROL_BEAT));
    control_machine_done(&m, CONTROL_BEAT, CONTROL_OK, 0, 2600, 0);
    assert_int_equal(m.due_ms[CONTROL_BEAT], 11600);
}

static void a_heartbeat_that_failed_keeps_its_pause(void **state)
{
    struct control_machine m = make_registered();

    control_machine_beat_soon(&m, 1500, 0);
    assert_int_equal(control_machine_run(&m, 1500), BIT(CONTROL_BEAT));
    control_machine_beat_soon(&m, 1500, 0);
    control_machine_done(&m, CONTROL_BEAT, CONTROL_AWAY, 0, 2600, UINT64_MAX);
    assert_int_equal(control_machine_run(&m, 2600), 0);
}

static void nobody_who_is_not_registered_is_in_haste(void **state)
{
    struct control_machine m = make(1);

    assert_int_equal(control_machine_run(&m, 1000), BIT(CONTROL_REGISTER));
    control_machine_beat_soon(&m, 1000, 0);
    assert_int_equal(control_machine_run(&m, 5000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_of_all_it_registers_once),
        cmocka_unit_test(registering_is_tried_for_ever_with_growing_bounded_pauses),
        cmocka_unit_test(a_refused_registration_waits_at_least_a_second),
        cmocka_unit_test(heartbeats_come_at_their_interval_give_or_take_a_tenth),
        cmocka_unit_test(a_lost_heartbeat_is_repeated_soon),
        cmocka_unit_test(a_node_that_is_not_known_registers_again_at_once),
        cmocka_unit_test(while_no_stream_is_up_the_list_is_polled),
        cmocka_unit_test(a_control_plane_without_streams_is_polled_and_asked_again_after_a_minute),
        cmocka_unit_test(no_answer_moves_on_to_the_next_control_plane_once),
        cmocka_unit_test(a_fresh_list_comes_by_poll_or_by_a_new_stream),
        cmocka_unit_test(who_is_asked_to_wait_waits_and_not_all_alike),
        cmocka_unit_test(nobody_is_put_off_for_long_and_a_heartbeat_is_not_late_for_it),
        cmocka_unit_test(without_a_ca_the_pinned_one_is_fetched_before_anything_is_said),
        cmocka_unit_test(each_kind_of_failure_has_its_pauses),
        cmocka_unit_test(who_waits_for_anothers_silence_comes_when_it_is_told_to_and_no_later),
        cmocka_unit_test(who_is_not_admitted_registers_and_asks_for_nothing_else),
        cmocka_unit_test(one_that_is_not_admitted_over_and_over_takes_its_time),
        cmocka_unit_test(an_untrusted_control_plane_is_asked_on_while_its_ca_is_looked_for),
        cmocka_unit_test(a_ca_that_is_pinned_anew_leads_to_registering),
        cmocka_unit_test(who_is_to_pin_first_again_waits_out_its_pause),
        cmocka_unit_test(one_of_several_control_planes_that_is_not_believed_is_left),
        cmocka_unit_test(a_renewal_comes_when_it_is_due_and_keeps_its_own_time_while_it_fails),
        cmocka_unit_test(registering_again_takes_a_failing_renewals_place),
        cmocka_unit_test(what_is_aside_disturbs_neither_heartbeats_nor_the_stream),
        cmocka_unit_test(
            what_cannot_wait_goes_with_a_heartbeat_at_once_and_no_more_than_one_a_second),
        cmocka_unit_test(a_heartbeat_that_failed_keeps_its_pause),
        cmocka_unit_test(nobody_who_is_not_registered_is_in_haste),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
