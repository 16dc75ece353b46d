/* What a request asks for, checked field by field. Pure.
 *
 * Each returns 0, or -EINVAL (others where said) with a text that begins with the field's name and
 * quotes its value. Fields come as protobuf gives them: never NULL, "" when not set.
 */
#pragma once

#include "runtime/state.h"

struct subnet_request {
    struct ip4_prefix subnet;
    struct ip4_prefix cluster;
};

/* cluster_cidr "" is 10.42.0.0/16 with nodes of /24, as in the first release; a cluster that is
 * named may have nodes of any size inside it. */
int request_read_subnet(const char *subnet, const char *cluster_cidr,
                        struct subnet_request *ret_request);

/* The network of another node: of the node's size, inside the cluster. */
int request_read_destination(const struct state *state, const char *destination,
                             struct ip4_prefix *ret_dst);
/* A route to such a network that is not the node's own. */
int request_read_route(const struct state *state, const char *destination,
                       const char *via_interface, const char *gateway, struct route *ret_route);

/* 0: none of its own. */
int request_read_mtu(uint32_t mtu, uint32_t *ret_mtu_bytes);

/* Checks id, and ifname whose "" becomes eth0. */
int request_read_key(const char *id, const char *ifname, const char **ret_ifname);
/* A path that can be opened later, absolute. */
int request_read_netns(const char *netns);
/* "" is 0: any. */
int request_read_ip(const char *ip, uint32_t *ret_addr);
