/* The few VTEP addresses that a look is to be about. */
#include "agent/overlay/focus.h"

#include "lib/base/mem.h"
#include "lib/base/sorted.h"

bool focus_has(const struct focus *focus, uint32_t vtep)
{
    for (size_t i = 0; i < focus->count; i++)
        if (focus->vteps[i] == vtep)
            return true;
    return focus->is_all;
}

void focus_add(struct focus *focus, uint32_t vtep)
{
    if (focus_has(focus, vtep))
        return;
    if (focus->count == FOCUS_MAX)
        focus->is_all = true;
    else
        focus->vteps[focus->count++] = vtep;
}

void focus_drop(struct focus *focus, const struct focus *dropped)
{
    size_t kept = 0;

    for (size_t i = 0; i < focus->count; i++)
        if (!focus_has(dropped, focus->vteps[i]))
            focus->vteps[kept++] = focus->vteps[i];
    focus->count = kept;
}

uint32_t focus_vtep_of(const struct overlay_change *change)
{
    uint32_t vtep;

    if (change->object != OVERLAY_FDB)
        return change->addr;
    return mac_to_ip4(change->mac, &vtep) ? vtep : 0;
}

/* Sorted lists, merged. */
struct focus focus_compare(const struct overlay_want *from, const struct overlay_want *to)
{
    struct focus focus = {.is_all = !overlay_want_alike(from, to)};
    size_t f = 0, t = 0;

    while (!focus.is_all && (f < from->peer_count || t < to->peer_count)) {
        const struct overlay_peer *old = f < from->peer_count ? &from->peers[f] : NULL;
        const struct overlay_peer *new = t < to->peer_count ? &to->peers[t] : NULL;
        int order = !old ? 1 : !new ? -1 : overlay_peer_compare(old, new);

        if (order < 0)
            focus_add(&focus, old->vtep);
        else if (order > 0 || !overlay_peer_alike(old, new))
            focus_add(&focus, new->vtep);
        f += order <= 0;
        t += order >= 0;
    }
    return focus;
}

struct overlay_want focus_want(const struct focus *focus, const struct overlay_want *want)
{
    struct overlay_want some = *want;

    some.peers = mem_array(focus->count + 1, sizeof *some.peers);
    some.peer_count = 0;
    for (size_t i = 0; i < focus->count; i++) {
        const struct overlay_peer *peer = overlay_want_find(want, focus->vteps[i]);

        if (peer)
            some.peers[some.peer_count++] = *peer;
    }
    sorted_sort(some.peers, some.peer_count, sizeof *some.peers, overlay_peer_compare);
    return some;
}
