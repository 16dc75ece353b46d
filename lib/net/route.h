/* IPv4 routes of the main table. linux/rtnetlink.h; net/ipv4/fib_frontend.c. */
#pragma once

#include <linux/rtnetlink.h>

#include "lib/base/ip4.h"
#include "lib/net/netlink.h"

/* Marks what is ours in rtm_protocol and NDA_PROTOCOL. */
#define QUILT_ROUTE_PROTOCOL 81

/* What the kernel takes as a route's MTU and keeps as it is. */
#define ROUTE_MTU_MIN_BYTES 68
#define ROUTE_MTU_MAX_BYTES 65520

struct route_entry {
    struct ip4_prefix dst;
    uint32_t gateway; /* host order; 0: none */
    int ifindex;
    bool is_onlink;
    uint8_t scope;    /* RT_SCOPE_LINK without gateway, less with */
    uint8_t protocol; /* RTPROT_* */
    uint8_t type;     /* RTN_UNICAST, ... */
    uint32_t metric;
    uint32_t mtu_bytes; /* of its own; 0: none, the device's counts */
    bool is_multipath;  /* read only: has several next hops; gateway and ifindex are the first's */
};

/* Reads one message of a dump or a notification. False: it is no RTM_NEWROUTE of the main table. */
bool route_parse(const struct nlmsghdr *message, struct route_entry *ret_entry);

/* The routes of the main table: of one protocol (0: all), of one device (0: all). */
int route_dump(struct nl *nl, uint8_t protocol, int ifindex, struct route_entry **ret_entries,
               size_t *ret_count);
/* All routes of the main table to exactly this destination, whoever made them. */
int route_get_exact(struct nl *nl, struct ip4_prefix dst, struct route_entry **ret_entries,
                    size_t *ret_count);

enum route_find_outcome {
    ROUTE_NONE = 1, /* no route to exactly this destination */
    ROUTE_UNSURE    /* something else covers its first address: only a listing can tell */
};
/* The route of the main table to exactly this destination that counts, at the price of one lookup;
 * there may be others behind it, of higher metrics. 0, an outcome, or negative. */
int route_find(struct nl *nl, struct ip4_prefix dst, struct route_entry *ret_entry);

/* Our form of a route: protocol 81, main table, metric 0. replace takes the place of whatever route
 * of that metric the destination has, whoever made it, so look first. */
void route_fill_replace(struct nlmsghdr *request, const struct route_entry *entry);
void route_fill_delete(struct nlmsghdr *request, const struct route_entry *entry);
int route_replace(struct nl *nl, const struct route_entry *entry);
/* Only a route of our protocol; removing what is not there succeeds. */
int route_delete(struct nl *nl, const struct route_entry *entry);

/* How a packet to addr would leave (RTM_GETROUTE): the device, its MTU or the route's smaller one.
 */
struct route_path {
    int ifindex;
    uint32_t gateway; /* host order; 0: on link */
    uint32_t source;  /* host order */
    uint32_t mtu_bytes;
    bool is_local; /* addr is one of this host's own */
};
/* The answer to RTM_GETROUTE. mtu_bytes is the one that was given to the route, 0 when none was. */
bool route_path_parse(const struct nlmsghdr *message, struct route_path *ret_path);
/* -ENETUNREACH when there is no way. */
int route_lookup(struct nl *nl, uint32_t addr, struct route_path *ret_path);

/* The route that a packet to addr would take (RTM_F_FIB_MATCH), without what was learned on the way
 * (path MTUs, redirects). */
struct route_fib {
    int ifindex;
    uint32_t gateway;   /* host order; 0: on link */
    uint32_t mtu_bytes; /* that was given to the route; 0: none was */
    /* A unicast route with one next hop, of IPv4, and nothing that changes packets on the way. */
    bool is_simple;
};
bool route_fib_parse(const struct nlmsghdr *message, struct route_fib *ret_fib);
/* -ENETUNREACH when there is no way. */
int route_fib(struct nl *nl, uint32_t addr, struct route_fib *ret_fib);
