/* What the agent remembers over restarts: who it is in the mesh and whom it knew last, so that it
 * can work while the control plane is away, also after a reboot.
 *
 *     {"format":1,"host_ip":...,"new_token":"...","access_token":"...","ca_pins":["..."],
 *      "identity":{...},"peers":[...],"found":[{"node_id":"...","bytes":1400}]}
 *
 * identity is missing until the node has been registered once.
 */
#pragma once

#include "lib/api/access_token.h"
#include "lib/api/register.h"
#include "lib/tls/trust.h"

/* The largest packet that was found to get to a peer, where that is less than should. */
struct agent_found {
    char node_id[UUID_TEXT_SIZE];
    uint32_t bytes;
};

struct agent_state {
    /* What the node's token is to be whenever it is given one. It is kept before it is proposed
     * first, so that the node can prove who it is though the answer be lost. */
    char new_token[NODE_TOKEN_TEXT_SIZE]; /* "": of an agent that made none */
    /* The id of the access token that was there when the node was let in last: it does not bring
     * back a node that was revoked since. "": there was none. */
    char access_token[ACCESS_TOKEN_ID_SIZE];
    /* The CAs that the control plane is known by: should their file be lost, they are told from
     * others by this. Not of given ones. */
    struct tls_pins ca_pins;
    /* As the control plane answered last; node_token stays when a later answer has none. node_id
     * "": it has not yet. */
    struct api_register_reply identity;
    uint32_t host_ip;       /* as registered last */
    struct api_node *peers; /* owned; all other nodes, also those that are down */
    size_t peer_count;
    struct agent_found *found; /* owned */
    size_t found_count;
};

void agent_state_deinit(struct agent_state *state);

/* What was told of single nodes since the state was saved, and up to which revision:
 *
 *     {"revision":17,"peers":[...],"gone":["<node id>",...]}
 */
struct agent_change {
    uint64_t revision;
    struct api_node *peers; /* as they are now */
    size_t peer_count;
    const char **gone; /* node ids */
    size_t gone_count;
};

/* Caller frees, here and below. */
char *agent_state_to_json(const struct agent_state *state);
/* -EINVAL with a text that names what is wrong; *ret_state is an owned state on success. */
int agent_state_from_json(const json_t *content, struct agent_state *ret_state);

/* On one line. */
char *agent_change_to_json(const struct agent_change *change);
/* -EINVAL with a text. *ret_change borrows from record, and is for agent_change_deinit(). */
int agent_change_from_json(const json_t *record, struct agent_change *ret_change);
/* Of one that was read. */
void agent_change_deinit(struct agent_change *change);
