/* What goes wrong, one trouble at a time: anything at all, or only what nothing may come of. */
#include "tests/sim/trouble.h"

#include <string.h>

#include "tests/sim/hand.h"

#define TEN_YEARS_S 315360000

/* ---- anything ------------------------------------------------------------------------------ */

static void crash_agent(void)
{
    struct host *host = hand_any_host();

    agent_end(host, sim_percent(70));
    hand_restart_agent_in(host, sim_percent(60) ? hand_seconds(0, 5) : hand_seconds(0, 70));
}

static void move(struct host *host)
{
    if (host->is_gone || !host->process.is_running)
        return;
    hand_remember_identity(host);
    agent_end(host, true);
    if (sim_percent(30))
        host_reboot(host);
    host->ip = hand_fresh_ip();
    sim_trace("%s comes with another IP", host->name);
    hand_restart_agent_in(host, hand_seconds(0, 60));
}

static void move_agent(void)
{
    move(hand_any_host());
}

/* Two hosts trade addresses while both are away. */
static void swap_addresses(void)
{
    struct host *a = hand_any_host(), *b = hand_any_host();
    uint32_t ip = a->ip;

    if (a == b || a->is_gone || b->is_gone)
        return;
    sim_trace("%s and %s trade addresses", a->name, b->name);
    agent_end(a, true);
    agent_end(b, true);
    a->ip = b->ip;
    b->ip = ip;
    hand_restart_agent_in(a, hand_seconds(0, 60));
    hand_restart_agent_in(b, hand_seconds(0, 60));
}

static void forget_agent(void)
{
    struct host *host = hand_any_host();

    agent_end(host, true);
    sim_trace("%s loses its state file", host->name);
    free(TAKE_PTR(host->state_text));
    free(TAKE_PTR(host->state_changes));
    host->keeps_id[0] = '\0';
    hand_restart_agent_in(host, hand_seconds(0, 60));
}

static void on_unheard(void *data)
{
    move(data);
}

/* A new node registers, does not hear the answer, and comes again from elsewhere. */
static void join_unheard(void)
{
    struct host *host = hand_any_host();

    if (host->is_gone)
        return;
    agent_end(host, true);
    sim_trace("%s is set up anew and does not hear", host->name);
    free(TAKE_PTR(host->state_text));
    free(TAKE_PTR(host->state_changes));
    host->keeps_id[0] = '\0';
    host->ip = hand_fresh_ip();
    hand_cut(host, false, true, 2 * SIM_S);
    hand_restart_agent_in(host, 0);
    (void)sim_in(SIM_S, SIM_FIRST, NULL, on_unheard, host);
}

static void reboot_agent(void)
{
    struct host *host = hand_any_host();

    agent_end(host, true);
    host_reboot(host);
    hand_restart_agent_in(host, hand_seconds(1, 40));
}

static void cut_agent(void)
{
    unsigned int ways = (unsigned int)sim_between(1, 3);
    int64_t for_us = sim_percent(50) ? hand_seconds(0, 12) : hand_seconds(0, 90);
    struct host *host = hand_any_host();

    if (sim_percent(50))
        hand_cut(host, ways & 1, ways & 2, for_us);
    else
        hand_cut_from_control(host, ways & 1, ways & 2, for_us);
}

static void cut_many(void)
{
    unsigned int share = (unsigned int)sim_between(10, 100), ways = (unsigned int)sim_between(1, 3);
    int64_t for_us = hand_seconds(1, 100);

    for (size_t i = 1; i < sim.host_count; i++)
        if (sim_percent(share))
            hand_cut(&sim.hosts[i], ways & 1, ways & 2, for_us);
}

static void crash_control(void)
{
    if (sim_percent(70))
        control_end(true);
    else
        process_stop(&sim_control_host()->process);
    hand_restart_control_in(sim_percent(70) ? hand_seconds(0, 3) + SIM_S / 2 : hand_seconds(1, 90));
}

static void stall_control(void)
{
    process_stall(&sim_control_host()->process,
                  sim_percent(50) ? hand_seconds(0, 5) : hand_seconds(5, 70));
}

static void stall_agent(void)
{
    process_stall(&hand_any_host()->process,
                  sim_percent(50) ? hand_seconds(0, 8) : hand_seconds(5, 70));
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
    (void)sim_in(hand_seconds(0, 30), SIM_FIRST, NULL, on_disk_has_room, NULL);
}

