/* What may be done to a host, and how it is undone. */
#include "tests/sim/hand.h"

#include <stdio.h>

struct host *hand_any_host(void)
{
    return &sim.hosts[sim_between(1, (int64_t)sim.host_count - 1)];
}

uint32_t hand_fresh_ip(void)
{
    return (192U << 24 | 168U << 16) + sim.next_ip++;
}

int64_t hand_seconds(int64_t low, int64_t high)
{
    return sim_between(low * 1000, high * 1000) * SIM_MS;
}

size_t hand_living(void)
{
    size_t count = 0;

    for (size_t i = 1; i < sim.host_count; i++)
        count += !sim.hosts[i].is_gone;
    return count;
}

/* ---- starting again ------------------------------------------------------------------------ */

static void on_agent_restart(void *data)
{
    struct host *host = data;

    host->restart = NULL;
    if (!host->is_gone && !host->process.is_running)
        agent_start(host);
}

void hand_restart_agent_in(struct host *host, int64_t in_us)
{
    sim_cancel(TAKE_PTR(host->restart));
    host->restart = sim_in(in_us, SIM_FIRST, NULL, on_agent_restart, host);
}

static void on_control_restart(void *data)
{
    sim.control_restart = NULL;
    if (!sim_control_host()->process.is_running)
        control_start();
}

void hand_restart_control_in(int64_t in_us)
{
    sim_cancel(TAKE_PTR(sim.control_restart));
    sim.control_restart = sim_in(in_us, SIM_FIRST, NULL, on_control_restart, NULL);
}

static void on_supervisor(void *data);

void hand_supervise(void)
{
    sim.supervisor = sim_in(SIM_S, SIM_LATER, NULL, on_supervisor, NULL);
}

/* As systemd does it: whoever has ended by itself is started again. */
static void on_supervisor(void *data)
{
    hand_supervise();
    if (!sim_control_host()->process.is_running && !sim.control_restart)
        hand_restart_control_in(sim_between(100, 2000) * SIM_MS);
    for (size_t i = 1; i < sim.host_count; i++) {
        struct host *host = &sim.hosts[i];

        if (!host->process.is_running && !host->restart && !host->is_gone)
            hand_restart_agent_in(host, sim_between(100, 2000) * SIM_MS);
    }
}

/* ---- links --------------------------------------------------------------------------------- */

static void on_mended(void *data)
{
    struct host *host = data;

    if (sim.now_us < host->cut_until_us)
        return;
    sim_trace("%s: its link is mended", host->name);
    host->is_cut[WAY_TO_SERVER] = host->is_cut[WAY_TO_CLIENT] = false;
    host->is_cut_from_peers = false;
}

void hand_mend(struct host *host)
{
    host->cut_until_us = sim.now_us;
    on_mended(host);
}

void hand_cut(struct host *host, bool to_server, bool to_client, int64_t for_us)
{
    sim_trace("%s is cut off%s%s for %.1f s", host->name, to_server ? " >" : "",
              to_client ? " <" : "", (double)for_us / 1e6);
    host->is_cut_from_peers = true;
    host->is_cut[WAY_TO_SERVER] |= to_server;
    host->is_cut[WAY_TO_CLIENT] |= to_client;
    if (sim.now_us + for_us > host->cut_until_us)
        host->cut_until_us = sim.now_us + for_us;
    (void)sim_at(host->cut_until_us, SIM_FIRST, NULL, on_mended, host);
}

void hand_cut_from_control(struct host *host, bool to_server, bool to_client, int64_t for_us)
{
    bool is_cut_from_peers = host->is_cut_from_peers;

    hand_cut(host, to_server, to_client, for_us);
    host->is_cut_from_peers = is_cut_from_peers;
    sim_trace("%s: its peers still %s it", host->name, is_cut_from_peers ? "miss" : "reach");
}

/* ---- nodes --------------------------------------------------------------------------------- */

/* Whether it has heard of it or not: from the moment that its token is stored it is that node,
 * until it is told to leave. */
void hand_remember_identity(struct host *host)
{
    if (host->process.is_running && !host->agent.leave && host->keeps_id[0] == '\0')
        (void)snprintf(host->keeps_id, sizeof host->keeps_id, "%s",
                       oracle_token_owner(host->agent.state.new_token, UINT64_MAX));
}

void hand_delete_node(const char *id)
{
    AUTO_FREE char *target = mem_printf("/api/nodes/%s", id);

    network_ask("DELETE", target, NULL);
}
