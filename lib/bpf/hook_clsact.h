/* The hook by clsact. For hook.c and its tests. */
#pragma once

#include "lib/bpf/set.h"

/* As hook_attach() and hook_detach(); ours is the one filter of our priority, whatever program it
 * has.
 */
int hook_clsact_attach(int ifindex, const struct set_loaded *program);
int hook_clsact_detach(int ifindex);
