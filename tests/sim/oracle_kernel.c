/* What agents write to their kernels: only what can be, and only for reasons. */
#include "agent/overlay/focus.h"
#include "tests/sim/oracle_tables.h"

static void check_target(const struct host *host, const struct overlay_change *change)
{
    const struct cluster_options *cluster = &sim.control_config.cluster;
    struct ip4_prefix subnet = {.addr = change->addr, .len = cluster->node_prefix_len};
    char text[IP4_TEXT_SIZE];

    (void)ip4_format(change->addr, text);
    if (change->object == OVERLAY_ROUTE && change->prefix_len != subnet.len)
        sim_violate("%s: a route to %s/%u", host->name, text, change->prefix_len);
    if (!ip4_prefix_covers(cluster->cidr, subnet))
        sim_violate("%s: %s, outside of the cluster", host->name, text);
    if (ip4_prefix_equal(subnet, host->agent.state.identity.subnet))
        sim_violate("%s: a way to its own subnet %s", host->name, text);
}

/* One that a list lacks is doubted, and gives way to one that it has. What is no node's network is
 * nobody's claim. */
static size_t count_claimants(const struct host *host, uint32_t network)
{
    const uint8_t node_len = sim.control_config.cluster.node_prefix_len;
    const struct peer *peer, *next;
    size_t count = 0;

    HASH_ITER (hh, host->agent.peers.by_id, peer, next)
        count += peer->node.is_up && !peer->is_missing && peer->node.subnet.addr == network &&
                 peer->node.subnet.len == node_len && peer->node.host_ip != host->ip;
    return count;
}

static void check_remote(const struct host *host, const struct overlay_change *change)
{
    uint32_t key[2] = {focus_vtep_of(change), change->remote};
    char subnet[IP4_TEXT_SIZE], remote[IP4_TEXT_SIZE];
    struct pair *pair;

    (void)ip4_format(key[0], subnet);
    (void)ip4_format(key[1], remote);
    if (change->remote == host->ip)
        sim_violate("%s: packets for %s go to itself", host->name, subnet);
    if (count_claimants(host, key[0]) > 1)
        sim_violate("%s: one of two nodes that claim %s gets its packets", host->name, subnet);
    HASH_FIND(hh, sim.oracle->pairs, key, sizeof key, pair);
    if (!pair)
        sim_violate("%s: packets for %s go to %s, which never had it", host->name, subnet, remote);
}

/* The node that really has this network, if it is up and has been for a while. */
static const struct truth *steady_owner(uint32_t network)
{
    const struct cluster_options *cluster = &sim.control_config.cluster;
    struct ip4_prefix subnet = {.addr = network, .len = cluster->node_prefix_len};
    const struct truth *t;

    if (!ip4_prefix_covers(cluster->cidr, subnet))
        return NULL;
    t = oracle_find(oracle_lease_of(subnet)->owner);
    return t && t->facts.api.is_up && sim.now_us - t->up_us > 120 * SIM_S ? t : NULL;
}

/* What is remembered may be older than what is in the kernel; and later it goes for a reason. */
static void check_removal(const struct host *host, const struct overlay_change *change)
{
    uint32_t network = focus_vtep_of(change);
    char text[IP4_TEXT_SIZE];

    if (network == host->agent.state.identity.subnet.addr)
        return;
    if (!host->agent.peers.is_told)
        sim_violate("%s: %s of %s is removed before any list was believed", host->name,
                    overlay_object_name(change->object), ip4_format(network, text));
    if (change->object == OVERLAY_ROUTE && sim.now_us < host->lie_until_us && steady_owner(network))
        sim_violate("%s: a list that lied has removed the route to %s", host->name,
                    steady_owner(network)->facts.api.hostname);
}

void oracle_kernel_write(struct host *host, const struct overlay_change *change)
{
    bool is_removal = change->verb == OVERLAY_REMOVE;

    if (host->index == sim.host_count) /* a twin's, which is in no mesh */
        return;
    if (sim.oracle->is_silence_expected)
        sim_violate("%s: %s %s in its kernel while nothing had happened", host->name,
                    overlay_verb_name(change->verb), overlay_object_name(change->object));
    if (!is_removal && (change->object == OVERLAY_ROUTE || change->object == OVERLAY_NEIGH))
        check_target(host, change);
    if (!is_removal && change->object == OVERLAY_FDB)
        check_remote(host, change);
    if (is_removal && change->object >= OVERLAY_NEIGH)
        check_removal(host, change);
}

void oracle_expect_silence(bool is_silent)
{
    sim_trace("silence is %sexpected", is_silent ? "" : "not ");
    sim.oracle->is_silence_expected = is_silent;
}
