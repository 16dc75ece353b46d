/* What the files of the fast path share. */
#pragma once

#include "agent/fastpath/fastpath.h"
#include "agent/fastpath/records.h"
#include "lib/bpf/set.h"
#include "lib/net/netlink.h"

struct fastpath {
    struct set *set; /* NULL: not used */
    struct nl *nl;
    struct nl_monitor *monitor;
    struct xfrm_monitor *policies;
    struct loop_source *look;
    struct loop_source *sweep;
    struct overlay_want want;
    bool has_want;
    int *devices; /* owned; that have our program */
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
