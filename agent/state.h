/* What the agent remembers over restarts: who it is in the mesh and whom it knew last, so that it
 * can work while the control plane is away, also after a reboot.
 *
 *     {"format":1,"host_ip":...,"identity":{...},"peers":[...]}
 */
#pragma once

#include "lib/api/node.h"

struct agent_state {
    /* As the control plane answered last; node_token stays when a later answer has none. */
    struct api_register_reply identity;
    uint32_t host_ip;       /* as registered last */
    struct api_node *peers; /* owned; all other nodes, also those that are down */
    size_t peer_count;
};

void agent_state_deinit(struct agent_state *state);

/* Caller frees. */
char *agent_state_to_json(const struct agent_state *state);
/* -EINVAL with a text that names what is wrong; *ret_state is an owned state on success. */
int agent_state_from_json(const json_t *content, struct agent_state *ret_state);
