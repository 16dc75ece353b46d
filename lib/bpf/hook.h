/* Where programs meet packets: the ingress of a device. TCX where the kernel has it (6.6), clsact
 * before. What is attached stays while the device lives, whoever attached it; so nothing needs to
 * be held or pinned for it. Others' programs are left alone.
 */
#pragma once

#include <stdbool.h>

#include "lib/bpf/set.h"

/* Whether this kernel has TCX. */
bool hook_has_tcx(void);

/* Makes the set's program the device's, in the place of its old one if that is there. Returns 1
 * when it wrote, 0 when it was so, or negative. -ENODEV: there is no such device. */
int hook_attach(int ifindex, const struct set_loaded *program);
/* Takes it off. Returns as above. */
int hook_detach(int ifindex, const struct set_loaded *program);
