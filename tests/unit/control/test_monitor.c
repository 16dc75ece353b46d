/* The monitor: timeouts, doubt, and its own lateness. */
#include "control/services/monitor.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

#define TIMEOUT_MS 30000

struct due {
    const struct monitor_entry *entries[64];
    size_t count;
};

static bool on_due(struct monitor_entry *entry, void *data)
{
    struct due *due = data;

    due->entries[due->count++] = entry;
    return true;
}

static size_t count_due(struct monitor *monitor, int64_t now_ms)
{
    struct due due = {0};

    monitor_check(monitor, now_ms, on_due, &due);
    return due.count;
}

static void watch_all(struct monitor *monitor, struct monitor_entry *entries, size_t count,
                      int64_t now_ms)
{
    for (size_t i = 0; i < count; i++)
        monitor_beat(monitor, &entries[i], now_ms);
}

static void one_is_due_only_after_the_whole_timeout(void **state)
{
    struct monitor_entry entry = {0};
    struct monitor monitor;

    monitor_init(&monitor, TIMEOUT_MS);
    monitor_beat(&monitor, &entry, 1000);
    assert_int_equal(count_due(&monitor, 31000), 0);
    assert_int_equal(count_due(&monitor, 31001), 1);
    assert_int_equal(count_due(&monitor, 90000), 1); /* until it is forgotten */
    monitor_forget(&monitor, &entry);
    assert_int_equal(count_due(&monitor, 90000), 0);
    assert_int_equal(monitor.count, 0);
}

static void silence_is_known_only_as_far_as_it_has_looked(void **state)
{
    struct monitor_entry entry = {0};
    struct monitor monitor;

    monitor_init(&monitor, TIMEOUT_MS);
    monitor_beat(&monitor, &entry, 1000);
    assert_int_equal(monitor_silence_ms(&monitor, &entry, 6000), 5000); /* it has never looked */
    assert_int_equal(count_due(&monitor, 7000), 0);
    assert_int_equal(monitor_silence_ms(&monitor, &entry, 8000), 7000);
    assert_int_equal(monitor_silence_ms(&monitor, &entry, 60000), 7000); /* it was held up */
    monitor_beat(&monitor, &entry, 60000);
    assert_int_equal(monitor_silence_ms(&monitor, &entry, 60000), 0);
}

static void a_beat_begins_the_timeout_anew(void **state)
{
    struct monitor_entry entry = {0};
    struct monitor monitor;

    monitor_init(&monitor, TIMEOUT_MS);
    monitor_beat(&monitor, &entry, 0);
    monitor_beat(&monitor, &entry, 29000);
    assert_int_equal(monitor.count, 1);
    assert_int_equal(count_due(&monitor, 59000), 0);
    assert_int_equal(count_due(&monitor, 59001), 1);
}

static void the_longest_silent_come_first(void **state)
{
    struct monitor_entry entries[8] = {0};
    struct monitor monitor;
    struct due due = {0};

    monitor_init(&monitor, TIMEOUT_MS);
    watch_all(&monitor, entries, 8, 0);
    monitor_beat(&monitor, &entries[0], 100);
    for (size_t i = 2; i < 8; i++)
        monitor_beat(&monitor, &entries[i], 20000);
    monitor_check(&monitor, 31000, on_due, &due);
    assert_int_equal(due.count, 2);
    assert_ptr_equal(due.entries[0], &entries[1]);
    assert_ptr_equal(due.entries[1], &entries[0]);
}

