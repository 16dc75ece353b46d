/* Hearing that something has changed. What it was need not be read: the owner compares anyway. */
#pragma once

#include <linux/netlink.h>

#include "lib/base/loop.h"

struct change_monitor;

/* Calls fn after each round of the loop in which this group of this netlink protocol told of
 * anything, or told more than could be heard. */
int change_monitor_new(struct loop *loop, int protocol, int group, loop_fn fn, void *data,
                       struct change_monitor **ret_monitor);
/* Has each message read before fn is called; NULL: some were lost. */
typedef void (*change_read_fn)(void *data, const struct nlmsghdr *message);
void change_monitor_read(struct change_monitor *monitor, change_read_fn read, void *data);
void change_monitor_free(struct change_monitor *monitor);
