/* The network below the overlay. */
#include "agent/overlay/underlay.h"

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/net/addr.h"
#include "lib/net/link.h"
#include "lib/net/route.h"

#define ETHERNET_MTU_BYTES 1500
#define MTU_BYTES_MAX 65535
/* What an IPv4 host must take (RFC 791), and our headers. */
#define MTU_BYTES_MIN (576 + MESH_OVERHEAD_BYTES)

static int find_device(struct nl *nl, uint32_t host_ip, int *ret_ifindex)
{
    AUTO_FREE struct addr_entry *entries = NULL;
    char text[IP4_TEXT_SIZE];
    size_t count;
    int r = addr_dump(nl, 0, &entries, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].addr != host_ip)
            continue;
        *ret_ifindex = entries[i].ifindex;
        return 0;
    }
    return err_fail(EADDRNOTAVAIL,
                    "the host IP %s is not an address of this host (yet); check --host-ip, or "
                    "bring the interface up",
                    ip4_format(host_ip, text));
}

static uint32_t smallest_path(struct nl *nl, const struct overlay_want *want)
{
    uint32_t mtu_bytes = ETHERNET_MTU_BYTES;
    bool is_known = false;

    for (size_t i = 0; i < want->peer_count; i++) {
        struct route_path path;

        if (route_lookup(nl, want->peers[i].host_ip, &path) < 0 || path.is_local)
            continue;
        if (!is_known || path.mtu_bytes < mtu_bytes)
            mtu_bytes = path.mtu_bytes;
        is_known = true;
    }
    return mtu_bytes;
}

static uint32_t clamp(uint32_t mtu_bytes)
{
    if (mtu_bytes < MTU_BYTES_MIN)
        return MTU_BYTES_MIN;
    return mtu_bytes > MTU_BYTES_MAX ? MTU_BYTES_MAX : mtu_bytes;
}

int underlay_look(struct nl *nl, uint32_t host_ip, const struct overlay_want *want,
                  struct underlay *ret)
{
    struct link_info device;
    int ifindex = 0, r;

    *ret = (struct underlay){0};
    r = find_device(nl, host_ip, &ifindex);
    if (r == 0)
        r = link_get_by_index(nl, ifindex, &device);
    if (r < 0)
        return r;
    *ret = (struct underlay){
        .ifindex = ifindex,
        .mtu_bytes =
            clamp(device.mtu_bytes > MTU_BYTES_MAX ? smallest_path(nl, want) : device.mtu_bytes),
    };
    return 0;
}
