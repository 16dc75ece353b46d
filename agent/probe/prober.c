/* Probes the peers, and answers theirs. */
#include "agent/probe/prober.h"

#include <string.h>

#include "agent/probe/wire.h"
#include "lib/base/backoff.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"

#define NAMES_MAX 5

struct prober {
    struct prober_config config;
    uint32_t vtep;
    struct probe_wire *wire; /* NULL: there are no sockets */
    struct loop_source *timer;
    struct loop_source *reopen; /* sockets that could not be had */
    struct backoff pauses;
    struct probes probes;
    struct responder responder;
    size_t lost; /* as said last */
    char *problem;
};

/* Said once for each change. */
static void note_problem(struct prober *p, int r)
{
    const char *text = r < 0 ? err_text() : NULL;

    if (text && p->problem && strcmp(p->problem, text) == 0)
        return;
    if (text)
        log_warn("peers cannot be probed", LOG_ERR());
    else if (p->problem)
        log_info("peers can be probed again", LOG_S("was", p->problem));
    free(p->problem);
    p->problem = text ? mem_strdup(text) : NULL;
}

/* ---- the rim ------------------------------------------------------------------------------- */

static void send_probe(void *data, enum probe_way way, uint32_t addr, uint64_t nonce,
                       uint32_t ip_bytes)
{
    struct prober *p = data;

    p->probes.sent++;
    probe_wire_send(p->wire, way, addr, nonce, ip_bytes);
}

static struct probe_now now(void)
{
    return (struct probe_now){.boot_ms = clock_boot_ms(), .work_us = clock_work_us()};
}

static void on_answered(void *data, uint32_t from, uint64_t nonce, uint32_t ip_bytes)
{
    struct prober *p = data;

    probes_take_answer(&p->probes, from, nonce, ip_bytes, now());
}

static bool on_admit(void *data, uint32_t from)
{
    struct prober *p = data;

    return responder_admit(&p->responder, from, clock_boot_ms());
}

/* "192.168.1.11, 192.168.1.12"; a few. Caller frees. */
static char *list_lost(const struct probes *probes)
{
    struct strbuf out = {0};
    size_t named = 0;
    char text[IP4_TEXT_SIZE];

    strbuf_adds(&out, "");
    for (size_t i = 0; i < probes->watched_count && named <= NAMES_MAX; i++) {
        if (!probes->tracks[i].is_lost)
            continue;
        strbuf_addf(&out, "%s%s", named > 0 ? ", " : "",
                    named < NAMES_MAX ? ip4_format(probes->tracks[i].target.host_ip, text) : "...");
        named++;
    }
    return strbuf_take(&out);
}

static void tell_lost(struct prober *p)
{
    size_t lost = probes_count_lost(&p->probes);
    AUTO_FREE char *hosts = NULL;

    if (lost == p->lost)
        return;
    hosts = list_lost(&p->probes);
    log_at(lost > p->lost ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
           lost > p->lost ? "a peer does not answer any more" : "peers answer again",
           LOG_U("lost", lost), LOG_U("watched", p->probes.watched_count),
           LOG_S("silent_hosts", hosts));
    p->lost = lost;
    p->config.changed(p->config.data);
}

static void tell_sizes(struct prober *p)
{
    if (!p->probes.has_sizes)
        return;
    p->probes.has_sizes = false;
    p->config.sized(p->config.data);
}

static void set_timer(struct prober *p, int64_t due_ms)
{
    if (due_ms == INT64_MAX)
        loop_timer_disarm(p->timer);
    else
        loop_timer_set_at(p->timer, due_ms);
}

/* What has come in is read before anything is missed. */
static void run(struct prober *p)
{
    probe_wire_drain(p->wire);
    set_timer(p, probes_run(&p->probes, now(), send_probe, p));
    tell_lost(p);
    tell_sizes(p);
}

static void on_timer(void *data)
{
    run(data);
}

static void on_drained(void *data)
{
    struct prober *p = data;

    set_timer(p, probes_due_ms(&p->probes));
    tell_lost(p);
    tell_sizes(p);
}

