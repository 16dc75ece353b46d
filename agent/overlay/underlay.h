/* The network below the overlay: the device that has our host IP, and how large its packets are. */
#pragma once

#include "agent/overlay/want.h"

struct underlay {
    int ifindex; /* 0: the host IP is on no device */
    uint32_t mtu_bytes;
};

/* -EADDRNOTAVAIL with a text when the host IP is not this host's; *ret is {0} then. When it is an
 * address of the loopback device (a routed host), the smallest MTU on the ways to the peers counts.
 */
int underlay_look(struct nl *nl, uint32_t host_ip, const struct overlay_want *want,
                  struct underlay *ret);
