/* Who has been silent for too long. Pure: the time (CLOCK_BOOTTIME) is handed in.
 *
 * The watched are kept in the order of their last beat, so a look costs what it finds and not what
 * the cluster has.
 *
 * The monitor doubts itself before it doubts many others: when, at the moment somebody is due, more
 * than two and more than a third of the watched have been silent for over half the timeout, then it
 * is rather this host's network that is gone. It names nobody until the share falls. Then the
 * network is coming back, and those that have not been heard yet are on their way: they get half a
 * timeout more.
 *
 * Those that are due go a few at a time, an eighth of the watched a look: so a third, the most that
 * can go without a doubt, has gone after three looks, and a doubt that sets in meanwhile finds some
 * of them still there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what is watched; zeroed: not watched. */
struct monitor_entry {
    bool is_watched;
    int64_t last_beat_ms;
    struct monitor_entry *prev, *next;
};

struct monitor {
    int64_t timeout_ms;
    struct monitor_entry *watched; /* the longest silent first */
    size_t count;
    bool is_doubting;
    int64_t looked_ms; /* when it has looked last; 0: not yet */
};

/* Called for entries that are due, the longest silent first. Must not change the monitor. False: it
 * is being seen to already, and does not count. */
typedef bool (*monitor_due_fn)(struct monitor_entry *entry, void *data);

void monitor_init(struct monitor *monitor, int64_t timeout_ms);
/* A sign of life; begins watching if need be. */
void monitor_beat(struct monitor *monitor, struct monitor_entry *entry, int64_t now_ms);
void monitor_forget(struct monitor *monitor, struct monitor_entry *entry);

/* The watcher itself was away for so long: everybody's silence is shorter by that. */
void monitor_forgive(struct monitor *monitor, int64_t away_ms, int64_t now_ms);
/* An absence that is worth forgiving: a fifteenth of the timeout (2 s of 30 s). */
int64_t monitor_lag_limit_ms(const struct monitor *monitor);

/* Hands over who is due, unless it doubts; is_doubting is set anew. Two may always go, of more an
 * eighth of the watched: the others at the next look, which must come soon. */
void monitor_check(struct monitor *monitor, int64_t now_ms, monitor_due_fn fn, void *data);
/* How many have been silent for over half the timeout. */
size_t monitor_count_silent(const struct monitor *monitor, int64_t now_ms);
/* So many, that nobody is to be called down for it. */
bool monitor_is_crowd_silent(const struct monitor *monitor, int64_t now_ms);
/* For how long it has been silent, as far as the watcher was there to hear it: its looks come every
 * thirtieth of the timeout, and what has come in since one that is overdue is not read yet. */
int64_t monitor_silence_ms(const struct monitor *monitor, const struct monitor_entry *entry,
                           int64_t now_ms);
bool monitor_is_silent(const struct monitor *monitor, const struct monitor_entry *entry,
                       int64_t now_ms);
