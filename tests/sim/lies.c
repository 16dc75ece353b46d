/* A list that is not true, as an agent gets it from a control plane that has lost its mind. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/hand.h"
#include "tests/sim/sim.h"

/* It is believed in part once what speaks against it has changed: its twin is gone, our own address
 * is another. */
static void add_false_node(struct strbuf *out, const char *hostname, uint32_t ip,
                           struct ip4_prefix subnet)
{
    struct api_node node = {.host_ip = ip,
                            .subnet = subnet,
                            .cpu_cores = -1,
                            .ram_mb = -1,
                            .is_up = true,
                            .registered_at = 1,
                            .last_heartbeat = 1};

    random_uuid(node.node_id);
    (void)snprintf(node.hostname, sizeof node.hostname, "%s", hostname);
    strbuf_adds(out, ",");
    api_node_to_json(&node, out, NULL);
    if (ip4_prefix_covers(sim.control_config.cluster.cidr, subnet) && subnet.len == 24)
        oracle_note_pair(subnet.addr, ip);
}

static struct api_node *first_up(void)
{
    struct node *node = sim.control.registry.first;

    while (node && !node->facts.api.is_up)
        node = node->next;
    return node ? &node->facts.api : NULL;
}

/* The true list, and nodes that cannot be. */
static char *mad_list(struct host *host)
{
    const struct ip4_prefix mine = host->agent.state.identity.subnet;
    const struct api_node *other = first_up();
    struct strbuf out = {0};

    registry_list_to_json(&sim.control.registry, &out);
    if (!other || !host->agent.has_identity)
        return strbuf_take(&out);
    out.len = (size_t)(strstr(out.data, "],\"cluster_id\"") - out.data);
    add_false_node(&out, "mine", hand_fresh_ip(), mine);
    add_false_node(&out, "outside", hand_fresh_ip(),
                   (struct ip4_prefix){.addr = 8U << 24, .len = 24});
    add_false_node(&out, "large", hand_fresh_ip(),
                   (struct ip4_prefix){.addr = mine.addr & 0xffffc000, .len = 18});
    add_false_node(&out, "my-address", host->ip,
                   (struct ip4_prefix){.addr = mine.addr + 256, .len = 24});
    add_false_node(&out, "twin", hand_fresh_ip(), other->subnet);
    strbuf_adds(&out, "]}");
    return strbuf_take(&out);
}

char *nemesis_lie(struct host *host)
{
    bool is_empty = sim.story != STORY_CHAOS || sim_percent(60);

    host->is_lie_due = false;
    sim_trace("%s is lied to: %s", host->name, is_empty ? "nobody is there" : "a mad list");
    host->lie_until_us = 0; /* two that claim one subnet both lose it */
    if (!is_empty)
        return mad_list(host);
    /* Whoever has a route to remove already will do so when its runtime is back. */
    if (!host->kernel->is_runtime_away &&
        host->kernel->have.route_count == host->agent.peers.wanted_count)
        host->lie_until_us = sim.now_us + 90 * SIM_S;
    return mem_strdup("{\"nodes\":[]}");
}
