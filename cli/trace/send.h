/* Sends the flow's packet from inside a container's network namespace. */
#pragma once

#include "cli/trace/flow.h"

/* A socket in the namespace of netns_fd, bound to the flow's source; completes flow->mark. */
int send_open(int netns_fd, struct flow *flow, int *ret_fd);
/* One packet more; one that cannot be sent is one that is not answered. */
void send_packet(int fd, const struct flow *flow);
/* Whether anything has been answered. */
bool send_is_answered(int fd, const struct flow *flow);
