/* The way of the underlay to each wanted peer: its route, and how large packets it takes by that
 * and by its device. The kernel is asked once for each; its events say when to ask again. All but
 * overlay_paths_look() is pure.
 */
#pragma once

#include "agent/overlay/focus.h"
#include "lib/net/route.h"

/* Some changes (that a carrier is back, say) the kernel tells us nothing of: so many ways are asked
 * for again at a sweep, in turn. */
#define OVERLAY_PATHS_SWEPT 1000

struct overlay_path {
    uint32_t vtep, host_ip;
    bool is_known;            /* false: the kernel is to be asked */
    bool has_way;             /* when it was last asked */
    struct route_fib fib;     /* the last it had; ifindex 0: several devices */
    uint32_t mtu_bytes;       /* by the route and its device; 0: of no way yet */
    uint32_t route_mtu_bytes; /* what the peer's route was to have last */
};

struct overlay_paths {
    struct overlay_path *items; /* owned; in the order of want's peers */
    size_t count;
    bool has_unknown;
    uint64_t forgotten; /* so often something was forgotten */
    size_t swept;       /* whose turn it is */
};

void overlay_paths_deinit(struct overlay_paths *paths);
/* Takes the peers of this want; what is known of those that stay where they were is kept. */
void overlay_paths_follow(struct overlay_paths *paths, const struct overlay_want *want);

/* Something changed: of a device, or of the route to dst, which may lie before any of them. Whether
 * any path goes that way. */
bool overlay_paths_forget_device(struct overlay_paths *paths, int ifindex);
bool overlay_paths_forget_route(struct overlay_paths *paths, struct ip4_prefix dst);
void overlay_paths_forget_all(struct overlay_paths *paths);
/* The next OVERLAY_PATHS_SWEPT. */
void overlay_paths_forget_some(struct overlay_paths *paths);

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
