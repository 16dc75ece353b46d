/* The story of a seed, from the first start to the last agreement. It is one of four:
 *
 *     chaos   anything, at any time; then all is mended and everybody must agree
 *     gentle  restarts, short cuts, stops, clocks that jump: nothing of it may change anything
 *     mass    more than a third fall silent together: nobody may be called down
 *     single  one host dies: it must be down within 36 s, or in 5 s where others probe it, and come
 *             back as who it was
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/list.h"
#include "tests/sim/hand.h"
#include "tests/sim/trouble.h"

#define CONVERGE_LIMIT_S 260

static const char *const story_names[] = {"chaos", "gentle", "mass", "single"};

/* ---- to the good --------------------------------------------------------------------------- */

static void mend_all(void)
{
    const struct network_faults none = {0};

    sim_trace("all is mended");
    network_set_faults(&none);
    twin_end();
    if (disk_is_full())
        disk_set_full(false);
    disk_set_delay(SIM_MS, 10 * SIM_MS);
    if (sim.control_restart)
        hand_restart_control_in(SIM_S);
    for (size_t i = 0; i < sim.host_count; i++) {
        struct host *host = &sim.hosts[i];

        if (host->restart)
            hand_restart_agent_in(host, hand_seconds(0, 5));
        hand_mend(host);
        host->is_lie_due = false;
        if (host->kernel)
            host->kernel->is_runtime_away = false;
    }
}

static bool is_someone(const char *id)
{
    for (size_t i = 1; i < sim.host_count; i++) {
        const struct host *host = &sim.hosts[i];

        if (!host->is_gone &&
            (strcmp(host_node_id(host), id) == 0 || strcmp(host->keeps_id, id) == 0))
            return true;
    }
    return false;
}

/* An operator tidies up: nodes that are nobody's any more go. */
static void delete_leftovers(void)
{
    for (size_t i = 0; i < oracle_node_count(); i++) {
        bool is_up;
        const char *id = oracle_node_id(i, &is_up);

        if (!is_someone(id))
            hand_delete_node(id);
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
        if (!strstr(status.problem, "answered 409") || status.is_twin)
            continue;
        agent_end(host, true);
        free(TAKE_PTR(host->state_text));
        free(TAKE_PTR(host->state_changes));
        host->keeps_id[0] = '\0';
        host->ip = hand_fresh_ip();
        hand_restart_agent_in(host, SIM_S);
    }
}

/* One that is stopped does not know yet what it has been asked meanwhile. */
static bool is_control_awake(void)
{
    const struct process *p = &sim_control_host()->process;

    return p->is_running && p->stalled_until_us <= sim.now_us;
}

/* Whoever is told that it is alone, and not who has gone, believes nobody but an operator. */
static void accept_solitude(void)
{
    for (size_t i = 1; i < sim.host_count; i++) {
        struct host *host = &sim.hosts[i];

        if (host->agent.peers.is_alone && agent_accept(host))
            sim_trace("%s is told that it is alone", host->name);
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
        if (is_control_awake() && oracle_is_converged(&why)) {
            sim_trace("all agree");
            return;
        }
        if (s % 50 == 20)
            delete_leftovers();
        if (s > 0 && s % 50 == 0) /* the control plane may not have been there the first time */
            reset_the_refused();
        if (s % 50 == 40)
            accept_solitude();
    }
    if (!sim.violation)
        sim_violate("%" PRId64 " s after all was mended: %s", limit_s,
                    why ? why : "nobody is there");
}

/* An agent that agrees may not have heard yet how it came to that: a stream that goes on where it
 * broke tells the downs and ups between, and a first list may be doubted. They are given time to.
 */
static void stay_quiet(int64_t for_us)
{
    sim_run_until(sim.now_us + 25 * SIM_S);
    converge(90);
    oracle_expect_silence(true);
    sim_run_until(sim.now_us + for_us);
    oracle_expect_silence(false);
}

/* ---- stories ------------------------------------------------------------------------------- */

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
    trouble_until(sim.now_us + hand_seconds(100, 400), TROUBLE_ANY, is_wild ? 3000 : 15000);
    mend_all();
    converge(CONVERGE_LIMIT_S);
    stay_quiet(hand_seconds(35, 70));
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
    trouble_until(sim.now_us + hand_seconds(100, 300), TROUBLE_GENTLE, 10000);
    mend_all();
    sim_run_until(sim.now_us + 60 * SIM_S);
    oracle_expect_silence(false);
    converge(CONVERGE_LIMIT_S);
}

