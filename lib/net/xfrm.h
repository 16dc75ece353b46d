/* IPsec policies of this network namespace. linux/xfrm.h. */
#pragma once

#include <stdint.h>

#include "lib/net/change_monitor.h"

/* How many policies there are for what is sent or forwarded; 0 also where the kernel has no IPsec.
 */
int xfrm_count_policies(uint32_t *ret_count);

/* Calls fn after a policy has changed (or when notifications were lost). *ret_monitor is left NULL
 * where the kernel has no IPsec. */
int xfrm_monitor_new(struct loop *loop, loop_fn fn, void *data,
                     struct change_monitor **ret_monitor);
