/* What other nodes say of one that is silent. */
#include "control/services/witness.h"

#include <string.h>

#include "lib/base/mem.h"

/* A loss counts this much after it was told: so long may it take the node itself to say that it is
 * alive, when it only is cut off. */
#define GRACE_MS 900
/* A node may still have been heard for so long after a witness has heard it last: witnesses ask
 * once a second. One that is heard later is alive, whatever they say. */
#define HEARD_AFTER_MS 1500
/* What a witness says may have been on its way for a while, and seem to be of later than it is. To
 * find that a node is lost takes longer than this anyway. */
#define SILENT_MIN_MS 2000
/* What was told longer ago accuses nobody: the witness may have been cut off since, and the node be
 * back. Witnesses say at once what has changed, so those of a dead one speak together. */
#define LOSS_FRESH_MS 5000
#define QUORUM_MIN 2
/* The overlay is asked once a second, and packets are lost. */
#define OVERLAY_OPEN_MS 5000

void witnesses_deinit(struct witnesses *w)
{
    free(w->list);
    *w = (struct witnesses){0};
}

static struct witness *find(struct witnesses *w, const char *by)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->list[i].node_id, by) == 0)
            return &w->list[i];
    return NULL;
}

static struct witness *oldest(struct witnesses *w)
{
    struct witness *found = &w->list[0];

    for (size_t i = 1; i < w->count; i++)
        if (w->list[i].said_ms < found->said_ms)
            found = &w->list[i];
    return found;
}

static struct witness *find_place(struct witnesses *w, const char *by)
{
    struct witness *place = find(w, by);

    if (place)
        return place;
    if (w->count == WITNESSES_MAX) {
        place = oldest(w);
    } else {
        w->list = mem_resize(w->list, w->count + 1, sizeof *w->list);
        place = &w->list[w->count++];
    }
    *place = (struct witness){.lost_ms = 0};
    memcpy(place->node_id, by, strlen(by) + 1);
    return place;
}

void witnesses_note(struct witnesses *w, const char *by, const struct api_probe *says,
                    int64_t awake_ms, int64_t now_ms)
{
    struct witness *place = find_place(w, by);

    place->state = says->state;
    place->said_ms = now_ms;
    place->is_overlay_open =
        says->overlay_silent_ms >= 0 && says->overlay_silent_ms <= OVERLAY_OPEN_MS;
    if (says->state != API_PROBE_LOST)
        place->lost_ms = 0;
    else if (place->lost_ms == 0 || (place->lost_ms < awake_ms && now_ms >= awake_ms))
        place->lost_ms = now_ms;
    place->heard_ms = says->silent_ms >= 0 ? now_ms - says->silent_ms : 0;
}

/* Of the others that it watches, beside the node that it has lost, it reaches more than half: it is
 * not the one who is cut off. */
static bool is_well(const struct witness_standing *standing)
{
    size_t others = standing->watched - 1;

    return others > 0 && standing->reached * 2 > others;
}

static bool has_lost(const struct witness *w, const struct witness_standing *standing,
                     const struct witness_case *facts)
{
    return w->state == API_PROBE_LOST && w->heard_ms > 0 && w->lost_ms >= facts->awake_ms &&
           facts->now_ms - w->lost_ms >= GRACE_MS && facts->now_ms - w->said_ms <= LOSS_FRESH_MS &&
           facts->last_beat_ms <= w->heard_ms + HEARD_AFTER_MS && is_well(standing);
}

enum witness_verdict witnesses_judge(const struct witnesses *w, const struct witness_case *facts)
{
    size_t all = 0, lost = 0, reached = 0;

    for (size_t i = 0; i < w->count; i++) {
        const struct witness *witness = &w->list[i];
        struct witness_standing standing;

        if (witness->said_ms < facts->fresh_ms ||
            !facts->standing(facts->data, witness->node_id, &standing) || !standing.is_heard ||
            standing.watched == 0)
            continue;
        all++;
        lost += has_lost(witness, &standing, facts);
        reached += witness->state == API_PROBE_REACHED && witness->is_overlay_open;
    }
    if (lost >= QUORUM_MIN && lost * 2 > all)
        return facts->now_ms - facts->last_beat_ms >= SILENT_MIN_MS ? WITNESS_LOST
                                                                    : WITNESS_NOTHING;
    return reached * 2 > all ? WITNESS_REACHED : WITNESS_NOTHING;
}
