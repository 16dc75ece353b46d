/* The fast path on this node, the agent's half: programs and maps loaded and pinned, the underlay
 * devices' ingress taken, the records of this node and its peers kept true. As with the overlay,
 * an event only says "look again", and only differences are written.
 *
 * It is a cache over the kernel path, which is always there: what fails here costs speed and is
 * said once.
 */
#pragma once

#include "agent/overlay/want.h"
#include "bpf/fastpath.h"
#include "lib/base/loop.h"
#include "lib/base/strbuf.h"

enum fastpath_mode {
    FASTPATH_OFF,   /* what there is of it is taken away */
    FASTPATH_TRY,   /* where the kernel can */
    FASTPATH_INSIST /* or fail */
};

struct fastpath;

/* Negative with FASTPATH_INSIST only, when it cannot be had; the text says why. */
int fastpath_new(struct loop *loop, enum fastpath_mode mode, struct fastpath **ret_fastpath);
/* Leaves programs, maps and records as they are. */
void fastpath_free(struct fastpath *fastpath);

/* What the overlay should be; copied. */
void fastpath_set_want(struct fastpath *fastpath, const struct overlay_want *want);

/* What the kernel knows of a neighbour now: its MAC address; zeros: nothing any more. */
void fastpath_meet(struct fastpath *fastpath, int ifindex, uint32_t addr, struct mac mac);

/* Some of that may have been lost: all is looked at. */
void fastpath_miss(struct fastpath *fastpath);

/* Takes programs, maps and records away. Nothing there: fine. */
int fastpath_remove(struct fastpath *fastpath);

struct fastpath_status {
    bool is_used;       /* packets to some peer go this way */
    const char *reason; /* why not, or not to all; "": none */
    size_t peer_count, device_count;
    uint64_t writes, failures;
};
void fastpath_status(const struct fastpath *fastpath, struct fastpath_status *ret);
/* Prometheus text: counts per peer, and what was left to the kernel. */
void fastpath_add_metrics(const struct fastpath *fastpath, struct strbuf *out);
