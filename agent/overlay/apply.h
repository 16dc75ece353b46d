/* Writes a difference into the kernel: all but routes, which are the runtime's. */
#pragma once

#include "agent/overlay/diff.h"

struct overlay_counts {
    uint64_t writes[OVERLAY_OBJECT_COUNT][OVERLAY_VERB_COUNT];
    uint64_t repairs[OVERLAY_OBJECT_COUNT];
    uint64_t failures;
};

/* Writes changes in order. Goes on after one that failed, unless it was the device. Returns 0 when
 * all were written; else the first failure with its text. *ifindex is the device's (0: there is
 * none), and is changed when the device is made anew. */
int overlay_apply(struct nl *nl, const struct overlay_want *want,
                  const struct overlay_changes *changes, int *ifindex,
                  struct overlay_counts *counts);

/* The settings of the device that we need: no IPv6 on it, so that it never sends a router
 * solicitation or an MLD report into the overlay; reverse path filtering loose where the host's is
 * strict, and otherwise off. Writes only what differs. */
int overlay_ensure_sysctls(struct overlay_counts *counts);
