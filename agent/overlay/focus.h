/* The few VTEP addresses that a look is to be about, or that something is known of; too many are
 * all. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/overlay/diff.h"

/* Looking at more one by one costs as much as listing some hundred. */
#define FOCUS_MAX 64

struct focus {
    uint32_t vteps[FOCUS_MAX]; /* each once */
    size_t count;
    bool is_all;
};

void focus_add(struct focus *focus, uint32_t vtep);
bool focus_has(const struct focus *focus, uint32_t vtep);
void focus_drop(struct focus *focus, const struct focus *dropped);

/* The peer that a change of a neighbour, FDB entry or route is about; 0: none of ours. */
uint32_t focus_vtep_of(const struct overlay_change *change);

/* Which peers one want has otherwise than the other; all when more than peers differ. */
struct focus focus_compare(const struct overlay_want *from, const struct overlay_want *to);
/* The same want of these peers only; owned by the caller. */
struct overlay_want focus_want(const struct focus *focus, const struct overlay_want *want);
