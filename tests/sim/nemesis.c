/* What goes wrong. A seed plays one of four stories:
 *
 *     chaos   anything, at any time; then all is mended and everybody must agree
 *     gentle  restarts, short cuts, stops, clocks that jump: nothing of it may change anything
 *     mass    more than a third fall silent together: nobody may be called down
 *     single  one host dies: it must be down in 30 to 35 s, and come back as who it was
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/list.h"
#include "tests/sim/sim.h"

#define CONVERGE_LIMIT_S 260
#define TEN_YEARS_S 315360000

enum story { STORY_CHAOS, STORY_GENTLE, STORY_MASS, STORY_SINGLE };
static const char *const story_names[] = {"chaos", "gentle", "mass", "single"};

struct nemesis {
    enum story story;
    uint32_t next_ip;
    bool is_active; /* else it only mends */
    struct sim_event *supervisor;
};

static struct host *any_host(void)
{
    return &sim.hosts[sim_between(1, (int64_t)sim.host_count - 1)];
}

static uint32_t fresh_ip(void)
{
    return (192U << 24 | 168U << 16) + sim.nemesis->next_ip++;
}

static size_t living(void)
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

static void restart_agent_in(struct host *host, int64_t in_us)
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

static void restart_control_in(int64_t in_us)
{
    sim_cancel(TAKE_PTR(sim.control_restart));
    sim.control_restart = sim_in(in_us, SIM_FIRST, NULL, on_control_restart, NULL);
}

