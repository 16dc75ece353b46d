/* Probes the peers, and answers theirs: sockets and the clock for probes.h and responder.h. */
#pragma once

#include "agent/probe/probes.h"
#include "agent/probe/responder.h"
#include "lib/base/loop.h"

struct prober_config {
    struct loop *loop;
    uint32_t host_ip;
    /* A watched peer is lost, or heard again: whoever judges should know at once. */
    void (*changed)(void *data);
    /* The largest packet that passes to some peer is another. */
    void (*sized)(void *data);
    void *data;
};

struct prober;

/* A socket that cannot be had is no failure: the problem says so, and it is tried again, after
 * growing pauses. */
int prober_new(const struct prober_config *config, struct prober **ret_prober);
void prober_free(struct prober *prober);

/* Who is to be probed, and answered: peers, in any order; and our own VTEP address. Takes targets
 * over (mem_array). */
void prober_set_peers(struct prober *prober, uint32_t vtep, struct probe_target *targets,
                      size_t count);
/* One of them is new, or another than before, or no more. False when those that are probed, the
 * nearest, may be others now: then all are to be set. */
bool prober_put_peer(struct prober *prober, const struct probe_target *target);
bool prober_drop_peer(struct prober *prober, uint32_t vtep);
/* Borrowed, for those who tell of them. */
struct probes *prober_probes(struct prober *prober);
const struct responder *prober_responder(const struct prober *prober);
/* Why something cannot be probed; NULL: all can. */
const char *prober_problem(const struct prober *prober);
