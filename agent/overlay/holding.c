/* Which changes may be written now: repairs that do not hold have to wait, and so does what goes
 * after its route. */
#include "agent/overlay/internal.h"
#include "agent/overlay/say.h"
#include "lib/base/log.h"
#include "lib/base/sorted.h"

static void set_fight(struct overlay *o, const struct overlay_change *change)
{
    char name[OVERLAY_NAME_SIZE];

    overlay_change_name(change, name);
    free(o->fight);
    o->fight = mem_printf(
        "another program keeps changing the %s on " MESH_DEVICE_NAME "; find and stop it", name);
    log_warn("overlay", LOG_S("problem", o->fight));
}

int overlay_compare_vteps(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

bool overlay_is_lacking(const struct overlay *o, uint32_t vtep)
{
    return sorted_find(&vtep, o->lacking, o->lacking_count, sizeof vtep, overlay_compare_vteps);
}

bool overlay_is_repair(const struct overlay *o, const struct overlay_change *change)
{
    if (o->fresh.is_all ||
        (change->object >= OVERLAY_NEIGH && focus_has(&o->fresh, focus_vtep_of(change))))
        return false;
    return change->object != OVERLAY_ROUTE || !overlay_is_lacking(o, change->addr);
}

/* A device and all that is on it are one repair, and so are an entry's removal and the new one in
 * its place: nothing may be taken away that would then have to wait to come back. */
static bool is_same_repair(const struct overlay_change *change, const struct overlay_change *asked)
{
    if (asked->object == OVERLAY_DEVICE)
        return true;
    return asked->object == OVERLAY_FDB && change->object == OVERLAY_FDB &&
           mac_equal(asked->mac, change->mac);
}

struct holding {
    int64_t now_ms;
    int64_t next_ms;             /* when what is held back may be written; INT64_MAX: nothing is */
    struct overlay_change asked; /* the latest repair that was asked for */
    bool has_asked;
    bool is_held; /* the answer */
};

static bool is_held_back(struct overlay *o, const struct overlay_change *change,
                         struct holding *holding)
{
    int64_t due_ms = INT64_MAX;
    enum repairs_answer answer;

    if (holding->has_asked && is_same_repair(change, &holding->asked))
        return holding->is_held;
    if (!overlay_is_repair(o, change))
        return false;
    answer = repairs_ask(&o->repairs, change, holding->now_ms, &due_ms);
    if (answer == REPAIRS_FIGHT || (answer != REPAIRS_GO && !o->fight))
        set_fight(o, change);
    if (answer != REPAIRS_GO)
        o->fight_until_ms = holding->now_ms + SWEEP_MS;
    if (due_ms < holding->next_ms)
        holding->next_ms = due_ms;
    holding->asked = *change;
    holding->has_asked = true;
    holding->is_held = answer == REPAIRS_WAIT;
    o->counts.repairs[change->object] += !holding->is_held;
    return holding->is_held;
}

int64_t overlay_hold_back(struct overlay *o, struct overlay_changes *changes, int64_t now_ms)
{
    bool can_route = o->config.can_route(o->config.data);
    struct holding holding = {.now_ms = now_ms, .next_ms = INT64_MAX};
    size_t kept = 0;

    o->is_waiting = false;
    for (size_t i = 0; i < changes->count; i++) {
        const struct overlay_change *change = &changes->items[i];

        if (change->is_after_route && can_route)
            o->is_waiting = true;
        else if (!is_held_back(o, change, &holding))
            changes->items[kept++] = *change;
    }
    changes->count = kept;
    return holding.next_ms;
}
