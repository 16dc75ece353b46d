/* Which process is which node, as it must never be: a part of the oracle.
 *
 * Nobody becomes a node that another living agent is, as long as that one is heard. Who comes after
 * one that has ended is let in, at the latest when the silence has proved it. What a process has
 * asked for that has ended does not undo what a later one on the same host has got.
 */
#include <string.h>

#include "tests/sim/oracle_tables.h"

#define PROOF_US (20 * SIM_S)
/* The control plane counts by its own tick, and forgives itself a little. */
#define PROOF_LIMIT_US (PROOF_US + 5 * SIM_S)

struct birth {
    char instance_id[UUID_TEXT_SIZE];
    size_t host;
    uint64_t number;
    UT_hash_handle hh;
};

static struct birth *births;

static struct birth *find(const char *instance_id)
{
    struct birth *b;

    HASH_FIND_STR(births, instance_id, b);
    return b;
}

void oracle_agent_born(const struct host *host)
{
    struct birth *b = NEW(struct birth);

    memcpy(b->instance_id, host->agent.instance_id, sizeof b->instance_id);
    b->host = host->index;
    b->number = HASH_COUNT(births);
    HASH_ADD_STR(births, instance_id, b);
}

static bool is_alive(const struct birth *b)
{
    const struct host *host = &sim.hosts[b->host];

    return host->process.is_running && strcmp(host->agent.instance_id, b->instance_id) == 0;
}

static void check_taken(const struct node *node, const struct birth *old, const struct birth *next)
{
    const struct truth *t = oracle_find(node->facts.api.node_id);

    if (old->host == next->host && next->number < old->number)
        sim_violate("%s goes back to an agent that had ended before the present one began",
                    node->facts.api.hostname);
    if (old->host == next->host || !is_alive(old) || !t || !t->facts.api.is_up)
        return;
    if (oracle_silence_us(t) < PROOF_US - ROUNDING_US)
        sim_violate("%s becomes somebody else %.3f s after its agent was heard",
                    node->facts.api.hostname, (double)oracle_silence_us(t) / 1e6);
    if (node->suitor.is_twin && strcmp(node->suitor.instance_id, next->instance_id) == 0)
        sim_violate("%s becomes somebody who is known to be its twin", node->facts.api.hostname);
}

static void check_refused(const struct node *node)
{
    const struct truth *t = oracle_find(node->facts.api.node_id);

    if (t && !node->suitor.is_twin && oracle_calm_silence_us(t) > PROOF_LIMIT_US)
        sim_violate("%s is kept out by an agent that has been silent for %.1f s",
                    node->facts.api.hostname, (double)oracle_calm_silence_us(t) / 1e6);
}

void oracle_judged_suitor(const struct node *node, const char *instance_id,
                          enum registry_outcome outcome)
{
    const struct birth *old = find(node->facts.instance_id), *next = find(instance_id);

    if (outcome == REGISTRY_TWIN)
        check_refused(node);
    if (outcome != REGISTRY_READY || !old || !next || old == next)
        return;
    sim_trace("%s is the agent of %s from now on", sim.hosts[next->host].name,
              node->facts.api.node_id);
    check_taken(node, old, next);
}

void oracle_twin_deinit(void)
{
    struct birth *b, *next;

    HASH_ITER (hh, births, b, next) {
        HASH_DEL(births, b);
        free(b);
    }
}
