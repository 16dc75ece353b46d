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
};

/* All entries of the device. One MAC with several remotes is several entries. */
int fdb_dump(struct nl *nl, int ifindex, struct fdb_entry **ret_entries, size_t *ret_count);
/* The MAC's only entry: replaces the remote it has. */
void fdb_fill_replace(struct nlmsghdr *request, const struct fdb_entry *entry);
/* This MAC with this remote. */
void fdb_fill_delete(struct nlmsghdr *request, const struct fdb_entry *entry);
int fdb_replace(struct nl *nl, const struct fdb_entry *entry);
/* Removing what is not there succeeds. */
int fdb_delete(struct nl *nl, const struct fdb_entry *entry);