/* total nodes, of which silent ones were last heard at 0 and the others at 30 s; asked at 31 s. */
static void doubts_itself_when_many_fall_silent_together(void **state)
{
    static const struct {
        size_t total, silent, due;
        bool is_doubting;
    } rows[] = {
        {1, 1, 1, false}, {2, 2, 2, false},   {3, 2, 2, false},  {3, 3, 0, true},
        {8, 3, 0, true},  {9, 3, 2, false},   {10, 3, 2, false}, {12, 4, 2, false},
        {12, 5, 0, true}, {60, 20, 8, false}, {60, 21, 0, true}, {60, 60, 0, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct monitor_entry entries[64] = {0};
        struct monitor monitor;

        monitor_init(&monitor, TIMEOUT_MS);
        watch_all(&monitor, entries, rows[i].total, 0);
        for (size_t n = rows[i].silent; n < rows[i].total; n++)
            monitor_beat(&monitor, &entries[n], 30000);
        assert_int_equal(count_due(&monitor, 31000), rows[i].due);
        assert_int_equal(monitor.is_doubting, rows[i].is_doubting);
    }
}

/* The first is seen to already. */
static bool take_others(struct monitor_entry *entry, void *data)
{
    struct due *due = data;

    due->entries[due->count++] = entry;
    return due->count > 1;
}

static void a_third_goes_in_three_looks(void **state)
{
    struct monitor_entry entries[60] = {0};
    struct monitor monitor;
    size_t looks = 0;

    monitor_init(&monitor, TIMEOUT_MS);
    watch_all(&monitor, entries, 60, 0);
    for (size_t n = 20; n < 60; n++)
        monitor_beat(&monitor, &entries[n], 30000);
    while (monitor.count > 40) {
        struct due due = {0};

        monitor_check(&monitor, 31000, on_due, &due);
        assert_true(due.count > 0);
        for (size_t i = 0; i < due.count; i++)
            monitor_forget(&monitor, &entries[due.entries[i] - entries]);
        looks++;
    }
    assert_int_equal(looks, 3);
}

static void who_is_seen_to_already_does_not_count(void **state)
{
    struct monitor_entry entries[12] = {0};
    struct monitor monitor;
    struct due due = {0};

    monitor_init(&monitor, TIMEOUT_MS);
    watch_all(&monitor, entries, 12, 0);
    for (size_t n = 4; n < 12; n++)
        monitor_beat(&monitor, &entries[n], 30000);
    monitor_check(&monitor, 31000, take_others, &due);
    assert_int_equal(due.count, 3); /* the first, and two behind it */
}

static void those_on_their_way_to_silence_count_for_the_doubt(void **state)
{
    struct monitor_entry entries[4] = {0};
    struct monitor monitor;

    monitor_init(&monitor, TIMEOUT_MS);
    for (int i = 0; i < 4; i++)
        monitor_beat(&monitor, &entries[i], i * 3000); /* the beats before all went */
    assert_int_equal(count_due(&monitor, 30001), 0);
    assert_true(monitor.is_doubting);
}

static void doubt_ends_when_enough_are_heard_again(void **state)
{
    struct monitor_entry entries[10] = {0};
    struct monitor monitor;

    monitor_init(&monitor, TIMEOUT_MS);
    watch_all(&monitor, entries, 10, 0);
    assert_int_equal(count_due(&monitor, 31000), 0);
    assert_true(monitor.is_doubting);
    watch_all(&monitor, entries, 7, 31500);
    assert_int_equal(count_due(&monitor, 32000), 0);
    assert_false(monitor.is_doubting);
    /* the other three have half a timeout to be heard, from then on */
    watch_all(&monitor, entries, 7, 41000);
    assert_int_equal(count_due(&monitor, 47000), 0);
    assert_int_equal(count_due(&monitor, 47001), 2); /* and the third at the next look */
}

static void who_is_heard_in_time_after_a_doubt_is_not_due(void **state)
{
    struct monitor_entry entries[10] = {0};
    struct monitor monitor;

    monitor_init(&monitor, TIMEOUT_MS);
    watch_all(&monitor, entries, 10, 0);
    assert_int_equal(count_due(&monitor, 31000), 0);
    watch_all(&monitor, entries, 7, 31500);
    assert_int_equal(count_due(&monitor, 32000), 0);
    watch_all(&monitor, entries, 7, 40000);
    monitor_beat(&monitor, &entries[8], 40000);
    assert_int_equal(count_due(&monitor, 47001), 2);
}

static void doubt_ends_when_all_are_heard_again(void **state)
{
    struct monitor_entry entries[5] = {0};
    struct monitor monitor;

    monitor_init(&monitor, TIMEOUT_MS);
    watch_all(&monitor, entries, 5, 0);
    assert_int_equal(count_due(&monitor, 31000), 0);
    assert_true(monitor.is_doubting);
    watch_all(&monitor, entries, 5, 31500);
    assert_int_equal(count_due(&monitor, 32000), 0);
    assert_false(monitor.is_doubting);
}

static void its_own_absence_is_nobodys_silence(void **state)
{
    struct monitor_entry entries[2] = {0};
    struct monitor monitor;

    monitor_init(&monitor, TIMEOUT_MS);
    assert_int_equal(monitor_lag_limit_ms(&monitor), 2000);
    monitor_beat(&monitor, &entries[0], 0);
    monitor_beat(&monitor, &entries[1], 5000);
    monitor_forgive(&monitor, 60000, 70000); /* away from 10 s to 70 s */
    assert_int_equal(count_due(&monitor, 90000), 0);
    assert_int_equal(count_due(&monitor, 90001), 1);
    assert_int_equal(count_due(&monitor, 95001), 2);
}

static void forgiving_never_reaches_into_the_future(void **state)
{
    struct monitor_entry entry = {0};
    struct monitor monitor;

    monitor_init(&monitor, TIMEOUT_MS);
    monitor_beat(&monitor, &entry, 69000);
    monitor_forgive(&monitor, 60000, 70000);
    assert_int_equal(entry.last_beat_ms, 70000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_due_only_after_the_whole_timeout),
        cmocka_unit_test(silence_is_known_only_as_far_as_it_has_looked),
        cmocka_unit_test(a_beat_begins_the_timeout_anew),
        cmocka_unit_test(the_longest_silent_come_first),
        cmocka_unit_test(doubts_itself_when_many_fall_silent_together),
        cmocka_unit_test(a_third_goes_in_three_looks),
        cmocka_unit_test(who_is_seen_to_already_does_not_count),
        cmocka_unit_test(those_on_their_way_to_silence_count_for_the_doubt),
        cmocka_unit_test(doubt_ends_when_enough_are_heard_again),
        cmocka_unit_test(who_is_heard_in_time_after_a_doubt_is_not_due),
        cmocka_unit_test(doubt_ends_when_all_are_heard_again),
        cmocka_unit_test(its_own_absence_is_nobodys_silence),
        cmocka_unit_test(forgiving_never_reaches_into_the_future),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
