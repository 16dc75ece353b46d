/* What the overlay's files share: overlay.c says when to look, look.c does it, holding.c says which
 * changes have to wait. */
#pragma once

#include "agent/overlay/focus.h"
#include "agent/overlay/overlay.h"
#include "agent/overlay/paths.h"
#include "agent/overlay/repairs.h"
#include "agent/overlay/underlay.h"
#include "lib/base/backoff.h"

#define SWEEP_MS 30000

struct overlay {
    struct overlay_config config;
    struct nl *nl;
    struct nl_monitor *monitor;
    struct loop_source *look;
    struct loop_source *timer;
    struct backoff retry;

    struct focus due; /* what the next look is about */
    int64_t sweep_ms; /* when it is to be about all again */
    struct overlay_want want;
    bool has_want;
    bool is_waiting;    /* something of it waits for its route to go first */
    struct focus fresh; /* not applied without failure yet: what is missing is no repair */
    struct underlay underlay;
    struct overlay_paths paths;
    uint64_t resized; /* so often all ways may have become others */
    int ifindex;      /* of our device; 0: none */
    bool is_device_up;
    bool is_programmed;
    uint32_t *lacking; /* owned, sorted: VTEP addresses of peers that lack their route */
    size_t lacking_count;
    int64_t retold_ms;       /* when the runtime was last handed all routes again; 0: never */
    struct overlay_have dry; /* what a dry run would have made */

    struct repairs repairs;
    char *problem; /* owned; NULL: none */
    char *fight;   /* owned; NULL: none */
    int64_t fight_until_ms;
    struct overlay_counts counts;
    uint64_t looks;
    int64_t look_us;
};

/* Looks at these peers, or at all; more may be added on the way. Returns when it is to be done
 * again, INT64_MAX: when something happens. 0, or negative: nothing is certain then. */
int overlay_take_look(struct overlay *overlay, struct focus *focus, int64_t *ret_next_ms);
/* What would be done, said; and then taken as done. */
int overlay_take_dry_look(struct overlay *overlay);
/* Our device as it is; ifindex 0: there is none. */
int overlay_read_device(struct overlay *overlay, struct overlay_have *have);

/* For qsort and bsearch. */
int overlay_compare_vteps(const void *a, const void *b);
/* Whether this peer lacked its route, or had one too many, at the last look at it. */
bool overlay_is_lacking(const struct overlay *overlay, uint32_t vtep);
/* Whether the change makes good what somebody else has done. */
bool overlay_is_repair(const struct overlay *overlay, const struct overlay_change *change);
/* Keeps the changes that may be written now; returns when the rest may, INT64_MAX: there is none.
 */
int64_t overlay_hold_back(struct overlay *overlay, struct overlay_changes *changes, int64_t now_ms);
