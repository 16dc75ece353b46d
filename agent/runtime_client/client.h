/* The agent's side of the runtime's gRPC API: gives the node its network, has routes injected and
 * removed. The runtime may be away at any time; then nothing is queued for it: once it is back the
 * overlay looks again and finds what is to be done.
 *
 *     IDLE -- configure --> CONFIGURING -- ok --> READY -- probe every 5 s
 *                             ^   |  '- in band -> REFUSED (asked again, more and more seldom)
 *                             |   '--- no answer -> AWAY (100 ms..2 s)
 *                             '-----------------------'
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/overlay/diff.h"
#include "lib/base/loop.h"
#include "lib/rpc/client.h"

struct runtime_client_config {
    struct loop *loop;
    const char *target; /* "http://127.0.0.1:50051", "https://...", "unix:PATH"; borrowed */
    const struct rpc_client_tls *tls; /* for https://; borrowed while it is being made */
    const char *via_interface;
    /* Look at the routes again: all calls are done, or the runtime is back, or it is time to try
     * again what failed. */
    void (*look)(void *data);
    /* So many routes the runtime has stored, heard with each probe. */
    void (*heard_routes)(void *data, size_t count);
    void *data;
};

struct runtime_client;

int runtime_client_new(const struct runtime_client_config *config,
                       struct runtime_client **ret_client);
void runtime_client_free(struct runtime_client *client);

/* The node's network, from now on. */
void runtime_client_configure(struct runtime_client *client, struct ip4_prefix subnet,
                              struct ip4_prefix cluster_cidr);

/* Has these routes added, replaced or removed. Those under way already, or that failed a moment
 * ago, are passed over; they come again with the next look. */
void runtime_client_routes(struct runtime_client *client, const struct overlay_change *changes,
                           size_t count);

/* Whether routes can be changed at present. */
bool runtime_client_is_ready(const struct runtime_client *client);
/* Whether route calls are under way. */
bool runtime_client_is_busy(const struct runtime_client *client);

/* Why the latest call for this route failed, or NULL. */
const char *runtime_client_route_problem(const struct runtime_client *client,
                                         struct ip4_prefix dst);

struct runtime_client_status {
    bool is_connected;
    bool is_ready;
    const char *problem; /* "": none */
    uint64_t calls, calls_failed;
};
void runtime_client_status(const struct runtime_client *client, struct runtime_client_status *ret);

/* Leaves the mesh: the runtime removes all that it owns. done gets NULL, or why it failed; no
 * routes are changed any more. */
typedef void (*runtime_left_fn)(const char *problem, void *data);
void runtime_client_leave(struct runtime_client *client, int64_t timeout_ms, runtime_left_fn done,
                          void *data);
