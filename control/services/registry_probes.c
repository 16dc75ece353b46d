/* What the nodes tell of each other. */
#include "control/services/registry_probes.h"

#include <string.h>

#include "control/services/registry_tables.h"
#include "lib/api/fields.h"
#include "lib/base/list.h"

/* A node that went down by what witnesses say does so once in this time: one that comes and goes is
 * not chased. */
#define HASTE_REST_MS 300000
/* Of the watched so many may go in one timeout by what witnesses say, and only while no more are
 * accused: more at once is a cut through the network rather than so many deaths, and that is for
 * the timeout to find out. */
#define HASTE_SHARE 8
#define HASTE_ALWAYS 2
#define HASTE_NEVER (SUSPECTS_MAX / 2) /* more are known to be more */
/* After we were held up, what had waited meanwhile is read within this time: what it says may be as
 * old as the wait. */
#define WAITED_MS 1000
/* A cell that is older is not shown. */
#define CELL_MAX_MS 600000

/* ---- hearing ------------------------------------------------------------------------------- */

/* It counts among the accused until the next heartbeats have come of all who accuse it. */
static void suspect(struct registry *r, const struct node *node, struct moment now)
{
    int64_t until_ms = now.boot_ms + r->monitor.timeout_ms / 2;
    struct suspect *free_one = NULL;

    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        struct suspect *s = &r->suspects[i];

        if (strcmp(s->node_id, node->facts.api.node_id) == 0) {
            s->until_ms = until_ms;
            return;
        }
        if (!s->node_id[0])
            free_one = s;
    }
    if (!free_one)
        return; /* so many at once wait for the timeout */
    memcpy(free_one->node_id, node->facts.api.node_id, sizeof free_one->node_id);
    free_one->until_ms = until_ms;
}

static void note_one(struct registry *r, struct node *by, const struct api_probe *says,
                     struct moment now)
{
    struct node *about = registry_find(r, says->node_id);

    if (!about || about == by)
        return;
    book_note(&by->book, about->subnet_index, says, now.boot_ms);
    if (!says->is_watched)
        return;
    by->standing.watched++;
    by->standing.reached += says->state == API_PROBE_REACHED;
    witnesses_note(&about->witnesses, by->facts.api.node_id, says, r->witnesses_awake_ms,
                   now.boot_ms);
    if (says->state == API_PROBE_LOST && about->facts.api.is_up)
        suspect(r, about, now);
}

void registry_note_probes(struct registry *r, struct node *by, const struct api_probe *probes,
                          size_t count, struct moment now)
{
    by->standing = (struct witness_standing){.is_heard = false};
    for (size_t i = 0; i < count; i++)
        note_one(r, by, &probes[i], now);
}

void registry_doubt_witnesses(struct registry *r, struct moment now)
{
    r->witnesses_awake_ms = now.boot_ms + WAITED_MS;
}

/* ---- judging ------------------------------------------------------------------------------- */

struct judging {
    const struct registry *registry;
    struct moment now;
};

static bool standing_of(void *data, const char *node_id, struct witness_standing *ret_standing)
{
    const struct judging *judging = data;
    const struct monitor *m = &judging->registry->monitor;
    const struct node *node = registry_find(judging->registry, node_id);

    if (!node)
        return false;
    *ret_standing = node->standing;
    ret_standing->is_heard = node->facts.api.is_up && !node->is_unknown && node->watch.is_watched &&
                             !monitor_is_silent(m, &node->watch, judging->now.boot_ms);
    return true;
}

static enum witness_verdict judge(const struct registry *r, const struct node *node,
                                  struct moment now)
{
    struct judging judging = {r, now};
    const struct witness_case facts = {
        .last_beat_ms = node->watch.last_beat_ms,
        .fresh_ms = now.boot_ms - r->monitor.timeout_ms / 2,
        .awake_ms = r->witnesses_awake_ms,
        .now_ms = now.boot_ms,
        .standing = standing_of,
        .data = &judging,
    };

    return witnesses_judge(&node->witnesses, &facts);
}

static size_t haste_max(const struct registry *r)
{
    size_t share = r->monitor.count / HASTE_SHARE;

    if (share < HASTE_ALWAYS)
        return HASTE_ALWAYS;
    return share < HASTE_NEVER ? share : HASTE_NEVER;
}

static size_t count_suspects(const struct registry *r)
{
    size_t count = 0;

    for (size_t i = 0; i < SUSPECTS_MAX; i++)
        count += r->suspects[i].node_id[0] != '\0';
    return count;
}