static int open_wire(struct prober *p)
{
    const struct probe_wire_config config = {.loop = p->config.loop,
                                             .host_ip = p->config.host_ip,
                                             .answered = on_answered,
                                             .admit = on_admit,
                                             .drained = on_drained,
                                             .data = p};
    int r;

    r = probe_wire_new(&config, &p->wire);
    if (r == 0 && probe_wire_echo_problem(p->wire))
        log_warn("peers cannot be pinged, so a dead one is down only after the node timeout",
                 LOG_S("problem", probe_wire_echo_problem(p->wire)));
    return r;
}

/* And again after a while, until all are there. */
static void open_sockets(struct prober *p)
{
    int r = p->wire ? 0 : open_wire(p);

    if (r == 0)
        r = probe_wire_set_vtep(p->wire, p->vtep);
    note_problem(p, r);
    if (r == 0)
        backoff_reset(&p->pauses);
    else
        loop_timer_set_in(p->reopen, backoff_next_ms(&p->pauses, random_u64()));
}

static void on_reopen(void *data)
{
    struct prober *p = data;

    open_sockets(p);
    if (p->wire)
        run(p);
}

/* ---- whom ---------------------------------------------------------------------------------- */

static void set_sources(struct prober *p, const struct probe_target *targets, size_t count)
{
    struct responder_source *sources = mem_array(2 * count + 1, sizeof *sources);

    for (size_t i = 0; i < count; i++) {
        sources[2 * i] = (struct responder_source){.addr = targets[i].host_ip, .uses = 1};
        sources[2 * i + 1] = (struct responder_source){
            .addr = targets[i].vtep, .host_ip = targets[i].host_ip, .uses = 1};
    }
    responder_set_sources(&p->responder, sources, 2 * count);
}

void prober_set_peers(struct prober *p, uint32_t vtep, struct probe_target *targets, size_t count)
{
    AUTO_FREE struct probe_target *owned = targets;

    set_sources(p, owned, count);
    probes_set_targets(&p->probes, owned, count, clock_boot_ms());
    if (vtep != p->vtep) {
        p->vtep = vtep;
        open_sockets(p);
    }
    if (p->wire)
        run(p);
}

bool prober_put_peer(struct prober *p, const struct probe_target *target)
{
    p->probes.target_count += responder_put(&p->responder, target->vtep, target->host_ip);
    return probes_is_far(&p->probes, target);
}

bool prober_drop_peer(struct prober *p, uint32_t vtep)
{
    p->probes.target_count -= responder_drop(&p->responder, vtep);
    return probes_is_far(&p->probes, &(struct probe_target){.vtep = vtep, .distance = UINT64_MAX});
}

struct probes *prober_probes(struct prober *p)
{
    return &p->probes;
}

const struct responder *prober_responder(const struct prober *p)
{
    return &p->responder;
}

const char *prober_problem(const struct prober *p)
{
    return p->problem ? p->problem : p->wire ? probe_wire_echo_problem(p->wire) : NULL;
}

/* ---- life ---------------------------------------------------------------------------------- */

int prober_new(const struct prober_config *config, struct prober **ret_prober)
{
    struct prober *p = NEW(struct prober);
    int r = loop_add_timer(config->loop, on_timer, p, &p->timer);

    p->config = *config;
    p->pauses = (struct backoff){.min_ms = 100, .base_ms = 200, .max_ms = 30000};
    if (r == 0)
        r = loop_add_timer(config->loop, on_reopen, p, &p->reopen);
    if (r < 0) {
        prober_free(p);
        return r;
    }
    open_sockets(p);
    *ret_prober = p;
    return 0;
}

void prober_free(struct prober *p)
{
    if (!p)
        return;
    probe_wire_free(p->wire);
    loop_source_free(p->reopen);
    loop_source_free(p->timer);
    probes_deinit(&p->probes);
    responder_deinit(&p->responder);
    free(p->problem);
    free(p);
}