static void on_disk_is_fast(void *data)
{
    disk_set_delay(SIM_MS, 10 * SIM_MS);
}

static void slow_disk(void)
{
    disk_set_delay(100 * SIM_MS, sim_between(200, 2500) * SIM_MS);
    (void)sim_in(hand_seconds(1, 20), SIM_FIRST, NULL, on_disk_is_fast, NULL);
}

static const char *any_node_id(bool *ret_is_up)
{
    size_t count = oracle_node_count();

    return count == 0 ? NULL
                      : oracle_node_id((size_t)sim_between(0, (int64_t)count - 1), ret_is_up);
}

static void delete_any(void)
{
    bool is_up;
    const char *id = any_node_id(&is_up);

    if (id)
        hand_delete_node(id);
}

static void deregister_any(void)
{
    bool is_up;
    const char *id = any_node_id(&is_up);
    AUTO_FREE char *target = id ? mem_printf("/api/nodes/%s/deregister", id) : NULL;

    if (target)
        network_ask("POST", target, NULL);
}

/* Few subnets, so that reservations and nodes get into each other's way. */
static void reserve_any(void)
{
    const struct host *host = hand_any_host();
    const struct ip4_prefix cidr = sim.control_config.cluster.cidr;
    struct ip4_prefix subnet = {.addr = cidr.addr + ((uint32_t)sim_between(1, 13) << 8),
                                .len = sim.control_config.cluster.node_prefix_len};
    char ip[IP4_TEXT_SIZE], text[IP4_PREFIX_TEXT_SIZE];
    AUTO_FREE char *target =
        mem_printf("/api/reservations/%s", sim_percent(30) ? ip4_format(host->ip, ip) : host->name);
    AUTO_FREE char *body = mem_printf("{\"subnet\":\"%s\"}", ip4_prefix_format(subnet, text));

    network_ask("PUT", target, body);
}

static void unreserve_any(void)
{
    AUTO_FREE char *target = mem_printf("/api/reservations/%s", hand_any_host()->name);

    network_ask("DELETE", target, NULL);
}

static void lose_host(void)
{
    struct host *host = hand_any_host();

    if (hand_living() < 3 || host->is_gone)
        return;
    sim_trace("%s dies for good", host->name);
    agent_end(host, true);
    host->is_gone = true;
}

static void replace_host(void)
{
    struct host *host = hand_any_host();

    if (!host->is_gone)
        return;
    sim_trace("%s is set up anew", host->name);
    host->is_gone = false;
    free(TAKE_PTR(host->state_text));
    free(TAKE_PTR(host->state_changes));
    host->keeps_id[0] = '\0';
    kernel_clear(host->kernel);
    host->ip = sim_percent(50) ? hand_fresh_ip() : host->ip;
    hand_restart_agent_in(host, hand_seconds(0, 10));
}

/* Most of the mesh is taken down while the control plane forgets what it told last: whoever was cut
 * off has to believe a list that lacks most of what it knew. */
void trouble_shrink(void)
{
    bool is_up;

    if (hand_living() < 6)
        return;
    for (size_t i = 4; i < sim.host_count; i++) {
        agent_end(&sim.hosts[i], true);
        sim.hosts[i].is_gone = true;
    }
    hand_cut(&sim.hosts[1], true, true, hand_seconds(20, 30));
    for (size_t i = 0; i < oracle_node_count(); i++) {
        const char *id = oracle_node_id(i, &is_up);

        for (size_t h = 4; h < sim.host_count; h++)
            if (strcmp(host_node_id(&sim.hosts[h]), id) == 0)
                hand_delete_node(id);
    }
}

static void break_disk(void)
{
    disk_break_once();
}

static void runtime_away(void)
{
    struct host *host = hand_any_host();

    host->kernel->is_runtime_away = !host->kernel->is_runtime_away;
    sim_trace("%s: its runtime is %s", host->name, host->kernel->is_runtime_away ? "away" : "back");
}

static void lie_to_agent(void)
{
    struct host *host = hand_any_host();

    if (sim.now_us < host->busy_until_us || !host->process.is_running)
        return;
    host->busy_until_us = sim.now_us + 90 * SIM_S;
    host->is_lie_due = true;
    network_break_streams(host);
}

