/* IPv4 addresses on devices. */
#pragma once

#include "lib/net/netlink.h"

struct addr_entry {
    int ifindex;
    uint32_t addr; /* host order */
    uint8_t prefix_len;
    uint8_t scope; /* RT_SCOPE_* */
};

/* Reads one message of a dump or a notification. False: it is no IPv4 RTM_NEWADDR. */
bool addr_parse(const struct nlmsghdr *message, struct addr_entry *ret_entry);

/* ifindex 0: all devices. *ret_entries is owned by the caller. */
int addr_dump(struct nl *nl, int ifindex, struct addr_entry **ret_entries, size_t *ret_count);
/* Adding what is there succeeds. */
int addr_add(struct nl *nl, const struct addr_entry *entry);
/* Removing what is not there succeeds. */
int addr_delete(struct nl *nl, const struct addr_entry *entry);
