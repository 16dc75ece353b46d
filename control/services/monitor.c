/* Who has been silent for too long. */
#include "control/services/monitor.h"

#include "lib/base/list.h"

/* Of the watched, one in so many is named in one look; but this many always. */
#define DUE_SHARE 8
#define DUE_ALWAYS 2

void monitor_init(struct monitor *m, int64_t timeout_ms)
{
    *m = (struct monitor){.timeout_ms = timeout_ms};
}

void monitor_beat(struct monitor *m, struct monitor_entry *entry, int64_t now_ms)
{
    monitor_forget(m, entry);
    entry->last_beat_ms = now_ms;
    entry->is_watched = true;
    DL_APPEND(m->watched, entry);
    m->count++;
}

void monitor_forget(struct monitor *m, struct monitor_entry *entry)
{
    if (!entry->is_watched)
        return;
    DL_DELETE(m->watched, entry);
    entry->is_watched = false;
    m->count--;
}

void monitor_forgive(struct monitor *m, int64_t away_ms, int64_t now_ms)
{
    struct monitor_entry *entry;

    DL_FOREACH(m->watched, entry)
    {
        int64_t moved_ms = entry->last_beat_ms + away_ms;

        entry->last_beat_ms = moved_ms < now_ms ? moved_ms : now_ms;
    }
}

int64_t monitor_lag_limit_ms(const struct monitor *m)
{
    return m->timeout_ms / 15;
}

bool monitor_is_silent(const struct monitor *m, const struct monitor_entry *entry, int64_t now_ms)
{
    return now_ms - entry->last_beat_ms > m->timeout_ms / 2;
}

size_t monitor_count_silent(const struct monitor *m, int64_t now_ms)
{
    const struct monitor_entry *entry;
    size_t count = 0;

    DL_FOREACH(m->watched, entry)
    {
        if (!monitor_is_silent(m, entry, now_ms))
            break;
        count++;
    }
    return count;
}

int64_t monitor_silence_ms(const struct monitor *m, const struct monitor_entry *entry,
                           int64_t now_ms)
{
    int64_t sure_ms = m->looked_ms + monitor_lag_limit_ms(m) / 2;

    if (m->looked_ms > 0 && sure_ms < now_ms)
        now_ms = sure_ms;
    return now_ms > entry->last_beat_ms ? now_ms - entry->last_beat_ms : 0;
}

static bool is_due(const struct monitor *m, const struct monitor_entry *entry, int64_t now_ms)
{
    return entry && now_ms - entry->last_beat_ms > m->timeout_ms;
}

bool monitor_is_crowd_silent(const struct monitor *m, int64_t now_ms)
{
    size_t silent = monitor_count_silent(m, now_ms);

    return silent > 2 && silent * 3 > m->count;
}

static bool is_doubtful(const struct monitor *m, int64_t now_ms)
{
    return is_due(m, m->watched, now_ms) && monitor_is_crowd_silent(m, now_ms);
}

/* The silent stand first in the list, and stay there: nobody else's beat is older. */
static void give_half_again(struct monitor *m, int64_t now_ms)
{
    struct monitor_entry *entry;

    DL_FOREACH(m->watched, entry)
    {
        if (!monitor_is_silent(m, entry, now_ms))
            return;
        entry->last_beat_ms = now_ms - m->timeout_ms / 2;
    }
}

static size_t due_at_once(const struct monitor *m)
{
    size_t share = (m->count + DUE_SHARE - 1) / DUE_SHARE;

    return share > DUE_ALWAYS ? share : DUE_ALWAYS;
}

void monitor_check(struct monitor *m, int64_t now_ms, monitor_due_fn fn, void *data)
{
    struct monitor_entry *entry;
    bool was_doubting = m->is_doubting;
    size_t left = due_at_once(m);

    m->looked_ms = now_ms;
    m->is_doubting = is_doubtful(m, now_ms);
    if (m->is_doubting)
        return;
    if (was_doubting)
        give_half_again(m, now_ms);
    for (entry = m->watched; left > 0 && is_due(m, entry, now_ms); entry = entry->next)
        left -= fn(entry, data);
}
