/* How large packets the underlay takes on the way to each wanted peer, by its routes and devices.
 * The kernel is asked once for each; its events say when to ask again. All but overlay_paths_look()
 * is pure.
 */
#pragma once

#include "agent/overlay/focus.h"
#include "lib/net/netlink.h"

struct overlay_path {
    uint32_t vtep, host_ip;
    int ifindex;              /* 0: several devices, or no way */
    uint32_t mtu_bytes;       /* as it was last known; 0: never */
    uint32_t route_mtu_bytes; /* what the peer's route was to have last */
    bool is_known;            /* false: the kernel is to be asked */
};

struct overlay_paths {
    struct overlay_path *items; /* owned; in the order of want's peers */
    size_t count;
    bool has_unknown;
    uint64_t forgotten; /* so often something was forgotten */
};

void overlay_paths_deinit(struct overlay_paths *paths);
/* Takes the peers of this want; what is known of those that stay is kept. */
void overlay_paths_follow(struct overlay_paths *paths, const struct overlay_want *want);

/* Something changed: of a device, or of the route to dst, which may lie before any of them. Whether
 * any path goes that way. */
bool overlay_paths_forget_device(struct overlay_paths *paths, int ifindex);
bool overlay_paths_forget_route(struct overlay_paths *paths, struct ip4_prefix dst);
void overlay_paths_forget_all(struct overlay_paths *paths);

/* Asks for what is not known. */
int overlay_paths_look(struct overlay_paths *paths, struct nl *nl);

/* 0: none is known. */
uint32_t overlay_paths_largest(const struct overlay_paths *paths);
/* What should pass on the underlay to this peer, of what our device sends; 0: not known. */
uint32_t overlay_paths_find(const struct overlay_paths *paths, const struct overlay_want *want,
                            uint32_t vtep);
/* Gives the route of each peer, who is reached over less than our device sends, an MTU of its own.
 * Those that have another one than before are added to changed. */
void overlay_paths_narrow(struct overlay_paths *paths, struct overlay_want *want,
                          struct focus *changed);
