/* What the agent remembers over restarts: who it is in the mesh and whom it knew last, so that it
 * can work while the control plane is away, also after a reboot.
 *
 *     {"sha256":"<64 hex
 * digits>","content":{"format":1,"host_ip":...,"identity":{...},"peers":[...]}}
 *
 * The checksum is over the bytes of the content as they stand in the file. The file before the last
 * write is kept beside it as agent.json.1.
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

/* The file's text; caller frees. */
char *agent_state_to_text(const struct agent_state *state);
/* -EINVAL with a text when it is damaged or of another format. */
int agent_state_from_text(const char *text, size_t n, struct agent_state *ret_state);

enum agent_state_outcome {
    AGENT_STATE_NONE = 1,     /* there is no file: a new node */
    AGENT_STATE_PREVIOUS = 2, /* the file is damaged, the one before it was taken */
    AGENT_STATE_DAMAGED = 3,  /* both are; err_text() says how */
};

/* Files in dir. 0: read. */
int agent_state_load(const char *dir, struct agent_state *ret_state);
int agent_state_save(const char *dir, const struct agent_state *state);
/* The node has left: nothing is remembered. */
int agent_state_remove(const char *dir);
