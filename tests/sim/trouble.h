/* What goes wrong, one trouble at a time. */
#pragma once

#include "tests/sim/sim.h"

enum trouble_kind {
    TROUBLE_ANY,
    TROUBLE_GENTLE /* what nothing may come of: no status, no kernel changes */
};

/* Lets time pass until then, with a trouble after each pause. */
void trouble_until(int64_t until_us, enum trouble_kind kind, int64_t pause_max_ms);

/* Most of the mesh is taken down while the control plane forgets what it told last: whoever was cut
 * off has to believe a list that lacks most of what it knew. */
void trouble_shrink(void);
