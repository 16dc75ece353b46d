/* What the files of the fast path share. */
#pragma once

#include "agent/fastpath/fastpath.h"
#include "agent/fastpath/hops.h"
#include "agent/fastpath/records.h"
#include "agent/fastpath/ways.h"
#include "agent/overlay/focus.h"
#include "agent/overlay/paths.h"
#include "lib/base/backoff.h"
#include "lib/base/patience.h"
#include "lib/bpf/set.h"
#include "lib/net/netlink.h"

struct fastpath {
    struct set *set; /* NULL: not used */
    struct nl *nl;
    struct nl_monitor *monitor;
    struct change_monitor *policies;
    struct pins_watch *pins;
    struct loop_source *look;
    struct loop_source *sweep;
    struct loop_source *beat;
    struct backoff retry;     /* of looks that fail while nothing happens */
    struct patience patience; /* with who removes the pins */
    struct overlay_want want;
    bool has_want;
    struct focus due; /* what the next look is about */
    struct overlay_paths paths;
    struct fastpath_slots slots;
    struct hops hops;
    struct fastpath_config config; /* as it was written last */
    int *devices;                  /* owned; that have our program */
    size_t device_count;
    bool has_looked;
    bool is_enabled;   /* at the last look */
    bool is_told;      /* that it is used */
    size_t peer_count; /* that have a way */
    char *reason;      /* owned; NULL: none */
    uint64_t writes, failures;
};

/* The peers' records as they are; sorted. */
int fastpath_dump_entries(const struct fastpath *fp, struct fastpath_entries *ret);

enum fastpath_outcome {
    FASTPATH_UNSURE = 1 /* only a look at all can tell */
};
/* Makes the records of all peers, or of those of the focus, follow from the want and these ways to
 * its peers. 0, an outcome, or negative. */
int fastpath_write_peers(struct fastpath *fp, const struct focus *focus,
                         const struct overlay_want *want, const struct ways *ways);

bool fastpath_has_device(const struct fastpath *fp, int ifindex);
/* Attaches the program to the devices of these ways, and takes it off all others. */
int fastpath_take_devices(struct fastpath *fp, struct ways *ways);
/* Those that peers have come to need. None is let go: that takes a look at all. */
int fastpath_take_more_devices(struct fastpath *fp, const struct ways *ways);
/* Takes the program off all; which they were is remembered. */
int fastpath_leave_devices(const struct fastpath *fp);
