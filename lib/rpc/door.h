/* The door before gRPC core: listens, finds out who comes, and lets him into the room of his role.
 * Internal to lib/rpc.
 *
 * At most 256 connections are there at once, at most 192 of them of others than masters, of one of
 * these (a uid, an address) at most 64. When descriptors run out, one that is kept for it takes the
 * next connection in, only to close it.
 *
 * Over TLS nobody is known before the handshake is over. At most 64 are at it at once; who comes
 * then takes the place of the oldest one of the address that has most of them.
 */
#pragma once

#include "lib/rpc/address.h"
#include "lib/rpc/guest.h"
#include "lib/rpc/server.h"
#include "lib/rpc/warden.h"

struct rpc_door_config {
    struct loop *loop;
    const struct rpc_listen *listen; /* borrowed */
    rpc_find_uid_fn find_uid;        /* NULL: every guest of plain TCP is a master */
    const struct rpc_tls *tls;       /* NULL: none; borrowed */
    void *find_data;                 /* of both */
    /* A connected socket for the core. */
    void (*let_in)(void *data, enum rpc_role role, int fd);
    void *data;
};

/* -EADDRINUSE and the like, when it cannot listen; with TLS also as tls_keyring_load(). */
int rpc_door_new(const struct rpc_door_config *config, struct rpc_door **ret_door);
/* Nobody comes in any more; who is inside stays. */
void rpc_door_shut(struct rpc_door *door);
/* What gRPC core has said last is passed on, as far as it can be at once. */
void rpc_door_free(struct rpc_door *door);
int rpc_door_port(const struct rpc_door *door);
const struct rpc_figures *rpc_door_figures(const struct rpc_door *door);

/* ---- for guest.c ---------------------------------------------------------------------------- */

struct loop *door_loop(const struct rpc_door *door);
/* The guest's handshake is over: he is known from now on. GUEST_STAYS, or GUEST_TURNED_AWAY. */
int door_recognize(struct rpc_door *door, struct guest *guest);
void door_let_in(struct rpc_door *door, const struct guest *guest, int fd);
/* What guest_pump() has said. The guest may be gone after. */
void door_tell(struct rpc_door *door, struct guest *guest, int end);
