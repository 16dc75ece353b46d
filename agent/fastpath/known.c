/* The routes to the peers, as the kernel told them last. */
#include "agent/fastpath/known.h"

#include <stdlib.h>

#include "lib/base/mem.h"

void known_ways_deinit(struct known_ways *known)
{
    free(known->items);
    *known = (struct known_ways){0};
}

/* Sorted lists, merged. */
void known_ways_follow(struct known_ways *known, const struct overlay_want *want)
{
    struct known_way *items = mem_array(want->peer_count + 1, sizeof *items);
    size_t old = 0;

    for (size_t i = 0; i < want->peer_count; i++) {
        const struct overlay_peer *peer = &want->peers[i];

        while (old < known->count && known->items[old].vtep < peer->vtep)
            old++;
        if (old < known->count && known->items[old].vtep == peer->vtep &&
            known->items[old].host_ip == peer->host_ip)
            items[i] = known->items[old];
        else
            items[i] = (struct known_way){.vtep = peer->vtep, .host_ip = peer->host_ip};
    }
    free(known->items);
    known->items = items;
    known->count = want->peer_count;
}

bool known_ways_forget_route(struct known_ways *known, struct ip4_prefix dst)
{
    bool is_any = false;

    for (size_t i = 0; i < known->count; i++) {
        if (!ip4_prefix_contains(dst, known->items[i].host_ip))
            continue;
        known->items[i].is_known = false;
        is_any = true;
    }
    return is_any;
}

void known_ways_forget_all(struct known_ways *known)
{
    for (size_t i = 0; i < known->count; i++)
        known->items[i].is_known = false;
}

void known_ways_forget_some(struct known_ways *known)
{
    size_t some = known->count < KNOWN_SWEPT ? known->count : KNOWN_SWEPT;

    for (size_t i = 0; i < some; i++)
        known->items[(known->swept + i) % known->count].is_known = false;
    known->swept = known->count > 0 ? (known->swept + some) % known->count : 0;
}
