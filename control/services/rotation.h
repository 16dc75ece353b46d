/* Replacing the cluster's CA: whom the next step waits for. Pure.
 *
 *     settled ── somebody asks for it ──> published: both CAs are trusted, the old one signs
 *        ^                                    │ every node knows both
 *        │ every node has a certificate       v
 *        └─────── of the new one ───────── promoted: both are trusted, the new one signs
 *
 * A node that is down holds a step up, for it would be locked out by it: unless somebody says that
 * it may be.
 */
#pragma once

#include "control/services/registry.h"

enum rotation_step { ROTATION_SETTLED, ROTATION_PUBLISHED, ROTATION_PROMOTED, ROTATION_COUNT };

/* "settled", "published", "promoted". */
const char *rotation_step_word(enum rotation_step step);

/* What the nodes are held against. */
struct rotation_view {
    enum rotation_step step;
    const char *told_sha256;   /* of the CAs that nodes are told now */
    const char *given_sha256;  /* of the given ones alone: who was told them by hand; NULL: none */
    struct sha256 signer_spki; /* of the CA that signs now */
    bool is_forced;            /* nodes that are down are not waited for */
};

/* The first node behind `after` (NULL: of all) that the step waits for; NULL: none. Nodes without a
 * certificate have nothing to renew, but must know the CAs as well. */
const struct node *rotation_next_laggard(const struct registry *registry,
                                         const struct rotation_view *view,
                                         const struct node *after);
