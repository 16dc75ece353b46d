/* A VXLAN device without a lower device, without learning and without any flooding entry (RFC 7348;
 * drivers/net/vxlan). */
#pragma once

#include "lib/net/link.h"

struct vxlan_spec {
    const char *name;
    const char *alias;
    uint32_t vni;
    uint16_t port;  /* host order */
    uint32_t local; /* host order */
    struct mac mac; /* given at creation, so that nobody re-derives it (NET_ADDR_SET) */
    uint32_t mtu_bytes;
};

/* Creates it, down, with its alias from the first moment. -EEXIST when a device has the name or
 * another VXLAN device has VNI and port. */
int vxlan_create(struct nl *nl, const struct vxlan_spec *spec);

/* link_set_up() that says who is in the way: the kernel refuses a second VXLAN device with the same
 * VNI and port, or a port that something else uses, when the device goes up. -EADDRINUSE, -EEXIST:
 * the text names the other device or the port. */
int vxlan_set_up(struct nl *nl, int ifindex);

/* Whether an existing device is, in all that cannot be changed on it, what spec asks for. On false
 * *ret_difference says what differs ("VNI is 7, not 100"; static text or thread's own). */
bool vxlan_matches(const struct link_info *info, const struct vxlan_spec *spec,
                   const char **ret_difference);
