/* A pair of virtual Ethernet devices, one end here and one in another network namespace. */
#pragma once

#include "lib/net/link.h"

struct veth_spec {
    const char *name;      /* our end */
    const char *alias;     /* of our end */
    struct mac mac;        /* of our end */
    const char *peer_name; /* the end in the namespace */
    struct mac peer_mac;
    int peer_netns_fd;
    uint32_t mtu_bytes; /* of both */
};

/* Creates both ends, down, ours with its alias from the first moment. -EEXIST when one of the names
 * is taken. */
int veth_create(struct nl *nl, const struct veth_spec *spec);
