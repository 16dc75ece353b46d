/* What is heard from the control plane, turned into what is wanted: identity and peers to overlay,
 * runtime and state file. */
#pragma once

#include "agent/agent.h"

/* For control_client; data is the agent. */
extern const struct control_client_events mesh_events;

int mesh_init(struct agent *agent);
void mesh_deinit(struct agent *agent);

/* Reads the state file. Negative when the disk fails; damage is logged, and the node starts anew.
 */
int mesh_load_state(struct agent *agent);
/* With an identity in it, what was known last is wanted at once. Needs overlay and runtime. */
void mesh_start_from_state(struct agent *agent);
/* The operator says that the control plane is right. One that was refused: registers with it as if
 * it were the first, wishing for the same subnet. One whose list is doubted: forgets who is missing
 * from it, unless they may still be coming over. False when there is neither. */
bool mesh_accept_cluster(struct agent *agent);
/* What was found to pass to peers (peers_note_found) is another. */
void mesh_follow_sizes(struct agent *agent);
