/* What the overlay should be. */
#include "agent/overlay/want.h"

#include <string.h>

#include "lib/base/mem.h"

struct vxlan_spec overlay_want_device(const struct overlay_want *want)
{
    return (struct vxlan_spec){
        .name = MESH_DEVICE_NAME,
        .alias = want->alias,
        .vni = want->vni,
        .port = want->port,
        .local = want->local,
        .mac = mac_from_ip4(want->subnet.addr),
        .mtu_bytes = want->mtu_bytes,
    };
}

void overlay_want_deinit(struct overlay_want *want)
{
    free(want->peers);
    *want = (struct overlay_want){0};
}

struct overlay_want overlay_want_copy(const struct overlay_want *want)
{
    struct overlay_want copy = *want;

    copy.peers = NULL;
    if (want->peer_count > 0)
        copy.peers = mem_copy(want->peers, want->peer_count * sizeof *want->peers);
    return copy;
}

bool overlay_want_equal(const struct overlay_want *a, const struct overlay_want *b)
{
    if (strcmp(a->alias, b->alias) != 0 || a->vni != b->vni || a->port != b->port ||
        a->local != b->local || !ip4_prefix_equal(a->subnet, b->subnet) ||
        a->peer_count != b->peer_count || a->is_partial != b->is_partial)
        return false;
    for (size_t i = 0; i < a->peer_count; i++)
        if (a->peers[i].vtep != b->peers[i].vtep || a->peers[i].host_ip != b->peers[i].host_ip)
            return false;
    return true;
}

int overlay_peer_compare(const void *a, const void *b)
{
    uint32_t x = ((const struct overlay_peer *)a)->vtep;
    uint32_t y = ((const struct overlay_peer *)b)->vtep;

    return (x > y) - (x < y);
}

const struct overlay_peer *overlay_want_find(const struct overlay_want *want, uint32_t vtep)
{
    const struct overlay_peer key = {.vtep = vtep};

    if (want->peer_count == 0)
        return NULL;
    return bsearch(&key, want->peers, want->peer_count, sizeof key, overlay_peer_compare);
}
