/* What is known of the way to one peer. */
#include "agent/probe/track.h"

#include <string.h>

#include "lib/base/mem.h"

#define CALM_MS 1000
#define CHASE_MS 100
#define LOST_ROUNDS 15
/* An answer may take so long before it is missed; longer where answers take their time. */
#define PATIENCE_MS 300
#define PATIENCE_MAX_MS 1000
/* Nothing waits for an answer longer than this. */
#define EXPIRE_MS 2000
/* A kernel that has not answered for longer is not known to answer. */
#define ECHO_KNOWN_MS 60000
#define UDP_TURNS 5
#define WINDOW 64

/* ---- figures ------------------------------------------------------------------------------- */

static enum probe_path path_of(enum probe_way way)
{
    return way == PROBE_VTEP_ECHO || way == PROBE_VTEP_UDP ? PROBE_OVERLAY : PROBE_UNDERLAY;
}

static bool is_echo(enum probe_way way)
{
    return way == PROBE_HOST_ECHO || way == PROBE_VTEP_ECHO;
}

static void note(struct probe_stats *s, bool is_answered)
{
    s->window = s->window << 1 | is_answered;
    s->count += s->count < WINDOW;
}

static void note_time(struct probe_stats *s, int64_t us)
{
    if (us > EXPIRE_MS * 1000)
        return; /* this agent stood still, and the answer waited for it */
    s->min_us = s->min_us < 0 || us < s->min_us ? us : s->min_us;
    s->mean_us = s->mean_us < 0 ? us : s->mean_us + (us - s->mean_us) / 8;
    s->last_us = us;
}

int probe_stats_loss(const struct probe_stats *s)
{
    uint64_t known = s->count == WINDOW ? UINT64_MAX : (UINT64_C(1) << s->count) - 1;

    if (s->count == 0)
        return -1;
    return (int)(s->count - (unsigned int)__builtin_popcountll(s->window & known)) * 100 /
           (int)s->count;
}

/* ---- asking -------------------------------------------------------------------------------- */

/* A way that never answers (its ICMP is filtered, say) tells nothing of a path that another way has
 * shown to be open. */
static bool counts(const struct probe_track *t, const struct probe_attempt *a)
{
    if (a->ip_bytes > 0)
        return false;
    for (int way = 0; way < PROBE_WAY_COUNT; way++)
        if (path_of((enum probe_way)way) == path_of(a->way) && t->has_answered[way])
            return t->has_answered[a->way];
    return true;
}

static void give_up(struct probe_track *t, struct probe_attempt *a)
{
    if (a->nonce != 0 && counts(t, a))
        note(&t->stats[path_of(a->way)], false);
    a->nonce = 0;
}

static void expire(struct probe_track *t, int64_t now_ms)
{
    for (size_t i = 0; i < PROBE_OPEN_MAX; i++)
        if (t->open[i].nonce != 0 && now_ms - t->open[i].sent_ms > EXPIRE_MS)
            give_up(t, &t->open[i]);
}

struct asking {
    struct probe_track *track;
    struct probe_now now;
    probe_send_fn send;
    void *data;
};

static void ask(const struct asking *asking, enum probe_way way, uint32_t ip_bytes)
{
    struct probe_track *t = asking->track;
    struct probe_attempt *a = &t->open[t->next_open];
    uint32_t addr = path_of(way) == PROBE_OVERLAY ? t->target.vtep : t->target.host_ip;

    t->next_open = (t->next_open + 1) % PROBE_OPEN_MAX;
    give_up(t, a);
    *a = (struct probe_attempt){.nonce = random_u64() | 1,
                                .sent_ms = asking->now.boot_ms,
                                .sent_us = asking->now.work_us,
                                .way = way,
                                .ip_bytes = ip_bytes};
    asking->send(asking->data, way, addr, a->nonce, ip_bytes);
}

static int64_t patience_ms(const struct probe_track *t)
{
    int64_t ms = t->stats[PROBE_UNDERLAY].mean_us * 3 / 1000;

    ms = ms < PATIENCE_MS ? PATIENCE_MS : ms;
    return ms > PATIENCE_MAX_MS ? PATIENCE_MAX_MS : ms;
}

static bool is_missed(const struct probe_track *t, int64_t now_ms)
{
    return t->rounds > 0 && now_ms - t->first_ms >= patience_ms(t);
}

static bool can_be_lost(const struct probe_track *t, int64_t now_ms)
{
    return t->is_watched && t->echo_ms > 0 && now_ms - t->echo_ms < ECHO_KNOWN_MS;
}

static bool is_chased(const struct probe_track *t, int64_t now_ms)
{
    return !t->is_lost && is_missed(t, now_ms) && can_be_lost(t, now_ms);
}

static void ask_round(const struct asking *asking, bool has_echo, bool has_udp)
{
    struct probe_track *t = asking->track;

    for (int way = 0; way < PROBE_WAY_COUNT; way++)
        if (is_echo((enum probe_way)way) ? has_echo : has_udp)
            ask(asking, (enum probe_way)way, 0);
    if (t->rounds++ == 0)
        t->first_ms = asking->now.boot_ms;
    t->latest_ms = asking->now.boot_ms;
}

static void climb(const struct asking *asking)
{
    struct probe_track *t = asking->track;
    uint32_t bytes = ladder_try(&t->ladder, asking->now.may_search, asking->now.boot_ms);

    if (bytes == 0)
        return;
    ask(asking, PROBE_HOST_UDP, bytes);
    ask(asking, PROBE_HOST_UDP, 0);
}

