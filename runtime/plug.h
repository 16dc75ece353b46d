/* An endpoint in the kernel: a veth pair between this host and a container, routed, without a
 * bridge. Touches the kernel.
 *
 *     container                                   host
 *     eth0  10.42.1.5/32, 02:51:0a:2a:01:05       qv0a2a0105, 02:51:a9:fe:01:01, no address
 *       |   default via 169.254.1.1                 |   10.42.1.5/32 dev qv0a2a0105 proto 81
 *       |   169.254.1.1 is 02:51:a9:fe:01:01        |   10.42.1.5 is 02:51:0a:2a:01:05
 *       +-------------------------------------------+
 *
 * Both neighbours are permanent, so no ARP is ever asked. Every gateway has the same MAC address,
 * so a container that moves needs to learn nothing.
 */
#pragma once

#include "runtime/endpoints.h"
#include "runtime/kernel.h"

/* Opens the namespace and tells which it is. -ENOENT when it is gone, -EINVAL when it is none or
 * the host's own. */
int plug_open_netns(const char *path, int *ret_fd, struct endpoint_netns *ret_netns);

enum plug_outcome { PLUG_GONE = 1 /* the path is gone or names another namespace now */ };

/* Makes all of it so: what is there stays, what is missing is made. The host's route comes last, so
 * while it is there the rest is. 0, PLUG_GONE, or negative; then something may be half done, and
 * plug_remove() undoes it. */
int plug_build(struct kernel *kernel, const struct endpoint *endpoint, uint32_t mtu_bytes);

/* The host's side alone, of an endpoint whose namespace lives on but can no longer be found. */
int plug_build_host(struct kernel *kernel, const struct endpoint *endpoint, struct link_info *host,
                    uint32_t mtu_bytes);

/* Removes our device of this address and with it all that was built. Nothing there: fine. */
int plug_remove(struct kernel *kernel, uint32_t addr);

/* The MTU of both ends; the inner one first, so that the host's tells whether both are done. */
int plug_set_mtu(struct kernel *kernel, const struct endpoint *endpoint, struct link_info *host,
                 uint32_t mtu_bytes);

/* Whether a device bears our alias for endpoints. */
bool plug_is_ours(const struct link_info *info);

/* The three host-side entries that an endpoint has, given its device. */
struct route_entry plug_host_route(uint32_t addr, int ifindex);
struct neigh_entry plug_host_neigh(uint32_t addr, int ifindex);
struct mac plug_host_mac(void);
/* Kernel settings of the host's end; they must be right before it is up. */
int plug_ensure_sysctls(struct kernel *kernel, const char *host_ifname);
