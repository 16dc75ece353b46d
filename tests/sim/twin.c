/* A copy of a host, made while that one runs: with the same state file, on another machine, at the
 * same address or another one. It is no host of the mesh's: nobody waits for it to agree. */
#include <string.h>

#include "tests/sim/hand.h"

/* A place of its own behind all hosts. */
static struct host *twin(void)
{
    return &sim.hosts[sim.host_count];
}

static void on_over(void *data)
{
    sim.twin_end = NULL;
    twin_end();
}

void twin_start(struct host *of, bool has_same_address, int64_t for_us)
{
    struct host *host = twin();

    if (sim.twin_end || !of->process.is_running || !of->state_text)
        return;
    sim_trace("%s gets a twin for %.1f s", of->name, (double)for_us / 1e6);
    host->index = sim.host_count;
    host->process.host = host;
    (void)snprintf(host->name, sizeof host->name, "twin");
    host->boot_offset_ms = sim_between(1000, 100000000);
    host->delay_us = sim_between(50, 5000);
    host->ip = has_same_address ? of->ip : hand_fresh_ip();
    host->kernel = kernel_new();
    host->config = of->config;
    host->state_text = mem_strdup(of->state_text);
    host->state_changes = of->state_changes ? mem_strdup(of->state_changes) : NULL;
    host->is_gone = false;
    sim.twin_end = sim_in(for_us, SIM_FIRST, NULL, on_over, NULL);
    agent_start(host);
}

void twin_end(void)
{
    struct host *host = twin();

    sim_cancel(TAKE_PTR(sim.twin_end));
    agent_end(host, true);
    host->is_gone = true;
    kernel_free(TAKE_PTR(host->kernel));
    free(TAKE_PTR(host->state_text));
    free(TAKE_PTR(host->state_changes));
}