static bool has_haste_left(struct registry *r, struct moment now)
{
    if (now.boot_ms - r->haste_since_ms > r->monitor.timeout_ms) {
        r->haste_since_ms = now.boot_ms;
        r->haste_count = 0;
    }
    return r->haste_count < haste_max(r) && count_suspects(r) <= haste_max(r);
}

static bool is_to_go(struct registry *r, const struct node *node, struct moment now)
{
    bool is_resting = node->haste_ms > 0 && now.boot_ms - node->haste_ms < HASTE_REST_MS;

    return node->facts.api.is_up && !node->change && node->watch.is_watched && !is_resting &&
           !r->monitor.is_doubting && !monitor_is_crowd_silent(&r->monitor, now.boot_ms) &&
           judge(r, node, now) == WITNESS_LOST && has_haste_left(r, now);
}

bool registry_check_suspects(struct registry *r, struct moment now, monitor_due_fn fn, void *data)
{
    bool has_more = false;

    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        struct suspect *s = &r->suspects[i];
        struct node *node = s->node_id[0] ? registry_find(r, s->node_id) : NULL;

        if (!node || !node->facts.api.is_up || now.boot_ms > s->until_ms) {
            *s = (struct suspect){.until_ms = 0};
            continue;
        }
        if (is_to_go(r, node, now) && fn(&node->watch, data)) {
            node->haste_ms = now.boot_ms;
            r->haste_count++;
        }
        has_more = true;
    }
    return has_more;
}

/* Its host may be somebody else's by now. */
static bool is_contested(const struct registry *r, const struct node *node, struct moment now)
{
    return node->suitor.instance_id[0] ||
           (node->contested_ms > 0 && now.boot_ms - node->contested_ms < r->monitor.timeout_ms);
}

bool registry_keep(struct registry *r, struct node *node, struct moment now)
{
    int64_t silence_ms = now.boot_ms - node->watch.last_beat_ms;

    if (is_contested(r, node, now) || silence_ms > KEPT_TIMEOUTS * r->monitor.timeout_ms ||
        judge(r, node, now) != WITNESS_REACHED)
        return false;
    registry_set_unknown(r, node, true);
    return true;
}

/* ---- showing ------------------------------------------------------------------------------- */

static bool is_notable(const struct book_cell *cell)
{
    return cell->is_watched || cell->state != API_PROBE_REACHED ||
           cell->underlay.loss_percent > 0 || cell->overlay.loss_percent > 0 ||
           (cell->largest_bytes >= 0 && cell->largest_bytes < cell->wanted_bytes);
}

struct showing {
    const struct registry *registry;
    const char *const *ids; /* by the index of the subnet; NULL: nobody's */
    struct moment now;
    struct strbuf *out;
    size_t shown, left_out;
};

static void show_cell(struct showing *s, const struct node *by, const struct book_cell *cell)
{
    int64_t age_ms = s->now.boot_ms - cell->said_ms;
    struct api_probe probe;

    if (!s->ids[cell->about] || age_ms > CELL_MAX_MS)
        return;
    if ((s->registry->count > MESH_WHOLE_MAX && !is_notable(cell)) || s->shown >= MESH_CELLS_MAX) {
        s->left_out++;
        return;
    }
    strbuf_addf(s->out, "%s{\"from\":\"%s\",\"age_s\":%lld,\"probe\":", s->shown++ > 0 ? "," : "",
                by->facts.api.node_id, (long long)(age_ms / 1000));
    probe = book_read(cell);
    memcpy(probe.node_id, s->ids[cell->about], sizeof probe.node_id);
    api_probe_to_json(&probe, s->out);
    strbuf_adds(s->out, "}");
}

static void show_cells(struct showing *s)
{
    const struct node *node;

    strbuf_adds(s->out, "\"probes\":[");
    DL_FOREACH(s->registry->first, node)
    {
        for (size_t i = 0; i < node->book.count; i++)
            show_cell(s, node, &node->book.cells[i]);
    }
    strbuf_addf(s->out, "],\"left_out\":%zu,", s->left_out);
}

static const char **index_ids(const struct registry *r)
{
    const char **ids = mem_zalloc(r->pool.count * sizeof *ids);
    const struct node *node;

    DL_FOREACH(r->first, node)
    ids[node->subnet_index] = node->facts.api.node_id;
    return ids;
}

void registry_mesh_to_json(const struct registry *r, struct moment now, struct strbuf *out)
{
    AUTO_FREE const char **ids = index_ids(r);
    struct showing showing = {.registry = r, .ids = ids, .now = now, .out = out};

    strbuf_adds(out, "{");
    registry_add_nodes(r, out);
    show_cells(&showing);
    registry_add_origin(r, out);
    strbuf_adds(out, "}");
}
