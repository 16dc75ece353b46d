/* Watches every device of the host for one flow's packets. Touches the network; packet(7). */
#pragma once

#include "cli/trace/flow.h"
#include "cli/trace/hop.h"

struct watch {
    int fd;
    int overlay_ifindex, veth_ifindex;
};

/* From now on. -EPERM without CAP_NET_RAW. */
int watch_open(struct watch *watch, int overlay_ifindex, int veth_ifindex);
/* Notes what has come by since. */
void watch_take(struct watch *watch, const struct flow *flow, struct journey *journey);
void watch_close(struct watch *watch);
#define AUTO_WATCH CLEANUP(watch_close)
