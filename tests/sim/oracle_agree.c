/* Whether all agree: each living agent is an up node, and reaches every other one. */
#include <string.h>

#include "lib/base/list.h"
#include "tests/sim/oracle_tables.h"

static int by_subnet(const void *a, const void *b)
{
    uint32_t x = (*(struct node *const *)a)->facts.api.subnet.addr;
    uint32_t y = (*(struct node *const *)b)->facts.api.subnet.addr;

    return (x > y) - (x < y);
}

static char *check_peers(const struct host *host, struct node *const *up, size_t count)
{
    struct overlay_have have = host->kernel->have;
    size_t k = 0;

    overlay_have_sort(&have);
    if (have.route_count != count - 1 || have.neigh_count != count - 1 ||
        have.fdb_count != count - 1)
        return mem_printf("%s has %zu routes, %zu neighbours and %zu forwarding entries for %zu "
                          "peers",
                          host->name, have.route_count, have.neigh_count, have.fdb_count,
                          count - 1);
    for (size_t i = 0; i < count; i++) {
        const struct api_node *node = &up[i]->facts.api;

        if (strcmp(node->node_id, host->agent.state.identity.node_id) == 0)
            continue;
        if (have.routes[k].dst.addr != node->subnet.addr ||
            have.neighs[k].addr != node->subnet.addr || have.fdbs[k].remote != node->host_ip)
            return mem_printf("%s does not reach %s", host->name, node->hostname);
        k++;
    }
    return NULL;
}

static char *check_host(const struct host *host, struct node *const *up, size_t count)
{
    const struct api_register_reply *me = &host->agent.state.identity;
    struct control_client_status control;
    const struct node *node;

    if (host->is_gone)
        return NULL;
    if (!host->process.is_running)
        return mem_printf("%s is not there", host->name);
    if (host->process.stalled_until_us > sim.now_us)
        return mem_printf("%s is stopped", host->name);
    if (host->keeps_id[0] && oracle_find(host->keeps_id) &&
        strcmp(host->keeps_id, me->node_id) != 0)
        return mem_printf("%s was %s and is %s now", host->name, host->keeps_id, me->node_id);
    node = registry_find(&sim.control.registry, me->node_id);
    if (!node || !node->facts.api.is_up)
        return mem_printf("%s is %s", host->name, node ? "down" : "unknown");
    if (node->facts.api.host_ip != host->ip ||
        !ip4_prefix_equal(node->facts.api.subnet, me->subnet))
        return mem_printf("%s is known in another way", host->name);
    if (strcmp(node->facts.instance_id, host->agent.instance_id) != 0)
        return mem_printf("%s is another agent", host->name);
    control_client_status(host->agent.control, &control);
    if (control.is_twin)
        return mem_printf("%s is taken for a twin", host->name);
    if (host->agent.peers.missing_count > 0)
        return mem_printf("%s doubts the list of nodes", host->name);
    return check_peers(host, up, count);
}

static size_t living_agents(void)
{
    size_t count = 0;

    for (size_t i = 1; i < sim.host_count; i++)
        count += !sim.hosts[i].is_gone;
    return count;
}

bool oracle_is_converged(char **ret_why)
{
    const struct registry *r = &sim.control.registry;
    AUTO_FREE struct node **up = mem_array(r->count + 1, sizeof *up);
    size_t count = 0;
    struct node *node;
    char *why = NULL;

    DL_FOREACH(r->first, node)
    {
        if (node->facts.api.is_up)
            up[count++] = node;
    }
    if (count != living_agents()) {
        *ret_why = mem_printf("%zu nodes are up, %zu agents live", count, living_agents());
        return false;
    }
    if (count > 1)
        qsort(up, count, sizeof(struct node *), by_subnet);
    for (size_t i = 1; i < sim.host_count && !why; i++)
        why = check_host(&sim.hosts[i], up, count);
    *ret_why = why;
    return !why;
}
