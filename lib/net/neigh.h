/* Permanent IPv4 neighbours (ARP entries) that are ours: NUD_PERMANENT, protocol 81, externally
 * learned. linux/neighbour.h. */
#pragma once

#include "lib/base/ip4.h"
#include "lib/net/netlink.h"

struct neigh_entry {
    int ifindex;
    uint32_t addr; /* host order */
    struct mac mac;
    uint16_t state;    /* read only: NUD_... */
    bool is_permanent; /* read only: NUD_PERMANENT is set */
    bool is_external;  /* read only: NTF_EXT_LEARNED is set */
    uint8_t protocol;  /* read only: NDA_PROTOCOL */
};

/* As ip(8) writes it: "REACHABLE"; "NONE" for what has none. */
const char *neigh_state_word(uint16_t state);
/* Nobody has answered when it was asked for, so far or for good. */
bool neigh_is_silent(const struct neigh_entry *entry);

/* Reads one message of a dump or a notification. False: it is no IPv4 RTM_NEWNEIGH. */
bool neigh_parse(const struct nlmsghdr *message, struct neigh_entry *ret_entry);

/* All IPv4 neighbours of a device, or with ifindex 0 of all devices (not only ours). *ret_entries
 * is owned by the caller. */
int neigh_dump(struct nl *nl, int ifindex, struct neigh_entry **ret_entries, size_t *ret_count);
/* -ENOENT when the device has none for this address. */
int neigh_get(struct nl *nl, int ifindex, uint32_t addr, struct neigh_entry *ret_entry);
/* Our form of the entry; replaces whatever the address has. */
void neigh_fill_replace(struct nlmsghdr *request, const struct neigh_entry *entry);
void neigh_fill_delete(struct nlmsghdr *request, const struct neigh_entry *entry);
int neigh_replace(struct nl *nl, const struct neigh_entry *entry);
