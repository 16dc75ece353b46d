/* What the nodes tell of each other, in the registry: who is lost, who is kept, and the matrix.
 * Pure.
 */
#pragma once

#include "control/services/registry.h"

/* Of more nodes only what is not as it should be is shown. */
#define MESH_WHOLE_MAX 64
/* In one answer. */
#define MESH_CELLS_MAX 20000
/* A node that its witnesses reach is kept so many timeouts though its agent is silent. Its agent
 * may be stopped, or be upgraded; but meanwhile it learns of no other node, so this has an end. */
#define KEPT_TIMEOUTS 10

/* With a heartbeat that was heard. Nodes that are not known are left out. */
void registry_note_probes(struct registry *registry, struct node *by,
                          const struct api_probe *probes, size_t count, struct moment now);
/* We were held up: what was told before, or has waited meanwhile, accuses nobody. */
void registry_doubt_witnesses(struct registry *registry, struct moment now);

/* Those that are accused are handed over when they are to be down; true while there is anybody to
 * look at again, soon. The callback must not change the registry but by planning. */
bool registry_check_suspects(struct registry *registry, struct moment now, monitor_due_fn fn,
                             void *data);
/* Due for its silence, but to be kept up: it is shown as unknown. */
bool registry_keep(struct registry *registry, struct node *node, struct moment now);

/* Appends {"nodes":[...],"probes":[...],...}. */
void registry_mesh_to_json(const struct registry *registry, struct moment now, struct strbuf *out);
