/* Where a daemon runs: its loop, its clocks, its chance, its log, its birth and death. In the place
 * of lib/base/loop.c, clock.c, random.c and daemon.c. */
#include <stdio.h>
#include <string.h>

#include "agent/mesh.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/privilege.h"
#include "lib/base/random.h"
#include "tests/sim/sim.h"

#define WALL_START_S 1700000000

/* ---- clocks and chance --------------------------------------------------------------------- */

static const struct host *here(void)
{
    return sim.current ? sim.current->host : sim_control_host();
}

int64_t clock_boot_ms(void)
{
    return sim.now_us / SIM_MS + here()->boot_offset_ms;
}

/* No time passes at work. */
int64_t clock_work_us(void)
{
    return sim.now_us;
}

int64_t clock_unix_s(void)
{
    return WALL_START_S + sim.now_us / SIM_S + here()->wall_offset_s;
}

int64_t clock_unix_ms(void)
{
    return clock_unix_s() * 1000 + sim.now_us / SIM_MS % 1000;
}

uint64_t random_u64(void)
{
    return sim_random();
}

void random_bytes(void *buf, size_t n)
{
    unsigned char *bytes = buf;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)sim_random();
}

void random_hex(char *ret_text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(ret_text + 2 * i, 3, "%02x", (unsigned int)(sim_random() & 0xff));
}

void random_uuid_at(int64_t unix_ms, char ret_text[static UUID_TEXT_SIZE])
{
    uint64_t a = sim_random(), b = sim_random();

    (void)snprintf(ret_text, UUID_TEXT_SIZE, "%08x-%04x-7%03x-8%03x-%012" PRIx64,
                   (unsigned int)((uint64_t)unix_ms >> 16 & 0xffffffff),
                   (unsigned int)(unix_ms & 0xffff), (unsigned int)(a & 0xfff),
                   (unsigned int)(b >> 48 & 0xfff), b & UINT64_C(0xffffffffffff));
}

void random_uuid(char ret_text[static UUID_TEXT_SIZE])
{
    random_uuid_at((int64_t)(sim_random() >> 16), ret_text);
}

/* ---- the log: into the trace --------------------------------------------------------------- */

bool __wrap_log_enabled(enum log_level level);
void __wrap_log_write(enum log_level level, const char *msg, const struct log_field *fields,
                      size_t count);

bool __wrap_log_enabled(enum log_level level)
{
    return sim.config.is_tracing && (!sim.current || !sim.current->is_crashing);
}

void __wrap_log_write(enum log_level level, const char *msg, const struct log_field *fields,
                      size_t count)
{
    char line[4096];
    size_t n = log_format_line(LOG_FORMAT_TEXT, level, msg, fields, count, line, sizeof line);

    sim_trace("%.*s", (int)(n > 0 && line[n - 1] == '\n' ? n - 1 : n), line);
}

/* ---- the loop ------------------------------------------------------------------------------ */

struct loop {
    struct process *process;
    int64_t worst_lag_ms;
    int64_t lag_taken_ms; /* lateness up to then has been told */
};

enum source_kind { SOURCE_TIMER, SOURCE_DEFER, SOURCE_SIGNAL };

struct loop_source {
    struct loop *loop;
    enum source_kind kind;
    loop_fn fn;
    void *data;
    int64_t due_ms;
    struct sim_event *event; /* NULL: not armed */
};

int loop_new(struct loop **ret_loop)
{
    struct loop *loop = NEW(struct loop);

    loop->process = sim.current;
    *ret_loop = loop;
    return 0;
}

void loop_free(struct loop *loop)
{
    free(loop);
}

static int add(struct loop *loop, enum source_kind kind, loop_fn fn, void *data,
               struct loop_source **ret_source)
{
    struct loop_source *s = NEW(struct loop_source);

    *s = (struct loop_source){.loop = loop, .kind = kind, .fn = fn, .data = data};
    *ret_source = s;
    return 0;
}

int loop_add_timer(struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source)
{
    return add(loop, SOURCE_TIMER, fn, data, ret_source);
}

int loop_add_defer(struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source)
{
    return add(loop, SOURCE_DEFER, fn, data, ret_source);
}

int loop_add_signal(struct loop *loop, int signo, loop_fn fn, void *data,
                    struct loop_source **ret_source)
{
    return add(loop, SOURCE_SIGNAL, fn, data, ret_source);
}

static void on_source(void *data)
{
    struct loop_source *s = data;
    int64_t told_ms = s->loop->lag_taken_ms;
    int64_t lag_ms = clock_boot_ms() - (s->due_ms > told_ms ? s->due_ms : told_ms);

    s->event = NULL;
    if (s->kind == SOURCE_TIMER && lag_ms > s->loop->worst_lag_ms)
        s->loop->worst_lag_ms = lag_ms;
    s->fn(s->data);
}

void loop_timer_disarm(struct loop_source *source)
{
    sim_cancel(TAKE_PTR(source->event));
}

/* A timer never comes early, and a little late at most. */
void loop_timer_set_at(struct loop_source *source, int64_t boot_ms)
{
    const struct host *host = source->loop->process->host;
    int64_t at_us = (boot_ms - host->boot_offset_ms) * SIM_MS;

    loop_timer_disarm(source);
    source->due_ms = boot_ms > clock_boot_ms() ? boot_ms : clock_boot_ms();
    source->event =
        sim_at(at_us + sim_between(0, 900), SIM_TIMER, source->loop->process, on_source, source);
}

