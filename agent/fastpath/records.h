/* The fast path's records of this node and its peers: what they should be, and how that differs
 * from what is there. Pure. The form is bpf/fastpath.h's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/overlay/want.h"
#include "bpf/fastpath.h"

/* How packets to a peer's host leave this one. ifindex 0: in no way that can be cached. */
struct fastpath_way {
    int ifindex;
    uint32_t next_hop; /* host order */
    uint32_t mtu_bytes;
};

struct fastpath_entry {
    uint32_t vtep;  /* host order */
    uint32_t index; /* where the record is */
    struct fastpath_peer peer;
};

struct fastpath_entries {
    struct fastpath_entry *items; /* owned; sorted by vtep */
    size_t count;
};
void fastpath_entries_deinit(struct fastpath_entries *entries);
void fastpath_entries_sort(struct fastpath_entries *entries);
/* Of those that have the same index only the first stays. */
void fastpath_entries_drop_doubles(struct fastpath_entries *entries);
/* NULL when there is none. */
const struct fastpath_entry *fastpath_entries_find(const struct fastpath_entries *entries,
                                                   uint32_t vtep);

/* is_enabled false: all is left to the kernel. ports: the kernel's ip_local_port_range, from which
 * it takes VXLAN's source ports. */
struct fastpath_config fastpath_make_config(const struct overlay_want *want, bool is_enabled,
                                            uint16_t port_min, uint16_t port_max); /* no beat */

/* A peer's record; its slot is left 0. mtu_bytes: what our own overlay device takes. */
struct fastpath_peer fastpath_make_peer(const struct overlay_want *want,
                                        const struct overlay_peer *peer,
                                        const struct fastpath_way *way, uint32_t mtu_bytes);

/* Of a next hop (host order) on a device; both have MAC addresses. */
struct fastpath_hop fastpath_make_hop(uint32_t next_hop, int ifindex, struct mac mac,
                                      struct mac device_mac);
/* But for what the programs note in them. */
bool fastpath_hop_is_same(const struct fastpath_hop *a, const struct fastpath_hop *b);

/* Sets of counts, by whether a peer has it. The last is everybody's who came too late. */
struct fastpath_slots {
    bool is_taken[FASTPATH_PEER_SLOTS];
};
/* Those that these peers have, and no others. */
void fastpath_note_slots(struct fastpath_slots *slots, const struct fastpath_entries *have);
/* Gives every wanted peer its set of counts: the one it has, or the first that nobody has. */
void fastpath_take_slots(struct fastpath_slots *slots, struct fastpath_entries *want,
                         const struct fastpath_entries *have);
/* Those of peers that are not wanted any more are nobody's. */
void fastpath_free_slots(struct fastpath_slots *slots, const struct fastpath_entries *want,
                         const struct fastpath_entries *have);

struct fastpath_difference {
    const struct fastpath_entry **puts; /* owned, what they point to borrowed from want */
    size_t put_count;
    uint32_t *removals; /* owned; indexes */
    size_t removal_count;
};
void fastpath_difference_deinit(struct fastpath_difference *difference);
/* The difference of equal ones is empty; after it is written, it is. is_partial: there may be more
 * peers than these, nothing is removed. */
void fastpath_compare(const struct fastpath_entries *want, const struct fastpath_entries *have,
                      bool is_partial, struct fastpath_difference *ret);
