/* The fast path on this node, the runtime's half: which endpoint is behind which device, and the
 * program at the host's end of each. What the agent has pinned is used while it is there; without
 * it there is nothing to do, and the kernel path carries all.
 *
 * An endpoint's record comes after all else that it needs and goes before anything of that does.
 */
#pragma once

#include "lib/base/strbuf.h"
#include "runtime/kernel.h"
#include "runtime/state.h"
#include "runtime/view.h"

/* The endpoint is behind this device of ours. Nothing to do is fine; a failure is for the caller to
 * say: the endpoint works without. */
int fastpath_put(struct kernel *kernel, const struct endpoint *endpoint,
                 const struct link_info *host);
/* No packet goes to this address by the fast path any more. */
int fastpath_drop(struct kernel *kernel, uint32_t addr);

/* Whether the pins are those that fastpath_sync() has found. */
bool fastpath_is_current(const struct kernel *kernel);
/* Finds out whether the pins are there and the same as before, and makes the records and programs
 * of all endpoints right. */
int fastpath_sync(struct kernel *kernel, const struct state *state, const struct view *view);

/* Which set of counts an endpoint has. In subnets larger than that, endpoints share. */
uint32_t fastpath_slot(uint32_t addr);
/* Prometheus text: counts per endpoint. */
void fastpath_add_metrics(const struct kernel *kernel, const struct state *state,
                          struct strbuf *out);