void loop_timer_set_in(struct loop_source *source, int64_t delay_ms)
{
    loop_timer_set_at(source, clock_boot_ms() + delay_ms);
}

bool loop_timer_is_armed(const struct loop_source *source)
{
    return source->event != NULL;
}

void loop_defer_arm(struct loop_source *source)
{
    if (!source->event)
        source->event = sim_in(0, SIM_LATER, source->loop->process, on_source, source);
}

void loop_source_free(struct loop_source *source)
{
    if (!source)
        return;
    loop_timer_disarm(source);
    free(source);
}

void loop_exit(struct loop *loop, int code)
{
    loop->process->wants_exit = true;
    loop->process->exit_code = code;
}

int64_t loop_take_lag_ms(struct loop *loop)
{
    int64_t lag_ms = loop->worst_lag_ms;

    loop->worst_lag_ms = 0;
    loop->lag_taken_ms = clock_boot_ms();
    return lag_ms;
}

int loop_enable_watchdog(struct loop *loop)
{
    return 0;
}

int loop_run(struct loop *loop)
{
    return err_fail(ENOSYS, "the simulation turns the loops");
}

/* ---- the daemon's skeleton ----------------------------------------------------------------- */

int daemon_init(struct daemon *d, loop_fn stop_fn, void *stop_data)
{
    *d = (struct daemon){.stop_fn = stop_fn, .stop_data = stop_data};
    sim.current->daemon = d;
    return loop_new(&d->loop);
}

void daemon_deinit(struct daemon *d)
{
    loop_free(d->loop);
    *d = (struct daemon){0};
}

void daemon_ready_fields(struct daemon *d, const struct log_field *fields, size_t count)
{
    sim_trace("ready");
}

int daemon_run(struct daemon *d)
{
    return loop_run(d->loop);
}

int privilege_require(unsigned capability, const char *name, const char *hint)
{
    return 0;
}

/* ---- life and death ------------------------------------------------------------------------ */

static void process_begin(struct process *p)
{
    struct host *host = p->host;

    *p = (struct process){.host = host, .is_running = true};
    sim.current = p;
}

static void process_over(struct process *p)
{
    p->is_running = p->is_crashing = false;
    p->daemon = NULL;
    p->stalled_until_us = 0;
}

void control_start(void)
{
    struct process *p = &sim_control_host()->process, *before = sim.current;
    int r;

    process_begin(p);
    sim_trace("control plane starts");
    r = control_init(&sim.control, &sim.control_config);
    if (r != 0) {
        sim_violate("the control plane cannot start: %s", err_text());
        p->is_crashing = true;
        control_deinit(&sim.control);
        process_over(p);
    } else {
        oracle_control_started();
    }
    sim.current = before;
}

void control_end(bool is_crash)
{
    struct process *p = &sim_control_host()->process, *before = sim.current;

    if (!p->is_running)
        return;
    sim_trace("control plane %s", is_crash ? "is killed" : "has ended");
    sim.current = p;
    p->is_crashing = is_crash;
    control_deinit(&sim.control);
    process_over(p);
    sim.current = before;
    network_server_died();
}

void agent_start(struct host *host)
{
    struct process *before = sim.current;

    process_begin(&host->process);
    host->config.host_ip = host->ip;
    sim_trace("agent starts");
    if (agent_init(&host->agent, &host->config) < 0) {
        sim_violate("%s: the agent cannot start: %s", host->name, err_text());
        host->process.is_crashing = true;
        agent_deinit(&host->agent);
        process_over(&host->process);
    } else {
        oracle_agent_born(host);
    }
    sim.current = before;
}

void agent_end(struct host *host, bool is_crash)
{
    struct process *before = sim.current;

    if (!host->process.is_running)
        return;
    sim.current = &host->process;
    sim_trace("agent %s", is_crash ? "is killed" : "has ended");
    host->process.is_crashing = is_crash;
    memcpy(host->last_id, host->agent.state.identity.node_id, sizeof host->last_id);
    agent_deinit(&host->agent);
    process_over(&host->process);
    sim.current = before;
}

void process_stop(struct process *p)
{
    struct process *before = sim.current;

    if (!p->is_running || !p->daemon || p->daemon->is_stopping)
        return;
    sim.current = p;
    sim_trace("SIGTERM");
    p->daemon->is_stopping = true;
    p->daemon->stop_fn(p->daemon->stop_data);
    sim.current = before;
}

bool agent_accept(struct host *host)
{
    struct process *before = sim.current;
    bool is_accepted;

    if (!host->process.is_running)
        return false;
    sim.current = &host->process;
    is_accepted = mesh_accept_cluster(&host->agent);
    sim.current = before;
    if (is_accepted)
        host->lie_until_us = 0; /* the operator has said that it is none */
    return is_accepted;
}

void process_stall(struct process *p, int64_t for_us)
{
    if (!p->is_running || p->stalled_until_us > sim.now_us)
        return;
    sim_trace("%s is stopped for %.1f s", p->host->name, (double)for_us / 1e6);
    p->stalled_until_us = sim.now_us + for_us;
    if (p->host == sim_control_host())
        oracle_control_stalled(for_us);
}

void host_reboot(struct host *host)
{
    sim_trace("%s reboots", host->name);
    kernel_clear(host->kernel);
    host->boot_offset_ms = -sim.now_us / SIM_MS + sim_between(1000, 5000);
}

const char *host_node_id(const struct host *host)
{
    return host->process.is_running ? host->agent.state.identity.node_id : host->last_id;
}
