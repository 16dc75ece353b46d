/* Overlays to try the difference on, and a kernel that is simulated by arrays. */
#pragma once

#include "agent/overlay/diff.h"
#include "lib/base/mem.h"

#define REMOVE_WHERE(array_, count_, condition_) \
    do {                                         \
        size_t kept_ = 0;                        \
        for (size_t i = 0; i < (count_); i++)    \
            if (!(condition_))                   \
                (array_)[kept_++] = (array_)[i]; \
        (count_) = kept_;                        \
    } while (0)
#define APPEND(array_, count_, value_)                                   \
    do {                                                                 \
        (array_) = mem_resize((array_), (count_) + 1, sizeof *(array_)); \
        (array_)[(count_)++] = (value_);                                 \
    } while (0)

/* 10.0.0.0/8 in /24s; we are 10.0.1.0/24, peers follow. */
struct overlay_want make_want(size_t count);

/* What the kernel would have after one change; unsorted. */
void simulate(struct overlay_have *have, const struct overlay_want *want,
              const struct overlay_change *change);
