/* Who is judged to be down, held against who has really been silent: nobody too early, nobody while
 * many are silent together, and everybody in time. */
#include "control/services/registry_probes.h"
#include "lib/base/list.h"
#include "tests/sim/oracle_tables.h"

#define TIMEOUT_US (30 * SIM_S)
#define DOWN_LIMIT_US (5 * SIM_S)
/* What the control plane makes of a stop depends on where its tick (1 s) was: one that is longer
 * than what it notices as its own lag (2 s) may be forgiven whole, and one that is a tick longer
 * than that is, but for a tick. */
static const struct leniency {
    int64_t longer_us, less_us;
} AT_MOST = {2 * SIM_S, 0}, AT_LEAST = {3 * SIM_S, 1 * SIM_S};
/* Who is cut off may be found to be lost a moment after that was over; and nobody is lost sooner.
 */
#define HASTE_PAST_US (3 * SIM_S)
#define HASTE_MIN_US (2 * SIM_S)

/* ---- what is judged ------------------------------------------------------------------------ */

void oracle_control_started(void)
{
    struct oracle *o = sim.oracle;
    struct stall *stall;

    LL_FOREACH(o->stalls, stall)
    {
        if (stall->until_us > sim.now_us)
            stall->until_us = sim.now_us;
    }
    o->started_us = o->calm_us = sim.now_us;
    o->seen_revision = 0;
}

void oracle_control_stalled(int64_t for_us)
{
    struct stall *stall = NEW(struct stall);

    stall->from_us = sim.now_us;
    stall->until_us = sim.now_us + for_us;
    LL_PREPEND(sim.oracle->stalls, stall);
}

/* For how long the control plane could not have heard anything since then, as far as it can know.
 */
static int64_t deafness_us(int64_t since_us, struct leniency leniency)
{
    const struct stall *stall;
    int64_t sum_us = 0;

    LL_FOREACH(sim.oracle->stalls, stall)
    {
        int64_t from_us = stall->from_us > since_us ? stall->from_us : since_us;

        if (stall->until_us - from_us > leniency.longer_us && stall->until_us <= sim.now_us)
            sum_us += stall->until_us - from_us - leniency.less_us;
    }
    return sum_us;
}

static int64_t heard_us(const struct truth *t)
{
    const struct oracle *o = sim.oracle;
    int64_t heard = t->heard_us > o->started_us ? t->heard_us : o->started_us;

    return heard > t->up_us ? heard : t->up_us;
}

static int64_t silence_us(const struct truth *t, bool counts_refused, struct leniency leniency)
{
    int64_t since_us = heard_us(t);

    if (counts_refused && t->asked_us > since_us)
        since_us = t->asked_us;

    return sim.now_us - since_us - deafness_us(since_us, leniency);
}

int64_t oracle_silence_us(const struct truth *t)
{
    return silence_us(t, false, AT_LEAST);
}

int64_t oracle_calm_silence_us(const struct truth *t)
{
    int64_t calm_us = sim.now_us - sim.oracle->calm_us, us = oracle_silence_us(t);

    return us < calm_us ? us : calm_us;
}

/* How many of the watched have been silent for so long. A request that was refused, for want of
 * room say, was heard all the same; whether it counts as a sign of life is the registry's to say.
 */
static size_t count_silent(int64_t longer_us, bool counts_refused, struct leniency leniency)
{
    const struct node *node;
    size_t count = 0;

    DL_FOREACH(sim.control.registry.first, node)
    {
        const struct truth *t =
            node->watch.is_watched ? oracle_find(node->facts.api.node_id) : NULL;

        count += t && silence_us(t, counts_refused, leniency) > longer_us;
    }
    return count;
}

/* ---- who is dead, and who is only silent ---------------------------------------------------- */

static bool answers(const struct host *host, const struct truth *t, int64_t before_us)
{
    bool is_cut =
        host->is_cut_from_peers || (before_us > 0 && host->cut_until_us > sim.now_us - before_us);

    return !host->is_gone && !is_cut && host->ip == t->facts.api.host_ip;
}

/* Whether the kernel of the node's host answers others, and has for so long. Of a node that nobody
 * runs as its address is asked. */
