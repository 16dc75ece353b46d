/* The next hops of the ways to peers, with their MAC addresses as the kernel's neighbour entries
 * have them, and their records. Those of which the kernel knows no address have none: the programs
 * ask the kernel then, with each packet. Nor has one whose index another one has, as long as that
 * one needs it.
 *
 * A record is not written over. It is taken away, its readers are waited for, and what comes in its
 * place is written then: by hops_write() at once, else with the next beat.
 */
#pragma once

#include "agent/fastpath/ways.h"

struct hop {
    uint32_t addr; /* host order */
    int ifindex;
    struct mac mac;        /* zeros: not known */
    struct mac device_mac; /* of the device itself */
};

struct hops {
    struct hop *items; /* owned; sorted */
    size_t count;
    bool has_taken; /* records away that may be read yet */
};
void hops_deinit(struct hops *hops);

/* Those of these ways and no others, as the kernel knows them now. */
int hops_look(struct hops *hops, struct nl *nl, const struct ways *ways, size_t way_count);
/* Makes the records follow; writes counts what had to be written. */
int hops_write(struct hops *hops, int map_fd, uint64_t *writes);
/* The same, where a record was taken away since. To be called with each beat. */
int hops_settle(struct hops *hops, int map_fd, uint64_t *writes);

/* Those of a few ways more, and their records. */
int hops_look_more(struct hops *hops, struct nl *nl, const struct ways *ways, size_t way_count,
                   int map_fd, uint64_t *writes);

/* The kernel knows something of a neighbour. Whether it is one of these, and new. */
bool hops_meet(struct hops *hops, int ifindex, uint32_t addr, struct mac mac);
/* Makes the record of one of these follow; one that is wrong is gone at once. */
int hops_write_one(struct hops *hops, int ifindex, uint32_t addr, int map_fd, uint64_t *writes);
