/* The node leaves the mesh: tells the control plane and the runtime, takes the overlay away,
 * forgets who it was. Each step is tried whatever became of the others; what failed is told. */
#pragma once

#include "agent/agent.h"

/* requester (may be NULL) gets the answer when all is done. Then the loop ends with exit code 0. */
void leave_start(struct agent *agent, struct http_request *requester);
void leave_free(struct leave *leave);
