/* The probes' sockets: what is asked arrives where the link is not cut, and the kernel of a host
 * answers as long as the host lives, its agent when it runs. */
#include "agent/probe/wire.h"

#include "agent/overlay/have.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/list.h"
#include "tests/sim/sim.h"

struct probe_wire {
    struct probe_wire_config config;
    struct process *process;
    struct pending *pending;
};

struct pending {
    struct probe_wire *wire;
    uint32_t from;
    uint64_t nonce;
    uint32_t ip_bytes;
    struct sim_event *event;
    struct pending *prev, *next;
};

int probe_wire_new(const struct probe_wire_config *config, struct probe_wire **ret_wire)
{
    struct probe_wire *w;

    if (!sim.has_probes)
        return err_fail(EPERM, "no sockets for probes in this seed");
    w = NEW(struct probe_wire);
    w->config = *config;
    w->process = sim.current;
    *ret_wire = w;
    return 0;
}

static void forget(struct pending *p)
{
    DL_DELETE(p->wire->pending, p);
    free(p);
}

void probe_wire_free(struct probe_wire *w)
{
    struct pending *p, *next;

    if (!w)
        return;
    DL_FOREACH_SAFE(w->pending, p, next)
    {
        sim_cancel(p->event);
        forget(p);
    }
    free(w);
}

int probe_wire_set_vtep(struct probe_wire *w, uint32_t vtep)
{
    return 0;
}

const char *probe_wire_echo_problem(const struct probe_wire *w)
{
    return NULL;
}

void probe_wire_drain(struct probe_wire *w)
{
}

static uint32_t vtep_of(const struct host *host)
{
    return host->agent.state.identity.subnet.addr;
}

/* Where a host's kernel sends what is for a VTEP; 0: nowhere. */
static uint32_t remote_of(const struct host *host, uint32_t vtep)
{
    const struct overlay_have *have = &host->kernel->have;

    for (size_t i = 0; i < have->fdb_count; i++)
        if (mac_equal(have->fdbs[i].mac, mac_from_ip4(vtep)))
            return have->fdbs[i].remote;
    return 0;
}

/* Through the overlay both must know each other, at the addresses they have. */
static bool is_at(const struct host *host, uint32_t addr, bool is_overlay, const struct host *from)
{
    if (!is_overlay)
        return host->ip == addr;
    return vtep_of(host) == addr && remote_of(from, addr) == host->ip &&
           remote_of(host, vtep_of(from)) == from->ip;
}

/* The host that answers at this address; of two the one that is there. */
static struct host *find_host(uint32_t addr, bool is_overlay, const struct host *from)
{
    for (size_t i = 1; i <= sim.host_count; i++) {
        struct host *host = &sim.hosts[i];

        if (!host->is_gone && !host->is_cut_from_peers && is_at(host, addr, is_overlay, from))
            return host;
    }
    return NULL;
}

static void on_answer(void *data)
{
    struct pending *p = data;
    const struct probe_wire_config *config = &p->wire->config;
    struct pending copy = *p;

    forget(p);
    config->answered(config->data, copy.from, copy.nonce, copy.ip_bytes);
    config->drained(config->data);
}

void probe_wire_send(struct probe_wire *w, enum probe_way way, uint32_t addr, uint64_t nonce,
                     uint32_t ip_bytes)
{
    bool is_overlay = way == PROBE_VTEP_ECHO || way == PROBE_VTEP_UDP;
    bool is_echo = way == PROBE_HOST_ECHO || way == PROBE_VTEP_ECHO;
    struct host *to = find_host(addr, is_overlay, w->process->host);
    struct pending *p;
    int64_t delay_us;

    if (!to || w->process->host->is_cut_from_peers ||
        (!is_echo && (!to->process.is_running || to->process.stalled_until_us > sim.now_us)))
        return;
    p = NEW(struct pending);
    delay_us = to->delay_us + w->process->host->delay_us;
    *p = (struct pending){.wire = w, .from = addr, .nonce = nonce, .ip_bytes = ip_bytes};
    DL_APPEND(w->pending, p);
    p->event = sim_in(delay_us, SIM_MESSAGE, w->process, on_answer, p);
}
