/* A BPF program at the ingress of a device by clsact, for kernels without TCX. One filter of ours:
 * its priority and handle are what it is known by. linux/pkt_cls.h, linux/pkt_sched.h. */
#pragma once

#include <stdint.h>

#include "lib/net/netlink.h"

/* The kernel's number of the program there. -ENOENT: there is none. -ENODEV: no such device. */
int tc_get_ingress(struct nl *nl, int ifindex, uint32_t *ret_id);
/* Makes this program the filter's, in one step when there is one; makes the clsact qdisc where it
 * is missing. */
int tc_set_ingress(struct nl *nl, int ifindex, int program_fd);
/* Removes our filter; the qdisc stays, others may use it. Nothing there: fine. */
int tc_remove_ingress(struct nl *nl, int ifindex);
