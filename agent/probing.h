/* The agent's probes: between the peers, the prober and the heartbeats. Each does nothing where
 * there is no prober (a dry run). */
#pragma once

#include "agent/agent.h"

int probing_start(struct agent *agent);
/* All peers, or our own network, may have changed: looked at soon. */
void probing_look(struct agent *agent);
/* Likewise the peer with this VTEP address; 0: none. */
void probing_look_at(struct agent *agent, uint32_t vtep);
/* The overlay has looked at the ways to the peers. */
void probing_follow_paths(struct agent *agent);
/* Appends what a heartbeat tells. */
void probing_tell(struct agent *agent, struct strbuf *out);
void probing_stop(struct agent *agent);
