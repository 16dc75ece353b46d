/* What the host's kernel has of the things the runtime looks after, at one moment; and how that
 * compares with what is wanted. Loading touches the kernel, the rest is pure.
 */
#pragma once

#include "runtime/plug.h"
#include "runtime/state.h"

struct view {
    struct link_info *links; /* all devices, by name */
    size_t link_count;
    struct route_entry *routes; /* of our protocol, by destination */
    size_t route_count;
    struct neigh_entry *neighs; /* endpoints' on their devices, by device and address */
    size_t neigh_count;
};

/* Of neighbours only those of these endpoints are asked for: a host may have thousands. */
int view_load(struct nl *nl, const struct endpoint_table *endpoints, struct view *ret_view);
/* Puts what was gathered in order; view_load() does it. */
void view_sort(struct view *view);
void view_deinit(struct view *view);

/* Borrowed; NULL when there is none. */
struct link_info *view_find_link(const struct view *view, const char *name);
/* The overlay's device: a VXLAN device that bears our alias. */
struct link_info *view_find_overlay(const struct view *view);

enum endpoint_health {
    ENDPOINT_WHOLE,
    ENDPOINT_MISSING, /* its device is not there */
    ENDPOINT_BROKEN,  /* its device, neighbour or route is not as it should be */
    ENDPOINT_MTU,     /* only its MTU is not the wanted one */
    ENDPOINT_FOREIGN  /* somebody else's device has its name */
};
/* mtu_bytes is the wanted one. *ret_link is borrowed, NULL when missing. */
enum endpoint_health view_check_endpoint(const struct view *view, const struct endpoint *endpoint,
                                         uint32_t mtu_bytes, struct link_info **ret_link);

enum route_health {
    ROUTE_THERE,
    ROUTE_NO_DEVICE,   /* its device does not exist: not ready yet */
    ROUTE_DEVICE_DOWN, /* likewise */
    ROUTE_MISSING      /* the kernel could have it, and has not, or otherwise */
};
/* *ret_entry is the wanted entry, complete when the device exists. */
enum route_health view_check_route(const struct view *view, const struct route *route,
                                   struct ip4_prefix cluster, struct route_entry *ret_entry);
