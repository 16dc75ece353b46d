/* Hearing that something has changed. What it was is not read: the owner compares anyway. */
#pragma once

#include "lib/base/loop.h"

struct change_monitor;

/* Calls fn after each round of the loop in which this group of this netlink protocol told of
 * anything, or told more than could be heard. */
int change_monitor_new(struct loop *loop, int protocol, int group, loop_fn fn, void *data,
                       struct change_monitor **ret_monitor);
void change_monitor_free(struct change_monitor *monitor);
