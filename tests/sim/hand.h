/* The nemesis's hands: what it may do to a host, how that is undone, and who starts again what has
 * ended. Times are of the simulation's clock. */
#pragma once

#include "tests/sim/sim.h"

/* An agent's, also one that is gone. */
struct host *hand_any_host(void);
/* Hosts that are not gone for good. */
size_t hand_living(void);
uint32_t hand_fresh_ip(void);
/* In microseconds, from so many to so many seconds. */
int64_t hand_seconds(int64_t low, int64_t high);

/* Replaces an earlier plan to start it; nothing happens if it runs by then. */
void hand_restart_agent_in(struct host *host, int64_t in_us);
void hand_restart_control_in(int64_t in_us);
/* From now on, whoever ends by itself is started again, as systemd does it. */
void hand_supervise(void);

/* A cut that is longer than one under way prolongs it. */
/* Only the way to the control plane. */
void hand_cut_from_control(struct host *host, bool to_server, bool to_client, int64_t for_us);
void hand_cut(struct host *host, bool to_server, bool to_client, int64_t for_us);
void hand_mend(struct host *host);

/* A copy of a running host comes up beside it, and ends after that long (twin.c). One at a time. */
void twin_start(struct host *of, bool has_same_address, int64_t for_us);
void twin_end(void);

/* It must stay the node that has its token now. */
void hand_remember_identity(struct host *host);
/* An operator's request, which may be lost like any other. */
void hand_delete_node(const char *id);
