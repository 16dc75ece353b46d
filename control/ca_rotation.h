/* Replaces the cluster's CA step by step, as far as the nodes have followed. Touches the disk. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/services/rotation.h"

struct control;

/* How many nodes are asked to renew their certificates in one second. */
#define CA_ROTATION_RENEWALS_PER_S 30

struct ca_rotation {
    bool is_forced;  /* nodes that are down are not waited for; until the control plane ends */
    bool is_failing; /* the latest step could not be made; said once */
    int64_t asked_s; /* the second in which the latest node was asked to renew */
    unsigned int asked_count;
};

enum rotation_step ca_rotation_step(const struct control *control);
struct rotation_view ca_rotation_view(const struct control *control);

/* Begins, when it is settled; is_forced holds for one that is under way, too. 0 or negative. */
int ca_rotation_begin(struct control *control, bool is_forced);
/* For the clock: goes on if it can. */
void ca_rotation_go_on(struct control *control);
/* Whether a node whose certificate is of the old CA is to renew it now, and not a little later. */
bool ca_rotation_may_ask(struct ca_rotation *rotation, int64_t now_s);
