/* What is heard from the control plane, turned into what is wanted: identity and peers to overlay,
 * runtime and state file. */
#pragma once

#include "agent/agent.h"

/* For control_client; data is the agent. */
extern const struct control_client_events mesh_events;

int mesh_init(struct agent *agent);
void mesh_deinit(struct agent *agent);

/* Reads the state file; with an identity in it, what was known last is wanted at once. Needs
 * overlay and runtime. Negative when the disk fails; damage is logged, and the node starts anew. */
int mesh_start_from_state(struct agent *agent);
/* The operator says that the control plane which was refused is the right one: registers with it as
 * if it were the first, wishing for the same subnet. False when none is refused. */
bool mesh_accept_cluster(struct agent *agent);
/* Writes the state file if something is not in it yet. */
void mesh_save(struct agent *agent);
