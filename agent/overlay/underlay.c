/* The network below the overlay. */
#include "agent/overlay/underlay.h"

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/net/addr.h"
#include "lib/net/link.h"

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

static uint32_t mtu_of(const struct link_info *device)
{
    if (device->mtu_bytes > UNDERLAY_MTU_BYTES_MAX)
        return 0;
    return device->mtu_bytes < UNDERLAY_MTU_BYTES_MIN ? UNDERLAY_MTU_BYTES_MIN : device->mtu_bytes;
}

int underlay_look(struct nl *nl, uint32_t host_ip, struct underlay *ret)
{
    struct link_info device;
    int ifindex = 0, r;

    *ret = (struct underlay){0};
    r = find_device(nl, host_ip, &ifindex);
    if (r == 0)
        r = link_get_by_index(nl, ifindex, &device);
    if (r < 0)
        return r;
    *ret = (struct underlay){.ifindex = ifindex, .mtu_bytes = mtu_of(&device)};
    return 0;
}
