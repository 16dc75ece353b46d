/* The underlay as the fast path needs it: which devices it goes through, and the way to each peer.
 * Asks the kernel. */
#pragma once

#include "agent/fastpath/records.h"
#include "agent/overlay/paths.h"
#include "lib/net/link.h"

struct ways {
    struct link_info *links; /* all devices, owned; sorted by index */
    size_t link_count;
    uint32_t overlay_mtu_bytes; /* of our device; 0: it is not there */
    struct fastpath_way *peers; /* owned; in the order of want's peers */
    int *devices;               /* owned; those that VXLAN may come in by, sorted */
    size_t device_count;
    const char *problem; /* NULL, or why some peers are left to the kernel */
};

/* paths follow the want that this one is, or is a part of; what is not known of them is asked for.
 */
int ways_look(struct nl *nl, const struct overlay_want *want, struct overlay_paths *paths,
              struct ways *ret);
void ways_deinit(struct ways *ways);

bool ways_has_device(const struct ways *ways, int ifindex);
/* Zeros: there is no such device (any more). */
struct mac ways_mac_of(const struct ways *ways, int ifindex);
