/* What the runtime remembers across restarts, and the changes that requests make to it. Pure.
 *
 * A change is made on a copy (state_copy), the copy is stored, and only then takes the place of the
 * old one and reaches the kernel: what was answered is on disk, and what could not be stored has
 * not happened.
 */
#pragma once

#include "lib/api/mesh.h"
#include "lib/base/json.h"
#include "runtime/endpoints.h"
#include "runtime/ipam.h"
#include "runtime/routes.h"

#define STATE_FORMAT 1
#define STATE_BOOT_ID_SIZE 37

struct state {
    char boot_id[STATE_BOOT_ID_SIZE]; /* of the kernel the endpoints live in */
    struct ip4_prefix cluster;
    struct ip4_prefix subnet; /* len 0: not configured yet */
    uint32_t mtu_bytes;       /* of the overlay device when it was last seen; 0: never */
    struct ipam ipam;         /* of the subnet */
    struct endpoint_table endpoints;
    struct route_table routes;
};

void state_init(struct state *state, const char *boot_id);
void state_deinit(struct state *state);
void state_copy(struct state *state, const struct state *from);

bool state_is_configured(const struct state *state);
/* The prefix length of the networks that nodes have in this cluster. */
uint8_t state_node_len(const struct state *state);

enum state_outcome { STATE_UNCHANGED = 1 };

/* Takes the node's subnet over; routes that no longer fit are forgotten. 0, STATE_UNCHANGED, or
 * -EBUSY while endpoints hold addresses. */
int state_configure(struct state *state, struct ip4_prefix subnet, struct ip4_prefix cluster);

/* A new endpoint (addr 0: any address), or the known one moved to another namespace. The endpoint
 * keeps its address unless another one is asked for. 0; -ENOSPC, -EADDRINUSE, -ERANGE, -ENOTCONN
 * (no subnet yet), -EBUSY (the namespace is connected already) with a text; in that case the state
 * is as it was. */
int state_attach(struct state *state, const struct endpoint *wanted, int64_t now_ms,
                 const struct endpoint **ret_endpoint);
/* Forgets it and lets its address rest; nothing when there is none. */
void state_detach(struct state *state, const char *id, const char *ifname, int64_t now_ms);

/* Enters an endpoint that the kernel has and the state lacks, after state was lost. 0, or -EEXIST
 * when its key or address is another's. */
int state_adopt(struct state *state, const struct endpoint *endpoint);

/* A later boot: nothing that was connected exists any more. Routes stay: they say what the mesh
 * looked like, the overlay comes up from them before the control plane can be reached. Returns the
 * number of endpoints released. */
size_t state_begin_boot(struct state *state, const char *boot_id);

json_t *state_to_json(const struct state *state);
/* What makes one state the other: {"routes":[...],"removed":["10.42.2.0/24"]}. NULL when more than
 * routes differ: then all of it is to be saved. Caller frees. */
char *state_change_to_json(const struct state *from, const struct state *to);
/* Makes such a change. -EINVAL with a text, the state as it was. */
int state_change_from_json(const json_t *json, struct state *state);
/* -EINVAL with a text that names the field; *ret_state is an owned state on success. */
int state_from_json(const json_t *json, struct state *ret_state);
