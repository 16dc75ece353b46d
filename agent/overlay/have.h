/* What the overlay on this node is: the kernel's own answer, read anew for each look. */
#pragma once

#include "agent/overlay/want.h"
#include "lib/net/addr.h"
#include "lib/net/fdb.h"
#include "lib/net/link.h"
#include "lib/net/neigh.h"
#include "lib/net/route.h"

struct overlay_have {
    struct link_info device; /* ifindex 0: there is none of our name */
    /* All of the device; owned. */
    struct addr_entry *addrs;
    struct neigh_entry *neighs;
    struct fdb_entry *fdbs;
    struct route_entry *routes; /* of our protocol only */
    size_t addr_count, neigh_count, fdb_count, route_count;
};

void overlay_have_deinit(struct overlay_have *have);

/* Puts the entries into the order that overlay_diff() needs. */
void overlay_have_sort(struct overlay_have *have);

/* What there is once all of want is done: for a data path that only says what it would do. */
struct overlay_have overlay_have_from_want(const struct overlay_want *want);

/* A MAC address as a number, for ordering. */
uint64_t overlay_mac_key(struct mac mac);

/* The device's entries from the kernel, sorted. have->device is filled before; ifindex 0 leaves
 * everything empty. */
int overlay_have_dump(struct nl *nl, struct overlay_have *have);

enum overlay_have_outcome {
    OVERLAY_HAVE_UNSURE = 1 /* one of them cannot be told without a listing */
};
/* The same of these VTEP addresses only, at the price of a few questions each. 0, an outcome, or
 * negative. */
int overlay_have_look_up(struct nl *nl, const uint32_t *vteps, size_t count, uint8_t prefix_len,
                         struct overlay_have *have);
