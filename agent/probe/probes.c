/* All probes of this agent. */
#include "agent/probe/probes.h"

#include <string.h>

#include "lib/base/mem.h"

/* A round of those that are only measured takes so long, */
#define MEASURE_ROUND_MS 60000
/* but not more than so many a second. */
#define MEASURE_MIN_MS 200

void probes_deinit(struct probes *p)
{
    free(p->tracks);
    *p = (struct probes){0};
}

const struct probe_track *probes_find(const struct probes *p, const char *node_id)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->tracks[i].target.node_id, node_id) == 0)
            return &p->tracks[i];
    return NULL;
}

static bool is_same_target(const struct probe_target *a, const struct probe_target *b)
{
    return a->host_ip == b->host_ip && a->vtep == b->vtep;
}

/* What is known of it, or a new one; the watched begin at once, spread over their second. */
static void take_over(const struct probes *p, struct probe_track *ret_track,
                      const struct probe_target *target, bool is_watched, int64_t now_ms)
{
    const struct probe_track *old = probes_find(p, target->node_id);

    if (old && is_same_target(&old->target, target))
        *ret_track = *old;
    else
        probe_track_init(ret_track, target, is_watched, INT64_MAX);
    if (ret_track->is_watched != is_watched)
        ret_track->rounds = 0;
    ret_track->is_watched = is_watched;
    if (!is_watched)
        ret_track->due_ms = INT64_MAX;
    else if (ret_track->due_ms == INT64_MAX)
        ret_track->due_ms = now_ms + (int64_t)(random_u64() % 1000);
}

void probes_set_targets(struct probes *p, struct probe_target *targets, size_t count,
                        int64_t now_ms)
{
    struct probe_track *tracks;

    p->target_count = count;
    count = probe_ring_choose(targets, count);
    tracks = mem_array(count + 1, sizeof *tracks);
    for (size_t i = 0; i < count; i++) {
        take_over(p, &tracks[i], &targets[i], i < PROBE_WATCHED, now_ms);
        if (targets[i].ip_bytes > 0)
            ladder_set_top(&tracks[i].ladder, targets[i].ip_bytes, now_ms);
    }
    free(p->tracks);
    p->tracks = tracks;
    p->count = count;
    p->watched_count = count < PROBE_WATCHED ? count : PROBE_WATCHED;
    if (count > p->watched_count && p->measure_ms == 0)
        p->measure_ms = now_ms;
}

bool probes_is_far(const struct probes *p, const struct probe_target *target)
{
    if (p->target_count <= PROBE_MEASURED_MAX || p->count != PROBE_MEASURED_FEW ||
        target->distance <= p->tracks[p->count - 1].target.distance)
        return false;
    for (size_t i = 0; i < p->count; i++)
        if (p->tracks[i].target.vtep == target->vtep)
            return false;
    return true;
}

/* ---- asking -------------------------------------------------------------------------------- */

static int64_t measure_pause_ms(const struct probes *p)
{
    int64_t pause_ms = MEASURE_ROUND_MS / (int64_t)(p->count - p->watched_count);

    return pause_ms < MEASURE_MIN_MS ? MEASURE_MIN_MS : pause_ms;
}

static void give_a_turn(struct probes *p, int64_t now_ms)
{
    size_t others = p->count - p->watched_count;

    if (others == 0 || now_ms < p->measure_ms)
        return;
    p->measured_next = (p->measured_next + 1) % others;
    p->tracks[p->watched_count + p->measured_next].due_ms = now_ms;
    p->measure_ms = now_ms + measure_pause_ms(p);
}

static size_t count_searching(const struct probes *p)
{
    size_t count = 0;

    for (size_t i = 0; i < p->count; i++)
        count += p->tracks[i].ladder.is_searching;
    return count;
}

int64_t probes_due_ms(const struct probes *p)
{
    int64_t due_ms = p->count > p->watched_count ? p->measure_ms : INT64_MAX;
    bool may_search = count_searching(p) < PROBES_SEARCHING_MAX;

    for (size_t i = 0; i < p->count; i++) {
        int64_t at_ms = probe_track_due_ms(&p->tracks[i], may_search);

        due_ms = at_ms < due_ms ? at_ms : due_ms;
    }
    return due_ms;
}

