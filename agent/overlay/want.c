/* What the overlay should be. */
#include "agent/overlay/want.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/sorted.h"

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

bool overlay_want_alike(const struct overlay_want *a, const struct overlay_want *b)
{
    return strcmp(a->alias, b->alias) == 0 && a->vni == b->vni && a->port == b->port &&
           a->local == b->local && ip4_prefix_equal(a->subnet, b->subnet) &&
           a->is_partial == b->is_partial;
}

bool overlay_peer_alike(const struct overlay_peer *a, const struct overlay_peer *b)
{
    return a->host_ip == b->host_ip && a->found_bytes == b->found_bytes;
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

    return sorted_find(&key, want->peers, want->peer_count, sizeof key, overlay_peer_compare);
}