/* As systemd does it: whoever has ended by itself is started again. */
static void on_supervisor(void *data)
{
    sim.nemesis->supervisor = sim_in(SIM_S, SIM_LATER, NULL, on_supervisor, NULL);
    if (!sim_control_host()->process.is_running && !sim.control_restart)
        restart_control_in(sim_between(100, 2000) * SIM_MS);
    for (size_t i = 1; i < sim.host_count; i++) {
        struct host *host = &sim.hosts[i];

        if (!host->process.is_running && !host->restart && !host->is_gone)
            restart_agent_in(host, sim_between(100, 2000) * SIM_MS);
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
}

static void cut(struct host *host, bool to_server, bool to_client, int64_t for_us)
{
    sim_trace("%s is cut off%s%s for %.1f s", host->name, to_server ? " >" : "",
              to_client ? " <" : "", (double)for_us / 1e6);
    host->is_cut[WAY_TO_SERVER] |= to_server;
    host->is_cut[WAY_TO_CLIENT] |= to_client;
    if (sim.now_us + for_us > host->cut_until_us)
        host->cut_until_us = sim.now_us + for_us;
    (void)sim_at(host->cut_until_us, SIM_FIRST, NULL, on_mended, host);
}

/* ---- what can go wrong --------------------------------------------------------------------- */

static int64_t seconds(int64_t low, int64_t high)
{
    return sim_between(low * 1000, high * 1000) * SIM_MS;
}

static void crash_agent(void)
{
    struct host *host = any_host();

    agent_end(host, sim_percent(70));
    restart_agent_in(host, sim_percent(60) ? seconds(0, 5) : seconds(0, 70));
}

static void remember_identity(struct host *host)
{
    if (host->state_text && host->agent.has_identity &&
        host->agent.state.identity.node_token[0] != '\0' && host->keeps_id[0] == '\0')
        memcpy(host->keeps_id, host->agent.state.identity.node_id, sizeof host->keeps_id);
}

static void move_agent(void)
{
    struct host *host = any_host();

    if (host->is_gone || !host->process.is_running)
        return;
    remember_identity(host);
    agent_end(host, true);
    if (sim_percent(30))
        host_reboot(host);
    host->ip = fresh_ip();
    sim_trace("%s comes with another IP", host->name);
    restart_agent_in(host, seconds(0, 60));
}

/* Two hosts trade addresses while both are away. */
static void swap_addresses(void)
{
    struct host *a = any_host(), *b = any_host();
    uint32_t ip = a->ip;

    if (a == b || a->is_gone || b->is_gone)
        return;
    sim_trace("%s and %s trade addresses", a->name, b->name);
    agent_end(a, true);
    agent_end(b, true);
    a->ip = b->ip;
    b->ip = ip;
    restart_agent_in(a, seconds(0, 60));
    restart_agent_in(b, seconds(0, 60));
}

static void forget_agent(void)
{
    struct host *host = any_host();

    agent_end(host, true);
    sim_trace("%s loses its state file", host->name);
    free(TAKE_PTR(host->state_text));
    host->keeps_id[0] = '\0';
    restart_agent_in(host, seconds(0, 60));
}

static void reboot_agent(void)
{
    struct host *host = any_host();

    agent_end(host, true);
    host_reboot(host);
    restart_agent_in(host, seconds(1, 40));
}

static void cut_agent(void)
{
    unsigned int ways = (unsigned int)sim_between(1, 3);

    cut(any_host(), ways & 1, ways & 2, sim_percent(50) ? seconds(0, 12) : seconds(0, 90));
}

static void cut_many(void)
{
    unsigned int share = (unsigned int)sim_between(10, 100), ways = (unsigned int)sim_between(1, 3);
    int64_t for_us = seconds(1, 100);

    for (size_t i = 1; i < sim.host_count; i++)
        if (sim_percent(share))
            cut(&sim.hosts[i], ways & 1, ways & 2, for_us);
}

static void crash_control(void)
{
    if (sim_percent(70))
        control_end(true);
    else
        process_stop(&sim_control_host()->process);
    restart_control_in(sim_percent(70) ? seconds(0, 3) + SIM_S / 2 : seconds(1, 90));
}

static void stall_control(void)
{
    process_stall(&sim_control_host()->process, sim_percent(50) ? seconds(0, 5) : seconds(5, 70));
}

static void stall_agent(void)
{
    process_stall(&any_host()->process, sim_percent(50) ? seconds(0, 8) : seconds(5, 70));
}

static void jump_clock(void)
{
    struct host *host = &sim.hosts[sim_between(0, (int64_t)sim.host_count - 1)];

    host->wall_offset_s = sim_between(-TEN_YEARS_S, TEN_YEARS_S);
    sim_trace("%s: the wall clock jumps by %" PRId64 " s", host->name, host->wall_offset_s);
}

static void on_disk_has_room(void *data)
{
    disk_set_full(false);
}

static void fill_disk(void)
{
    if (disk_is_full())
        return;
    disk_set_full(true);
    (void)sim_in(seconds(0, 30), SIM_FIRST, NULL, on_disk_has_room, NULL);
}

static void on_disk_is_fast(void *data)
{
    disk_set_delay(SIM_MS, 10 * SIM_MS);
}

static void slow_disk(void)
{
    disk_set_delay(100 * SIM_MS, sim_between(200, 2500) * SIM_MS);
    (void)sim_in(seconds(1, 20), SIM_FIRST, NULL, on_disk_is_fast, NULL);
}

static const char *any_node_id(bool *ret_is_up)
{
    size_t count = oracle_node_count();

    return count == 0 ? NULL
                      : oracle_node_id((size_t)sim_between(0, (int64_t)count - 1), ret_is_up);
}

static void delete_node(const char *id)
{
    AUTO_FREE char *target = mem_printf("/api/nodes/%s", id);

    network_ask("DELETE", target);
}

static void delete_any(void)
{
    bool is_up;
    const char *id = any_node_id(&is_up);

    if (id)
        delete_node(id);
}

static void deregister_any(void)
{
    bool is_up;
    const char *id = any_node_id(&is_up);
    AUTO_FREE char *target = id ? mem_printf("/api/nodes/%s/deregister", id) : NULL;

    if (target)
        network_ask("POST", target);
}

static void lose_host(void)
{
    struct host *host = any_host();

    if (living() < 3 || host->is_gone)
        return;
    sim_trace("%s dies for good", host->name);
    agent_end(host, true);
    host->is_gone = true;
}

static void replace_host(void)
{
    struct host *host = any_host();

    if (!host->is_gone)
        return;
    sim_trace("%s is set up anew", host->name);
    host->is_gone = false;
    free(TAKE_PTR(host->state_text));
    host->keeps_id[0] = '\0';
    kernel_clear(host->kernel);
    host->ip = sim_percent(50) ? fresh_ip() : host->ip;
    restart_agent_in(host, seconds(0, 10));
}

/* Most of the mesh is taken down while the control plane forgets what it told last: whoever was cut
 * off has to believe a list that lacks most of what it knew. */
static void shrink(void)
{
    bool is_up;

    if (living() < 6)
        return;
    for (size_t i = 4; i < sim.host_count; i++) {
        agent_end(&sim.hosts[i], true);
        sim.hosts[i].is_gone = true;
    }
    cut(&sim.hosts[1], true, true, seconds(20, 30));
    for (size_t i = 0; i < oracle_node_count(); i++) {
        const char *id = oracle_node_id(i, &is_up);

        for (size_t h = 4; h < sim.host_count; h++)
            if (strcmp(host_node_id(&sim.hosts[h]), id) == 0)
                delete_node(id);
    }
}

static void break_disk(void)
{
    disk_break_once();
}

static void runtime_away(void)
{
    struct host *host = any_host();

    host->kernel->is_runtime_away = !host->kernel->is_runtime_away;
    sim_trace("%s: its runtime is %s", host->name, host->kernel->is_runtime_away ? "away" : "back");
}

static void lie_to_agent(void)
{
    struct host *host = any_host();

    if (sim.now_us < host->busy_until_us || !host->process.is_running)
        return;
    host->busy_until_us = sim.now_us + 90 * SIM_S;
    host->is_lie_due = true;
    network_break_streams(host);
}

static void leave_for_good(void)
{
    struct host *host = any_host();

    if (living() < 3 || !host->process.is_running)
        return;
    host->config.leaves_on_stop = true;
    process_stop(&host->process);
    host->config.leaves_on_stop = false;
    host->keeps_id[0] = '\0';
    host->is_gone = sim_percent(50);
}

struct trouble {
    void (*fn)(void);
    unsigned int weight;
};

static const struct trouble chaos[] = {
    {crash_agent, 14},  {move_agent, 6},     {swap_addresses, 3}, {forget_agent, 4},
    {reboot_agent, 4},  {cut_agent, 14},     {cut_many, 4},       {crash_control, 10},
    {stall_control, 5}, {stall_agent, 6},    {jump_clock, 4},     {fill_disk, 3},
    {slow_disk, 3},     {break_disk, 2},     {delete_any, 6},     {deregister_any, 3},
    {lose_host, 4},     {replace_host, 7},   {runtime_away, 4},   {lie_to_agent, 6},
    {shrink, 1},        {leave_for_good, 2},
};

static void make_trouble(const struct trouble *troubles, size_t count)
{
    unsigned int sum = 0, drawn;

    for (size_t i = 0; i < count; i++)
        sum += troubles[i].weight;
    drawn = (unsigned int)sim_between(0, (int64_t)sum - 1);
    for (size_t i = 0; i < count; i++) {
        if (drawn < troubles[i].weight) {
            troubles[i].fn();
            return;
        }
        drawn -= troubles[i].weight;
    }
}

/* ---- lies ---------------------------------------------------------------------------------- */

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

static char *mad_list(struct host *host)
{
    const struct ip4_prefix mine = host->agent.state.identity.subnet;
    const struct node *other = sim.control.registry.first;
    struct strbuf out = {0};

    registry_list_to_json(&sim.control.registry, &out);
    while (other && !other->facts.api.is_up)
        other = other->next;
    if (!other || !host->agent.has_identity)
        return strbuf_take(&out);
    out.len -= 2; /* "]}" */
    add_false_node(&out, "mine", fresh_ip(), mine);
    add_false_node(&out, "outside", fresh_ip(), (struct ip4_prefix){.addr = 8U << 24, .len = 24});
    add_false_node(&out, "large", fresh_ip(),
                   (struct ip4_prefix){.addr = mine.addr & 0xffffc000, .len = 18});
    add_false_node(&out, "my-address", host->ip,
                   (struct ip4_prefix){.addr = mine.addr + 256, .len = 24});
    add_false_node(&out, "twin", fresh_ip(), other->facts.api.subnet);
    strbuf_adds(&out, "]}");
    return strbuf_take(&out);
}

char *nemesis_lie(struct host *host)
{
    bool is_empty = sim.nemesis->story != STORY_CHAOS || sim_percent(60);

    host->is_lie_due = false;
    sim_trace("%s is lied to: %s", host->name, is_empty ? "nobody is there" : "a mad list");
    if (!is_empty)
        return mad_list(host);
    if (host->kernel->have.route_count == host->agent.peers.wanted_count)
        host->lie_until_us = sim.now_us + 9 * SIM_S;
    return mem_strdup("{\"nodes\":[]}");
}

/* ---- the gentle kind ----------------------------------------------------------------------- */

static struct host *rested_host(int64_t for_us)
{
    struct host *host = any_host();

    if (sim.now_us < host->busy_until_us)
        return NULL;
    host->busy_until_us = sim.now_us + for_us + 45 * SIM_S;
    return host;
}

static void gentle_restart(void)
{
    int64_t for_us = seconds(0, 6);
    struct host *host = rested_host(for_us);

    if (!host)
        return;
    agent_end(host, sim_percent(60));
    restart_agent_in(host, for_us);
}

static void gentle_cut(void)
{
    unsigned int ways = (unsigned int)sim_between(1, 3);
    int64_t for_us = seconds(0, 7);
    struct host *host = rested_host(for_us);

    if (host)
        cut(host, ways & 1, ways & 2, for_us);
}

static void gentle_stall(void)
{
    int64_t for_us = seconds(0, 7);
    struct host *host = rested_host(for_us);

    if (host)
        process_stall(&host->process, for_us);
}

static void gentle_lie(void)
{
    struct host *host = rested_host(60 * SIM_S);

    if (!host || !sim_control_host()->process.is_running)
        return;
    host->is_lie_due = true;
    network_break_streams(host);
}

static const struct trouble gentle[] = {
    {gentle_restart, 5}, {gentle_cut, 5},    {gentle_stall, 3}, {jump_clock, 3},
    {crash_control, 3},  {stall_control, 2}, {gentle_lie, 2},
};

/* ---- stories ------------------------------------------------------------------------------- */

static void trouble_until(int64_t until_us, const struct trouble *troubles, size_t count,
                          int64_t pause_max_ms)
{
    while (sim.now_us < until_us && !sim.violation) {
        sim_run_until(sim.now_us + sim_between(1, pause_max_ms) * SIM_MS);
        if (!sim.violation)
            make_trouble(troubles, count);
    }
}

static void mend_all(void)
{
    const struct network_faults none = {0};

    sim_trace("all is mended");
    network_set_faults(&none);
    if (disk_is_full())
        disk_set_full(false);
    disk_set_delay(SIM_MS, 10 * SIM_MS);
    if (sim.control_restart)
        restart_control_in(SIM_S);
    for (size_t i = 0; i < sim.host_count; i++) {
        struct host *host = &sim.hosts[i];

        if (host->restart)
            restart_agent_in(host, seconds(0, 5));
        host->cut_until_us = sim.now_us;
        on_mended(host);
        host->is_lie_due = false;
        if (host->kernel)
            host->kernel->is_runtime_away = false;
    }
}

static bool is_someone(const char *id)
{
    for (size_t i = 1; i < sim.host_count; i++)
        if (!sim.hosts[i].is_gone && strcmp(host_node_id(&sim.hosts[i]), id) == 0)
            return true;
    return false;
}

/* An operator tidies up: nodes that are nobody's any more go. */
static void delete_leftovers(void)
{
    for (size_t i = 0; i < oracle_node_count(); i++) {
        bool is_up;
        const char *id = oracle_node_id(i, &is_up);

        if (!is_someone(id))
            delete_node(id);
    }
}

/* Somebody else has become the node of this host while it was away, from its address and without a
 * token: an operator sets it up anew. */
static void reset_the_refused(void)
{
    struct control_client_status status;

    for (size_t i = 1; i < sim.host_count; i++) {
        struct host *host = &sim.hosts[i];

        if (!host->process.is_running)
            continue;
        control_client_status(host->agent.control, &status);
        if (!strstr(status.problem, "answered 409"))
            continue;
        agent_end(host, true);
        free(TAKE_PTR(host->state_text));
        host->keeps_id[0] = '\0';
        host->ip = fresh_ip();
        restart_agent_in(host, SIM_S);
    }
}

static void converge(int64_t limit_s)
{
    AUTO_FREE char *why = NULL;

    for (int64_t s = 0; s < limit_s && !sim.violation; s++) {
        sim_run_until(sim.now_us + SIM_S);
        if (sim.violation)
            return;
        free(TAKE_PTR(why));
        if (sim_control_host()->process.is_running && oracle_is_converged(&why)) {
            sim_trace("all agree");
            return;
        }
        if (s % 50 == 20)
            delete_leftovers();
        if (s == 50)
            reset_the_refused();
    }
    if (!sim.violation)
        sim_violate("%" PRId64 " s after all was mended: %s", limit_s,
                    why ? why : "nobody is there");
}

/* An agent that agrees may not have heard yet how it came to that: a stream that goes on where it
 * broke tells the downs and ups between. They are given time to. */
static void stay_quiet(int64_t for_us)
{
    sim_run_until(sim.now_us + 25 * SIM_S);
    converge(30);
    oracle_expect_silence(true);
    sim_run_until(sim.now_us + for_us);
    oracle_expect_silence(false);
}

static void draw_faults(unsigned int loss_max)
{
    const struct network_faults faults = {
        .loss = (unsigned int)sim_between(0, loss_max),
        .doubling = (unsigned int)sim_between(0, 15),
        .slow = (unsigned int)sim_between(0, 20),
        .slow_us = sim_between(10, 3000) * SIM_MS,
    };

    network_set_faults(&faults);
}

static void play_chaos(void)
{
    bool is_wild = sim_percent(50);

    if (!is_wild)
        converge(60);
    draw_faults(10);
    trouble_until(sim.now_us + seconds(100, 400), chaos, ARRAY_LEN(chaos), is_wild ? 3000 : 15000);
    mend_all();
    converge(CONVERGE_LIMIT_S);
    stay_quiet(seconds(35, 70));
}

static void play_gentle(void)
{
    converge(60);
    sim_run_until(sim.now_us + 2 * SIM_S);
    oracle_expect_silence(true);
    draw_faults(1);
    if (sim_percent(40))
        for (size_t i = 1; i < sim.host_count; i++)
            sim.hosts[i].busy_until_us = sim.now_us;
    trouble_until(sim.now_us + seconds(100, 300), gentle, ARRAY_LEN(gentle), 10000);
    mend_all();
    sim_run_until(sim.now_us + 60 * SIM_S);
    oracle_expect_silence(false);
    converge(CONVERGE_LIMIT_S);
}

static void play_mass(void)
{
    size_t count = sim.host_count - 1, chosen;
    int64_t for_us = seconds(30, 200);
    unsigned int ways = (unsigned int)sim_between(1, 3);

    converge(60);
    sim_run_until(sim.now_us + 2 * SIM_S);
    oracle_expect_silence(true);
    chosen = (size_t)sim_between((int64_t)(count / 3 + 2), (int64_t)count);
    for (size_t i = 1; i <= chosen; i++)
        cut(&sim.hosts[i], ways & 1, ways & 2, for_us);
    sim_run_until(sim.now_us + for_us + 60 * SIM_S);
    oracle_expect_silence(false);
    converge(CONVERGE_LIMIT_S);
    if (sim_percent(50)) {
        shrink();
        sim_run_until(sim.now_us + 5 * SIM_S);
        control_end(true);
        restart_control_in(SIM_S);
        mend_all();
        cut(&sim.hosts[1], true, true, 25 * SIM_S);
        converge(CONVERGE_LIMIT_S);
    }
}

static void check_down(const struct host *host)
{
    const struct node *node = registry_find(&sim.control.registry, host_node_id(host));

    if (!sim.violation && (!node || node->facts.api.is_up))
        sim_violate("%s has died and is not down after 35 s", host->name);
}

static void play_single(void)
{
    struct host *host = any_host();

    converge(60);
    sim_run_until(sim.now_us + seconds(1, 12));
    remember_identity(host);
    sim_trace("%s dies", host->name);
    agent_end(host, true);
    host->is_gone = true;
    kernel_clear(host->kernel);
    sim_run_until(sim.now_us + 36 * SIM_S);
    check_down(host);
    converge(2);
    if (sim.violation)
        return;
    stay_quiet(seconds(10, 50));
    host->is_gone = false;
    host->ip = sim_percent(50) ? fresh_ip() : host->ip;
    agent_start(host);
    converge(10);
    stay_quiet(seconds(35, 60));
}

/* ---- the cast ------------------------------------------------------------------------------ */

static size_t draw_size(void)
{
    if (sim.config.nodes > 0)
        return sim.config.nodes;
    if (sim.config.seed % 500 == 250)
        return (size_t)sim_between(300, 350);
    if (sim.config.seed % 25 == 7)
        return (size_t)sim_between(20, 60);
    return (size_t)sim_between(2, 12);
}

/* Few subnets make them come again sooner. */
static struct ip4_prefix draw_cluster(size_t nodes)
{
    if (nodes > 200)
        return (struct ip4_prefix){.addr = 10U << 24 | 64U << 16, .len = 12};
    if (nodes <= 12 && sim_percent(50))
        return (struct ip4_prefix){.addr = 10U << 24 | 42U << 16, .len = 20};
    return (struct ip4_prefix){.addr = 10U << 24 | 42U << 16, .len = 16};
}

static void make_host(size_t index)
{
    static const char *const urls[] = {"http://control:8080"};
    struct host *host = &sim.hosts[index];

    host->index = index;
    host->process.host = host;
    host->boot_offset_ms = sim_between(1000, 100000000);
    host->delay_us = sim_between(50, 5000);
    if (index == 0) {
        (void)snprintf(host->name, sizeof host->name, "control");
        return;
    }
    (void)snprintf(host->name, sizeof host->name, "node%zu", index);
    host->ip = fresh_ip();
    host->kernel = kernel_new();
    host->config = (struct agent_config){
        .control_urls = urls,
        .control_url_count = ARRAY_LEN(urls),
        .hostname = host->name,
        .runtime_target = "unix:simulated",
        .state_dir = "simulated",
        .cpu_cores = 4,
        .ram_mb = 8192,
    };
}

static enum story draw_story(size_t nodes)
{
    int64_t drawn = sim_between(0, 99);

    if (drawn < 60 || nodes < 4)
        return STORY_CHAOS;
    if (drawn < 78)
        return STORY_GENTLE;
    return drawn < 90 && nodes >= 6 ? STORY_MASS : STORY_SINGLE;
}

static void set_stage(void)
{
    size_t nodes = draw_size();

    sim.nemesis = NEW(struct nemesis);
    sim.nemesis->next_ip = 257;
    sim.host_count = nodes + 1;
    sim.hosts = mem_zalloc(sim.host_count * sizeof *sim.hosts);
    for (size_t i = 0; i < sim.host_count; i++)
        make_host(i);
    sim.nemesis->story = draw_story(nodes);
    sim.control_config = (struct control_config){
        .listen_port = 8080,
        .listen_addr = 127U << 24 | 1,
        .db_path = "simulated",
        .cluster = {.cidr = draw_cluster(nodes), .node_prefix_len = 24},
        .node_timeout_ms = 30000,
    };
    sim_trace("%zu nodes, the story is %s", nodes, story_names[sim.nemesis->story]);
}

void nemesis_play(void)
{
    static void (*const stories[])(void) = {play_chaos, play_gentle, play_mass, play_single};

    set_stage();
    network_init();
    disk_init();
    oracle_init();
    control_start();
    for (size_t i = 1; i < sim.host_count; i++)
        restart_agent_in(&sim.hosts[i], seconds(0, 5));
    sim.nemesis->supervisor = sim_in(SIM_S, SIM_LATER, NULL, on_supervisor, NULL);
    sim_run_until(6 * SIM_S);
    stories[sim.nemesis->story]();
}

void nemesis_deinit(void)
{
    for (size_t i = 1; i < sim.host_count; i++) {
        agent_end(&sim.hosts[i], true);
        kernel_free(sim.hosts[i].kernel);
        free(sim.hosts[i].state_text);
    }
    control_end(true);
    free(sim.nemesis);
}
