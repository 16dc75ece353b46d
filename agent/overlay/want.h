/* What the overlay on this node should be: one VXLAN device, and for each peer a neighbour, an FDB
 * entry and a route. All of it follows from our own subnet and host IP and from each peer's:
 *
 *     peer 10.42.2.0/24 on 192.168.1.11
 *
 *     route      10.42.2.0/24 via 10.42.2.0 dev vxlan100 onlink     packet -> VTEP address
 *                (with an MTU of its own where the way to it takes less than others)
 *     neighbour  10.42.2.0 -> 02:51:0a:2a:02:00                     VTEP address -> VTEP MAC
 *     FDB        02:51:0a:2a:02:00 -> 192.168.1.11                  VTEP MAC -> host
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/api/mesh.h"
#include "lib/base/ip4.h"
#include "lib/net/vxlan.h"

struct overlay_peer {
    uint32_t vtep;    /* its subnet's network address, host order */
    uint32_t host_ip; /* host order */
    /* The largest packet that was found to get to its host, where that is less than its route and
     * device take; 0: no such was found. */
    uint32_t found_bytes;
    /* Of its route; 0: the device's. As the device's it is found out on the spot. */
    uint32_t mtu_bytes;
};

struct overlay_want {
    char alias[LINK_ALIAS_MAX];
    uint32_t vni;
    uint16_t port;
    uint32_t local;           /* our host IP, host order */
    struct ip4_prefix subnet; /* ours; peers' have the same length */
    uint32_t mtu_bytes;
    struct overlay_peer *peers; /* owned; sorted by vtep, none twice */
    size_t peer_count;
    bool is_partial; /* there may be more peers than these: what may be another's stays */
};

/* The device in the words of lib/net; borrows the alias. */
struct vxlan_spec overlay_want_device(const struct overlay_want *want);
void overlay_want_deinit(struct overlay_want *want);
struct overlay_want overlay_want_copy(const struct overlay_want *want);

/* Whether the same is known of both but for the MTU, which follows from it. */
bool overlay_peer_alike(const struct overlay_peer *a, const struct overlay_peer *b);

/* Whether all but the MTU and the peers is the same. */
bool overlay_want_alike(const struct overlay_want *a, const struct overlay_want *b);

/* The peer with this VTEP address, or NULL. */
const struct overlay_peer *overlay_want_find(const struct overlay_want *want, uint32_t vtep);

/* For qsort. */
int overlay_peer_compare(const void *a, const void *b);
