/* IPsec policies of this network namespace. linux/xfrm.h. */
#pragma once

#include <stdint.h>

#include "lib/base/loop.h"

/* How many policies there are for what is sent or forwarded; 0 also where the kernel has no IPsec.
 */
int xfrm_count_policies(uint32_t *ret_count);

/* Calls fn after a policy has changed (or when notifications were lost). */
struct xfrm_monitor;
int xfrm_monitor_new(struct loop *loop, loop_fn fn, void *data, struct xfrm_monitor **ret_monitor);
void xfrm_monitor_free(struct xfrm_monitor *monitor);
