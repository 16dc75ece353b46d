/* Hearing of pins that come and go, by anybody's hand, where the fast path's are. Who cannot hear
 * says so once, and has to look by himself. */
#pragma once

#include "lib/base/loop.h"

struct pins_watch;

/* Calls fn a moment after a pin has come or gone: several share a call, and who removes a whole
 * directory is done by then. */
int pins_watch_new(struct loop *loop, loop_fn fn, void *data, struct pins_watch **ret_watch);
/* Before each look at the pins: a directory that has come is watched from then on. */
void pins_watch_follow(struct pins_watch *watch);
void pins_watch_free(struct pins_watch *watch);
