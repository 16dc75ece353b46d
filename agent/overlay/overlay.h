/* Keeps the overlay as it should be. An event (a changed peer, a kernel notification, 30 s gone by)
 * only says "look again"; one look reads the kernel, finds the difference and writes it. What is
 * about a few peers has only these looked at, so that it costs the same among ten and ten thousand.
 * With nothing changed nothing is written.
 *
 *     want ──┐
 *            ├─ diff ── device, address, neighbours, FDB ──> kernel
 *     have ──┘      └── routes ──> routes callback (the runtime)
 */
#pragma once

#include "agent/overlay/apply.h"
#include "lib/base/loop.h"

struct overlay_config {
    struct loop *loop;
    bool is_dry; /* touch nothing, say what would be done */
    uint32_t host_ip;
    /* Routes to add, replace or remove. The same ones come again with each look until the kernel
     * has them so. */
    void (*routes)(void *data, const struct overlay_change *changes, size_t count);
    /* Whether routes can be changed at present. */
    bool (*can_route)(void *data);
    /* Whether route changes are under way; their owner calls overlay_look() when all are done. */
    bool (*is_routing)(void *data);
    /* After each look. */
    void (*looked)(void *data);
    /* What the kernel knows of a neighbour on another device than the overlay's, by IPv4: its MAC
     * address; zeros: nothing any more. */
    void (*met)(void *data, int ifindex, uint32_t addr, struct mac mac);
    /* The kernel has told more than could be read: what met is for may be lost. */
    void (*missed)(void *data);
    void *data;
};

struct overlay;

int overlay_new(const struct overlay_config *config, struct overlay **ret_overlay);
/* Leaves the kernel as it is. */
void overlay_free(struct overlay *overlay);

/* What should be, from now on (copied; the MTUs in it do not count, they follow the underlay). */
void overlay_set_want(struct overlay *overlay, const struct overlay_want *want);

/* Look again, soon. */
void overlay_look(struct overlay *overlay);

/* Look at the routes that are wanted otherwise than the kernel had them, soon. */
void overlay_look_at_routes(struct overlay *overlay);

/* So many routes the runtime has stored. When that is fewer than the kernel has right, it has lost
 * its memory: all are handed to it again, which changes nothing in the kernel. */
void overlay_heard_routes(struct overlay *overlay, size_t count);

/* Takes the device away, with all that is on it, if it is ours; nothing is wanted any more. */
int overlay_remove(struct overlay *overlay);

struct overlay_status {
    bool is_host_ip_local;
    bool is_programmed; /* the device and all on it but routes were right at the last look */
    bool is_device_up;
    uint32_t mtu_bytes;  /* 0: no device */
    const char *problem; /* "": none */
    const char *fight;   /* "": none. Who knows who keeps changing it */
    uint64_t looks;
    double look_seconds; /* of all looks */
    const struct overlay_counts *counts;
};
void overlay_status(const struct overlay *overlay, struct overlay_status *ret);

/* Whether this wanted peer has all it needs, its route too. */
bool overlay_has_peer(const struct overlay *overlay, uint32_t vtep);

/* The largest packet that should pass on the underlay to this wanted peer: of what our device sends
 * what its route and the device of that take. 0: not known. */
uint32_t overlay_path_bytes(const struct overlay *overlay, uint32_t vtep);
/* Another number whenever that may have become another for a peer that is wanted as before. */
uint64_t overlay_path_changes(const struct overlay *overlay);
