/* Carries a client's bytes to a server over TLS, for gRPC core, which has no TLS here: that would
 * bring a second library for it, and 2 MiB into the agent. Internal to lib/rpc.
 *
 *                     out: 8 KiB
 *     our end of a ───────────────> TLS on a socket ═══ server
 *     socketpair   <───────────────
 *     with the core   in: 8 KiB
 *
 * One connection; when it has ended there is need of another courier.
 */
#pragma once

#include "lib/rpc/address.h"
#include "lib/tls/keyring.h"

struct rpc_courier;

struct rpc_courier_config {
    struct loop *loop;
    const struct rpc_target *target; /* read, not kept */
    struct tls_keyring *keyring;     /* what is shown; gets a reference */
    bool is_own_node;                /* the server has to be the node that the keyring is of */
};

/* Begins to connect; within 5 s it has to be done, and the server believed. *ret_core_fd: for the
 * core. */
int rpc_courier_new(const struct rpc_courier_config *config, struct rpc_courier **ret_courier,
                    int *ret_core_fd);
void rpc_courier_free(struct rpc_courier *courier);
bool rpc_courier_has_ended(const struct rpc_courier *courier);
/* Why, for people; NULL while it goes on. */
const char *rpc_courier_problem(const struct rpc_courier *courier);
