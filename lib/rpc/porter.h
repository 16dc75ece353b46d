/* Finds out who is at the door. Internal to lib/rpc.
 *
 *     unix socket   SO_PEERCRED and SO_PEERGROUPS: root, the daemon's own user, and the group that
 *                   the socket's file has are masters
 *     plain TCP     the uid that owns the other end, asked from the kernel: root and the daemon's
 *                   own user are masters
 *     TLS           nobody, until the handshake is over; then the server's owner judges
 *
 * Everybody else, and whoever cannot be found out, is a stranger.
 */
#pragma once

#include "lib/rpc/door.h"

/* Fills in role, key and name. */
void porter_recognize(const struct rpc_door_config *config, struct guest *guest);
/* The same, after his handshake; own: what the server shows at present. */
void porter_recognize_peer(const struct rpc_door_config *config, const struct tls_keyring *own,
                           struct guest *guest);
/* Whether he would be let in as he was, now. */
bool porter_knows_still(const struct rpc_door_config *config, const struct tls_keyring *own,
                        const struct guest *guest);
