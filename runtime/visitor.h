/* What the holder of a certificate may do with this node's runtime. Pure.
 *
 *     this node, by the very key that the runtime shows    all
 *     user/admin                                           all
 *     user/viewer                                          what only looks
 *     anybody else of the cluster, other nodes too         health and reflection
 *
 * The runtime does not ask the control plane who was revoked. But a node that was gets another key,
 * and what was its own before is then nobody's; and the CA may be replaced.
 */
#pragma once

#include "lib/rpc/role.h"
#include "lib/tls/keyring.h"

/* peer: whose certificate was found good. */
enum rpc_role visitor_role(const struct tls_peer *peer, const struct tls_identity *own,
                           const struct sha256 *own_key);
