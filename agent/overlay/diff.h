/* The difference between the overlay that should be and the one that is, as changes to write. Pure.
 *
 * Invariants, held by property tests:
 *     the difference of what is right already is empty;
 *     after its changes, written in order, the difference is empty;
 *     a peer's neighbour and FDB entry come before its route, and go after it;
 *     time is that of sorting, for any number of peers.
 *
 * What lacks our mark is left alone: a device of our name that is not ours is refused, neighbours
 * of another protocol and addresses that are no VTEP address of the cluster stay. FDB entries of
 * our own device are all ours: a surplus one would copy or misdirect packets.
 */
#pragma once

#include "agent/overlay/have.h"
#include "agent/overlay/want.h"

/* In the order in which a missing overlay is built. */
enum overlay_object {
    OVERLAY_DEVICE,
    OVERLAY_ALIAS,
    OVERLAY_MAC,
    OVERLAY_MTU,
    OVERLAY_SYSCTL, /* never in a difference: ensured before the device goes up */
    OVERLAY_ADDRESS,
    OVERLAY_LINK, /* the device is up */
    OVERLAY_NEIGH,
    OVERLAY_FDB,
    OVERLAY_ROUTE,
    OVERLAY_OBJECT_COUNT
};

enum overlay_verb { OVERLAY_ADD, OVERLAY_REPLACE, OVERLAY_REMOVE, OVERLAY_VERB_COUNT };

const char *overlay_object_name(enum overlay_object object);
const char *overlay_verb_name(enum overlay_verb verb);

struct overlay_change {
    enum overlay_object object;
    enum overlay_verb verb;
    /* A neighbour or FDB entry whose route goes in this same difference: not before it is gone. */
    bool is_after_route;
    uint8_t prefix_len; /* address, route */
    uint32_t addr;      /* address, neighbour, route: host order */
    struct mac mac;     /* neighbour, FDB */
    uint32_t remote;    /* FDB: host order. 0 with OVERLAY_REMOVE: all of this MAC */
    uint32_t mtu_bytes; /* route; 0: the device's */
};

struct overlay_changes {
    struct overlay_change *items; /* owned */
    size_t count, size;
};

void overlay_changes_deinit(struct overlay_changes *changes);

enum overlay_diff_outcome {
    OVERLAY_DIFF_REFUSED = 1, /* the device of our name is not ours; err_text() says why */
};

/* have is sorted (overlay_have_sort). Appends to ret_changes, which is empty. */
int overlay_diff(const struct overlay_want *want, const struct overlay_have *have,
                 struct overlay_changes *ret_changes);