static void run_track(struct probes *p, struct probe_track *t, struct probe_now now,
                      probe_send_fn send, void *data)
{
    uint32_t before = t->ladder.largest_bytes;

    probe_track_run(t, now, send, data);
    p->has_sizes |= t->ladder.largest_bytes != before;
}

int64_t probes_run(struct probes *p, struct probe_now now, probe_send_fn send, void *data)
{
    size_t searching = count_searching(p);

    give_a_turn(p, now.boot_ms);
    p->run_first++;
    for (size_t i = 0; i < p->count; i++) {
        struct probe_track *t = &p->tracks[(p->run_first + i) % p->count];

        searching -= t->ladder.is_searching;
        now.may_search = searching < PROBES_SEARCHING_MAX;
        if (probe_track_due_ms(t, now.may_search) <= now.boot_ms)
            run_track(p, t, now, send, data);
        searching += t->ladder.is_searching;
    }
    return probes_due_ms(p);
}

void probes_take_answer(struct probes *p, uint32_t addr, uint64_t nonce, uint32_t ip_bytes,
                        struct probe_now now)
{
    for (size_t i = 0; i < p->count; i++) {
        struct probe_track *t = &p->tracks[i];
        uint32_t before = t->ladder.largest_bytes;

        if ((t->target.host_ip == addr || t->target.vtep == addr) &&
            probe_track_answer(t, addr, nonce, ip_bytes, now)) {
            p->answered++;
            p->has_sizes |= t->ladder.largest_bytes != before;
            return;
        }
    }
    p->unexpected++;
}

/* ---- telling ------------------------------------------------------------------------------- */

size_t probes_count_lost(const struct probes *p)
{
    size_t count = 0;

    for (size_t i = 0; i < p->watched_count; i++)
        count += p->tracks[i].is_lost;
    return count;
}

static struct api_probe_path describe_path(const struct probe_stats *s)
{
    return (struct api_probe_path){s->mean_us, s->min_us, probe_stats_loss(s)};
}

static int64_t known(uint32_t bytes)
{
    return bytes > 0 ? (int64_t)bytes : -1;
}

struct api_probe probes_describe(const struct probe_track *t, int64_t now_ms)
{
    static const enum api_probe_state states[] = {
        [PROBE_UNHEARD] = API_PROBE_UNHEARD,
        [PROBE_REACHED] = API_PROBE_REACHED,
        [PROBE_SILENT] = API_PROBE_SILENT,
        [PROBE_LOST] = API_PROBE_LOST,
    };
    struct api_probe probe = {
        .is_watched = t->is_watched,
        .state = states[probe_track_state(t, now_ms)],
        .silent_ms = t->heard_ms > 0 ? now_ms - t->heard_ms : -1,
        .overlay_silent_ms = t->overlay_ms > 0 ? now_ms - t->overlay_ms : -1,
        .underlay = describe_path(&t->stats[PROBE_UNDERLAY]),
        .overlay = describe_path(&t->stats[PROBE_OVERLAY]),
        .largest_bytes = known(t->ladder.largest_bytes),
        .wanted_bytes = known(t->ladder.top_bytes),
    };

    memcpy(probe.node_id, t->target.node_id, sizeof probe.node_id);
    return probe;
}

static void tell(const struct probe_track *t, int64_t now_ms, size_t *told, struct strbuf *out)
{
    struct api_probe probe = probes_describe(t, now_ms);

    strbuf_adds(out, (*told)++ == 0 ? ",\"probes\":[" : ",");
    api_probe_to_json(&probe, out);
}

void probes_tell(struct probes *p, int64_t now_ms, struct strbuf *out)
{
    size_t others = p->count - p->watched_count, told = 0;

    for (size_t i = 0; i < p->watched_count; i++)
        tell(&p->tracks[i], now_ms, &told, out);
    for (size_t i = 0; i < others && told < PROBES_TOLD_MAX; i++) {
        const struct probe_track *t = &p->tracks[p->watched_count + p->told_next++ % others];

        if (t->latest_ms > 0)
            tell(t, now_ms, &told, out);
    }
    if (told > 0)
        strbuf_adds(out, "]");
}
