/* Network devices in general: look at them, change them. man 7 rtnetlink, linux/if_link.h. */
#pragma once

#include <linux/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/ip4.h"
#include "lib/net/netlink.h"

#define LINK_ALIAS_MAX 256 /* IFALIASZ */

struct link_vxlan {
    uint32_t vni;
    uint16_t port;     /* UDP destination port, host order */
    uint32_t local;    /* host order; 0: none */
    uint32_t remote;   /* host order, also the group; 0: none */
    int lower_ifindex; /* 0: none */
    bool is_learning;
    bool is_external; /* collect metadata */
};

struct link_info {
    int ifindex;
    char name[IFNAMSIZ];
    char kind[16];              /* "vxlan", "veth", "" */
    char alias[LINK_ALIAS_MAX]; /* "" when none */
    struct mac mac;
    uint32_t mtu_bytes;
    bool is_up;              /* administratively (IFF_UP) */
    bool has_carrier;        /* and there is something at the other end (IFF_LOWER_UP) */
    uint16_t type;           /* ARPHRD_* */
    int peer_ifindex;        /* veth: IFLA_LINK, in the peer's namespace; else 0 */
    struct link_vxlan vxlan; /* when kind is vxlan */
};

/* Reads one message of a dump or a notification. False: it is no RTM_NEWLINK. */
bool link_parse(const struct nlmsghdr *message, struct link_info *ret_info);

/* -ENODEV when there is none. */
int link_get(struct nl *nl, const char *name, struct link_info *ret_info);
int link_get_by_index(struct nl *nl, int ifindex, struct link_info *ret_info);

/* All devices of a kind (NULL: all). *ret_links is owned by the caller. */
int link_dump(struct nl *nl, const char *kind, struct link_info **ret_links, size_t *ret_count);

int link_set_up(struct nl *nl, int ifindex, bool is_up);
int link_set_mtu(struct nl *nl, int ifindex, uint32_t mtu_bytes);
int link_set_mac(struct nl *nl, int ifindex, struct mac mac);
int link_set_alias(struct nl *nl, int ifindex, const char *alias);
/* Removing what is not there succeeds. */
int link_delete(struct nl *nl, int ifindex);
