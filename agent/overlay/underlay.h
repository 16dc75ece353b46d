/* The network below the overlay: the device that has our host IP, and how large its packets are. */
#pragma once

#include "agent/overlay/want.h"

/* What an IPv4 host must take (RFC 791), and our headers. */
#define UNDERLAY_MTU_BYTES_MIN (576 + MESH_OVERHEAD_BYTES)
#define UNDERLAY_MTU_BYTES_MAX 65535
/* While nothing is known. */
#define UNDERLAY_MTU_BYTES_USUAL 1500

struct underlay {
    int ifindex;        /* 0: the host IP is on no device */
    uint32_t mtu_bytes; /* 0: the device says nothing of it, the ways to the peers count */
};

/* -EADDRNOTAVAIL with a text when the host IP is not this host's; *ret is {0} then. When it is an
 * address of the loopback device (a routed host), the device says nothing. */
int underlay_look(struct nl *nl, uint32_t host_ip, struct underlay *ret);
