/* What the kernel of this host, and who can be asked elsewhere, say of a packet's way: one hop
 * after the other. Looks, and changes nothing. */
#pragma once

#include "cli/cli.h"
#include "cli/trace/flow.h"
#include "cli/trace/hop.h"

struct look {
    char *netns;      /* of the source's container; NULL: it is not on this host */
    char *attach;     /* the command that puts its inside right; NULL likewise */
    int veth_ifindex; /* the host's end of it; 0 likewise */
    int overlay_ifindex;
    bool is_target_here;
    uint32_t vtep, host_ip; /* the peer's; 0: not known */
};
void look_deinit(struct look *look);

int look_at_way(struct cli *cli, const struct flow *flow, struct look *ret_look, struct hops *hops);