static void on_twin_is_alone(void *data)
{
    if (sim.twin_end)
        hand_cut(data, true, true, hand_seconds(21, 29));
}

/* Who has been seen beside the other may not profit from its silence. */
static void clone_host(void)
{
    struct host *host = hand_any_host();

    twin_start(host, sim_percent(50), hand_seconds(1, 120));
    if (sim_percent(50))
        (void)sim_in(hand_seconds(11, 40), SIM_FIRST, NULL, on_twin_is_alone, host);
}

static void leave_for_good(void)
{
    struct host *host = hand_any_host();

    if (hand_living() < 3 || !host->process.is_running)
        return;
    host->config.leaves_on_stop = true;
    process_stop(&host->process);
    host->config.leaves_on_stop = false;
    host->keeps_id[0] = '\0';
    host->is_gone = sim_percent(50);
}

/* ---- what nothing may come of ---------------------------------------------------------------- */

static struct host *rested_host(int64_t for_us)
{
    struct host *host = hand_any_host();

    if (sim.now_us < host->busy_until_us)
        return NULL;
    host->busy_until_us = sim.now_us + for_us + 45 * SIM_S;
    return host;
}

static void gentle_restart(void)
{
    int64_t for_us = hand_seconds(0, 6);
    struct host *host = rested_host(for_us);

    if (!host)
        return;
    agent_end(host, sim_percent(60));
    hand_restart_agent_in(host, for_us);
}

static void gentle_cut_from_control(void)
{
    unsigned int ways = (unsigned int)sim_between(1, 3);
    int64_t for_us = hand_seconds(0, 7);
    struct host *host = rested_host(for_us);

    if (host)
        hand_cut_from_control(host, ways & 1, ways & 2, for_us);
}

/* Who is out of reach of everybody for longer is dead, for all that they can know. */
static void gentle_cut(void)
{
    int64_t for_us = hand_seconds(0, 2);
    struct host *host = rested_host(for_us);

    if (host)
        hand_cut(host, true, true, for_us);
}

static void gentle_stall(void)
{
    int64_t for_us = hand_seconds(0, 7);
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

/* Only who is left alone besides must be undisturbed: 20 s of silence would let its twin in. */
static void gentle_clone(void)
{
    int64_t for_us = hand_seconds(1, 100);
    struct host *host = sim.twin_end ? NULL : rested_host(for_us);

    if (host)
        twin_start(host, sim_percent(50), for_us);
}

/* ---- drawing one --------------------------------------------------------------------------- */

struct trouble {
    void (*fn)(void);
    unsigned int weight;
};

static const struct trouble chaos[] = {
    {crash_agent, 14},   {move_agent, 6},     {swap_addresses, 3}, {forget_agent, 4},
    {reboot_agent, 4},   {cut_agent, 14},     {cut_many, 4},       {crash_control, 10},
    {stall_control, 5},  {stall_agent, 6},    {jump_clock, 4},     {fill_disk, 3},
    {slow_disk, 3},      {break_disk, 2},     {delete_any, 6},     {deregister_any, 3},
    {lose_host, 4},      {replace_host, 7},   {runtime_away, 4},   {lie_to_agent, 6},
    {trouble_shrink, 1}, {leave_for_good, 2}, {join_unheard, 4},   {reserve_any, 6},
    {unreserve_any, 2},  {clone_host, 5},
};

static const struct trouble gentle[] = {
    {gentle_restart, 5}, {gentle_cut, 3}, {gentle_cut_from_control, 3},
    {gentle_stall, 3},   {jump_clock, 3}, {crash_control, 3},
    {stall_control, 2},  {gentle_lie, 2}, {gentle_clone, 3},
};

static const struct {
    const struct trouble *troubles;
    size_t count;
} kinds[] = {
    [TROUBLE_ANY] = {chaos, ARRAY_LEN(chaos)},
    [TROUBLE_GENTLE] = {gentle, ARRAY_LEN(gentle)},
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

void trouble_until(int64_t until_us, enum trouble_kind kind, int64_t pause_max_ms)
{
    while (sim.now_us < until_us && !sim.violation) {
        sim_run_until(sim.now_us + sim_between(1, pause_max_ms) * SIM_MS);
        if (!sim.violation)
            make_trouble(kinds[kind].troubles, kinds[kind].count);
    }
}