static void judge(struct probe_track *t, int64_t now_ms)
{
    if (t->rounds >= LOST_ROUNDS && now_ms - t->latest_ms >= patience_ms(t) &&
        can_be_lost(t, now_ms))
        t->is_lost = true;
}

/* The next second begins a little sooner or later, so that many do not keep step. */
static int64_t calm_ms(void)
{
    return CALM_MS - CALM_MS / 10 + (int64_t)(random_u64() % (CALM_MS / 10 + 1));
}

/* When the latest round could be missed: whoever chases asks again then. */
static int64_t next_ms(const struct probe_track *t, int64_t now_ms)
{
    if (!t->is_watched)
        return INT64_MAX;
    if (t->rounds >= LOST_ROUNDS && !t->is_lost && can_be_lost(t, now_ms))
        return t->latest_ms + patience_ms(t);
    return now_ms + (is_chased(t, now_ms) ? CHASE_MS : calm_ms());
}

static void ask_what_is_due(const struct asking *asking)
{
    struct probe_track *t = asking->track;
    bool is_chasing = is_chased(t, asking->now.boot_ms);

    if (!is_chasing && t->ladder.tries == 0 && t->has_answered[PROBE_HOST_UDP])
        climb(asking);
    if (is_chasing && t->rounds >= LOST_ROUNDS)
        return; /* the last answers are waited for */
    if (!t->is_watched || is_chasing)
        ask_round(asking, true, true);
    else
        ask_round(asking, true, t->turn++ % UDP_TURNS == 0);
}

void probe_track_run(struct probe_track *t, struct probe_now now, probe_send_fn send, void *data)
{
    const struct asking asking = {t, now, send, data};

    expire(t, now.boot_ms);
    judge(t, now.boot_ms);
    if (is_chased(t, now.boot_ms) && t->latest_ms < t->first_ms + patience_ms(t))
        t->due_ms = now.boot_ms;
    if (ladder_due_ms(&t->ladder, now.may_search) <= now.boot_ms)
        climb(&asking);
    if (now.boot_ms < t->due_ms)
        return;
    ask_what_is_due(&asking);
    t->due_ms = next_ms(t, now.boot_ms);
}

static int64_t round_due_ms(const struct probe_track *t)
{
    int64_t missed_ms = t->first_ms + patience_ms(t);

    if (t->rounds == 0 || t->is_lost || missed_ms <= t->latest_ms || !can_be_lost(t, missed_ms))
        return t->due_ms;
    return missed_ms < t->due_ms ? missed_ms : t->due_ms;
}

int64_t probe_track_due_ms(const struct probe_track *t, bool may_search)
{
    int64_t round_ms = round_due_ms(t), ladder_ms = ladder_due_ms(&t->ladder, may_search);

    return ladder_ms < round_ms ? ladder_ms : round_ms;
}

/* ---- answers ------------------------------------------------------------------------------- */

/* Whoever has just begun to answer had not begun when it was asked before: nothing was lost. Now
 * the largest packet can be looked for, too; who is only measured does not wait for the next turn.
 */
static void begin_to_hear(struct probe_track *t, enum probe_way way, int64_t now_ms)
{
    for (size_t i = 0; i < PROBE_OPEN_MAX; i++)
        if (t->open[i].way == way)
            t->open[i].nonce = 0;
    t->has_answered[way] = true;
    if (way == PROBE_HOST_UDP && !t->is_watched)
        t->due_ms = now_ms;
}

static void take(struct probe_track *t, struct probe_attempt *a, uint32_t ip_bytes, int64_t us,
                 int64_t now_ms)
{
    struct probe_stats *s = &t->stats[path_of(a->way)];

    t->heard_ms = now_ms;
    t->rounds = 0;
    t->is_lost = false;
    if (!t->has_answered[a->way])
        begin_to_hear(t, a->way, now_ms);
    if (is_echo(a->way))
        t->echo_ms = now_ms;
    if (path_of(a->way) == PROBE_OVERLAY)
        t->overlay_ms = now_ms;
    if (counts(t, a))
        note(s, true);
    if (a->way == PROBE_HOST_UDP && a->ip_bytes == 0)
        ladder_heard(&t->ladder);
    if (a->ip_bytes > 0 && ip_bytes == a->ip_bytes)
        ladder_passed(&t->ladder, a->ip_bytes, now_ms);
    else
        note_time(s, us);
    a->nonce = 0;
}

bool probe_track_answer(struct probe_track *t, uint32_t addr, uint64_t nonce, uint32_t ip_bytes,
                        struct probe_now now)
{
    for (size_t i = 0; i < PROBE_OPEN_MAX; i++) {
        struct probe_attempt *a = &t->open[i];
        uint32_t asked = path_of(a->way) == PROBE_OVERLAY ? t->target.vtep : t->target.host_ip;

        if (nonce == 0 || a->nonce != nonce || addr != asked)
            continue;
        take(t, a, ip_bytes, now.work_us - a->sent_us, now.boot_ms);
        return true;
    }
    return false;
}

enum probe_state probe_track_state(const struct probe_track *t, int64_t now_ms)
{
    if (t->is_lost)
        return PROBE_LOST;
    if (t->heard_ms == 0)
        return PROBE_UNHEARD;
    return is_missed(t, now_ms) ? PROBE_SILENT : PROBE_REACHED;
}

void probe_track_init(struct probe_track *t, const struct probe_target *target, bool is_watched,
                      int64_t due_ms)
{
    *t = (struct probe_track){.target = *target, .is_watched = is_watched, .due_ms = due_ms};
    for (int path = 0; path < PROBE_PATH_COUNT; path++)
        t->stats[path].last_us = t->stats[path].min_us = t->stats[path].mean_us = -1;
}