static bool is_alive(const struct truth *t, int64_t before_us)
{
    for (size_t i = 1; i <= sim.host_count; i++) {
        const struct host *host = &sim.hosts[i];

        if (host->ip == t->facts.api.host_ip && answers(host, t, before_us))
            return true;
    }
    return false;
}

/* A node that others have lost goes before its time is over; one that they reach may stay longer.
 */
static void check_haste(const char *name, const struct truth *t)
{
    if (oracle_silence_us(t) >= TIMEOUT_US - ROUNDING_US)
        return;
    if ((is_alive(t, HASTE_PAST_US) && sim.now_us - t->dead_us > HASTE_PAST_US) ||
        oracle_silence_us(t) < HASTE_MIN_US)
        sim_violate("%s is to be down after %.3f s of silence", name,
                    (double)oracle_silence_us(t) / 1e6);
}

void oracle_judged_down(const struct node *node)
{
    const char *name = node->facts.api.hostname;
    struct truth *t = oracle_find(node->facts.api.node_id);
    size_t silent = count_silent(TIMEOUT_US / 2 + 2 * SIM_S, true, AT_MOST);

    if (!t || !t->facts.api.is_up)
        return;
    check_haste(name, t);
    if (silent > 2 && silent * 3 > sim.control.registry.monitor.count)
        sim_violate("%s is to be down while %zu of %zu are silent together", name, silent,
                    sim.control.registry.monitor.count);
    t->judged_us = sim.now_us;
}

/* ---- what is missed: once a second --------------------------------------------------------- */

/* What its witnesses say of one that they can reach holds until it is old. */
static int64_t kept_until_us(const struct truth *t, int64_t due_us)
{
    int64_t max_us = due_us + (KEPT_TIMEOUTS - 1) * TIMEOUT_US, until_us;

    until_us = t->alive_us + TIMEOUT_US / 2;
    until_us = until_us < max_us ? until_us : max_us;
    return until_us > due_us ? until_us : due_us;
}

/* A node that has been silent for its whole time is marked, unless something has kept the control
 * plane from it. */
static void check_marked(void)
{
    const struct oracle *o = sim.oracle;
    const struct node *node;

    DL_FOREACH(sim.control.registry.first, node)
    {
        const struct truth *t = oracle_find(node->facts.api.node_id);
        int64_t due_us = 0;

        if (t)
            due_us = (t->asked_us > heard_us(t) ? t->asked_us : heard_us(t)) + TIMEOUT_US;
        if (!t || !t->facts.api.is_up)
            continue;
        due_us = kept_until_us(t, due_us);
        if (sim.now_us - (due_us > o->calm_us ? due_us : o->calm_us) > DOWN_LIMIT_US)
            sim_violate("%s has been silent for %.1f s and is not down", node->facts.api.hostname,
                        (double)(sim.now_us - heard_us(t)) / 1e6);
    }
}

static bool is_control_awake(void)
{
    const struct process *p = &sim_control_host()->process;

    return p->is_running && p->stalled_until_us <= sim.now_us;
}

static bool may_doubt(void)
{
    size_t silent = count_silent(TIMEOUT_US / 2 - 2 * SIM_S, false, AT_LEAST);

    return silent > 2 && silent * 3 >= sim.control.registry.monitor.count;
}

static bool is_recently_stalled(void)
{
    const struct stall *stall = sim.oracle->stalls;

    return stall && sim.now_us - stall->until_us < TIMEOUT_US;
}

static void on_second(void *data);

void oracle_watch_liveness(void)
{
    (void)sim_in(SIM_S, SIM_LATER, NULL, on_second, NULL);
}

static void note_alive(void)
{
    const struct node *node;

    DL_FOREACH(sim.control.registry.first, node)
    {
        struct truth *t = oracle_find(node->facts.api.node_id);

        if (t && is_alive(t, 0))
            t->alive_us = sim.now_us;
        else if (t)
            t->dead_us = sim.now_us;
    }
}

static void on_second(void *data)
{
    struct oracle *o = sim.oracle;

    note_alive();
    oracle_watch_liveness();
    if (is_control_awake() && may_doubt())
        o->calm_us = sim.now_us + TIMEOUT_US / 2; /* once it ends */
    else if (!is_control_awake() || disk_is_full() || is_recently_stalled())
        o->calm_us = o->calm_us > sim.now_us ? o->calm_us : sim.now_us;
    else
        check_marked();
}