static void play_mass(void)
{
    size_t count = sim.host_count - 1, chosen;
    int64_t for_us = hand_seconds(30, 200);
    unsigned int ways = (unsigned int)sim_between(1, 3);

    converge(60);
    sim_run_until(sim.now_us + 2 * SIM_S);
    oracle_expect_silence(true);
    chosen = (size_t)sim_between((int64_t)(count / 3 + 2), (int64_t)count);
    for (size_t i = 1; i <= chosen; i++)
        hand_cut(&sim.hosts[i], ways & 1, ways & 2, for_us);
    sim_run_until(sim.now_us + for_us + 60 * SIM_S);
    oracle_expect_silence(false);
    converge(CONVERGE_LIMIT_S);
    if (sim_percent(50)) {
        trouble_shrink();
        sim_run_until(sim.now_us + 5 * SIM_S);
        control_end(true);
        hand_restart_control_in(SIM_S);
        mend_all();
        hand_cut(&sim.hosts[1], true, true, 25 * SIM_S);
        converge(CONVERGE_LIMIT_S);
    }
}

static void check_down(const struct host *host, int64_t after_us)
{
    const struct node *node = registry_find(&sim.control.registry, host_node_id(host));

    if (!sim.violation && (!node || node->facts.api.is_up))
        sim_violate("%s has died and is not down after %lld s", host->name,
                    (long long)(after_us / SIM_S));
}

static void play_single(void)
{
    struct host *host = hand_any_host();
    bool has_witnesses = sim.has_probes && sim.host_count - 1 >= 3;

    converge(60);
    sim_run_until(sim.now_us + hand_seconds(1, 12));
    hand_remember_identity(host);
    sim_trace("%s dies", host->name);
    agent_end(host, true);
    host->is_gone = true;
    kernel_clear(host->kernel);
    sim_run_until(sim.now_us + (has_witnesses ? 5 : 36) * SIM_S);
    check_down(host, (has_witnesses ? 5 : 36) * SIM_S);
    converge(2);
    if (sim.violation)
        return;
    stay_quiet(hand_seconds(10, 50));
    host->is_gone = false;
    host->ip = sim_percent(50) ? hand_fresh_ip() : host->ip;
    agent_start(host);
    converge(10);
    stay_quiet(hand_seconds(35, 60));
}

/* ---- the cast ------------------------------------------------------------------------------ */

/* What a mesh costs grows with the cube of its size: each of n agents looks at n peers for each of
 * n changes. */
static size_t draw_size(void)
{
    if (sim.config.nodes > 0)
        return sim.config.nodes;
    if (sim.config.seed % 5000 == 250)
        return (size_t)sim_between(300, 350);
    if (sim.config.seed % 500 == 0)
        return (size_t)sim_between(90, 120);
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
    host->ip = hand_fresh_ip();
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

static enum sim_story draw_story(size_t nodes)
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

    sim.next_ip = 257;
    sim.host_count = nodes + 1;
    sim.hosts = mem_zalloc((sim.host_count + 1) * sizeof *sim.hosts);
    for (size_t i = 0; i < sim.host_count; i++)
        make_host(i);
    sim.story = draw_story(nodes);
    sim.has_probes = sim_percent(sim.config.nodes > 0 || nodes <= 12 ? 40 : 10);
    sim.control_config = (struct control_config){
        .listen_port = 8080,
        .listen_addr = 127U << 24 | 1,
        .db_path = "simulated",
        .cluster = {.cidr = draw_cluster(nodes), .node_prefix_len = 24},
        .node_timeout_ms = 30000,
    };
    sim_trace("%zu nodes%s, the story is %s", nodes, sim.has_probes ? " that probe" : "",
              story_names[sim.story]);
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
        hand_restart_agent_in(&sim.hosts[i], hand_seconds(0, 5));
    hand_supervise();
    sim_run_until(6 * SIM_S);
    stories[sim.story]();
}

void nemesis_deinit(void)
{
    twin_end();
    for (size_t i = 1; i < sim.host_count; i++) {
        agent_end(&sim.hosts[i], true);
        kernel_free(sim.hosts[i].kernel);
        free(sim.hosts[i].state_text);
        free(sim.hosts[i].state_changes);
    }
    control_end(true);
}
