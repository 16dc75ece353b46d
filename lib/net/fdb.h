/* Forwarding entries of a VXLAN device: which host has which MAC address. AF_BRIDGE neighbours with
 * NTF_SELF; NUD_PERMANENT and externally learned (drivers/net/vxlan/vxlan_core.c, vxlan_fdb_add).
 */
#pragma once

#include "lib/base/ip4.h"
#include "lib/net/netlink.h"

struct fdb_entry {
    int ifindex;
    struct mac mac;
    uint32_t remote;   /* the host's underlay address, host order */
    bool is_permanent; /* read only */
    bool is_external;  /* read only */
    uint16_t port;     /* read only: NDA_PORT, host order; 0: the device's own */
    uint32_t vni;      /* read only: NDA_VNI; 0: the device's own */
    int via;           /* read only: NDA_IFINDEX, the lower device; 0: whichever the route says */
    uint32_t nexthop;  /* read only: NDA_NH_ID, a nexthop in the remote's place; 0: none */
};

/* Reads one message of a dump or a notification. False: it is no RTM_NEWNEIGH of a bridge or VXLAN
 * device. */
bool fdb_parse(const struct nlmsghdr *message, struct fdb_entry *ret_entry);

/* All entries of the device. An all-zero (flooding) or multicast MAC with several remotes is
 * several entries; a unicast MAC never has more than one. */
int fdb_dump(struct nl *nl, int ifindex, struct fdb_entry **ret_entries, size_t *ret_count);
/* -ENOENT when the MAC has none. */
int fdb_get(struct nl *nl, int ifindex, struct mac mac, struct fdb_entry *ret_entry);

/* The MAC's only entry: replaces the remote it has. One thing it cannot change: an entry that
 * somebody wrote without NTF_EXT_LEARNED stays without (vxlan_fdb_update_existing). Who finds
 * is_external false puts fdb_fill_delete before it in the same batch. */
void fdb_fill_replace(struct nlmsghdr *request, const struct fdb_entry *entry);
/* This MAC with this remote (and, where entry has them, this port and VNI). */
void fdb_fill_delete(struct nlmsghdr *request, const struct fdb_entry *entry);
