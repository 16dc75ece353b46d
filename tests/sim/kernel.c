/* The agents' kernels, by the arrays of the overlay's unit tests, and the runtimes that change
 * routes in them: in the place of the overlay's netlink files and of agent/runtime_client. */
#include <string.h>

#include "agent/fastpath/fastpath.h"
#include "agent/overlay/focus.h"
#include "agent/overlay/paths.h"
#include "agent/overlay/underlay.h"
#include "agent/status_server.h"
#include "lib/base/error.h"
#include "lib/bpf/pins.h"
#include "lib/net/change_monitor.h"
#include "tests/sim/sim.h"
#include "tests/unit/agent/overlay_sim.h"

#define PROBE_US (500 * SIM_MS)

struct kernel *kernel_new(void)
{
    return NEW(struct kernel);
}

void kernel_clear(struct kernel *kernel)
{
    overlay_have_deinit(&kernel->have);
}

void kernel_free(struct kernel *kernel)
{
    if (!kernel)
        return;
    kernel_clear(kernel);
    free(kernel);
}

struct host *sim_agent_host(void)
{
    return sim.current->host;
}

static struct kernel *kernel(void)
{
    return sim_agent_host()->kernel;
}

static void change_kernel(const struct overlay_want *want, const struct overlay_change *change)
{
    struct host *host = sim_agent_host();
    char addr[IP4_TEXT_SIZE];

    sim_trace("kernel: %s %s %s", overlay_verb_name(change->verb),
              overlay_object_name(change->object), ip4_format(change->addr, addr));
    simulate(&host->kernel->have, want, change);
    host->kernel->writes++;
    oracle_kernel_write(host, change);
}

/* ---- netlink ------------------------------------------------------------------------------- */

int __wrap_nl_open(struct nl **ret_nl);
void __wrap_nl_close(struct nl *nl);
int __wrap_nl_monitor_new(struct loop *loop, const int *groups, nl_event_fn fn, void *data,
                          struct nl_monitor **ret_monitor);
void __wrap_nl_monitor_free(struct nl_monitor *monitor);
void __wrap_nl_monitor_ignore(struct nl_monitor *monitor, const struct nl *nl);
int __wrap_link_get(struct nl *nl, const char *name, struct link_info *ret_info);
int __wrap_link_delete(struct nl *nl, int ifindex);

int __wrap_fastpath_new(struct loop *loop, enum fastpath_mode mode, struct fastpath **ret_fastpath);
int __wrap_change_monitor_new(struct loop *loop, int protocol, int group, loop_fn fn, void *data,
                              struct change_monitor **ret_monitor);
void __wrap_change_monitor_free(struct change_monitor *monitor);
int __wrap_pins_watch_new(struct loop *loop, loop_fn fn, void *data, struct pins_watch **ret_watch);
void __wrap_pins_watch_follow(struct pins_watch *watch);
void __wrap_pins_watch_free(struct pins_watch *watch);

/* No host of the simulation has one, and the real host's is not ours to touch. */
int __wrap_fastpath_new(struct loop *loop, enum fastpath_mode mode, struct fastpath **ret_fastpath)
{
    *ret_fastpath = NULL;
    return 0;
}

int __wrap_change_monitor_new(struct loop *loop, int protocol, int group, loop_fn fn, void *data,
                              struct change_monitor **ret_monitor)
{
    *ret_monitor = NULL;
    return 0;
}

void __wrap_change_monitor_free(struct change_monitor *monitor)
{
}

int __wrap_pins_watch_new(struct loop *loop, loop_fn fn, void *data, struct pins_watch **ret_watch)
{
    *ret_watch = NULL;
    return 0;
}

void __wrap_pins_watch_follow(struct pins_watch *watch)
{
}

void __wrap_pins_watch_free(struct pins_watch *watch)
{
}

int __wrap_nl_open(struct nl **ret_nl)
{
    *ret_nl = NULL;
    return 0;
}

void __wrap_nl_close(struct nl *nl)
{
}

int __wrap_nl_monitor_new(struct loop *loop, const int *groups, nl_event_fn fn, void *data,
                          struct nl_monitor **ret_monitor)
{
    *ret_monitor = NULL;
    return 0;
}

void __wrap_nl_monitor_free(struct nl_monitor *monitor)
{
}

void __wrap_nl_monitor_ignore(struct nl_monitor *monitor, const struct nl *nl)
{
}

int __wrap_link_get(struct nl *nl, const char *name, struct link_info *ret_info)
{
    const struct link_info *device = &kernel()->have.device;

    if (device->ifindex == 0)
        return err_fail(ENODEV, "there is no device %s", name);
    *ret_info = *device;
    return 0;
}

int __wrap_link_delete(struct nl *nl, int ifindex)
{
    kernel_clear(kernel());
    kernel()->writes++;
    return 0;
}

int overlay_paths_look(struct overlay_paths *paths, struct nl *nl)
{
    for (size_t i = 0; i < paths->count; i++)
        paths->items[i].is_known = true;
    paths->has_unknown = false;
    return 0;
}

int underlay_look(struct nl *nl, uint32_t host_ip, struct underlay *ret)
{
    *ret = (struct underlay){.ifindex = 1, .mtu_bytes = 1500};
    return 0;
}

static void *copied(const void *items, size_t count, size_t size)
{
    return count > 0 ? mem_copy(items, count * size) : NULL;
}

int overlay_have_dump(struct nl *nl, struct overlay_have *have)
{
    const struct overlay_have *k = &kernel()->have;
    struct link_info device = have->device;

    *have = *k;
    have->device = device;
    have->addrs = copied(k->addrs, k->addr_count, sizeof *k->addrs);
    have->neighs = copied(k->neighs, k->neigh_count, sizeof *k->neighs);
    have->fdbs = copied(k->fdbs, k->fdb_count, sizeof *k->fdbs);
    have->routes = copied(k->routes, k->route_count, sizeof *k->routes);
    overlay_have_sort(have);
    return 0;
}

/* What is there of these. */
int overlay_have_look_up(struct nl *nl, const uint32_t *vteps, size_t count, uint8_t prefix_len,
                         struct overlay_have *have)
{
    const struct overlay_have *all = &kernel()->have;
    struct focus focus = {.count = count};
    uint32_t vtep;

    memcpy(focus.vteps, vteps, count * sizeof *vteps);
    have->neighs = mem_array(all->neigh_count + 1, sizeof *have->neighs);
    have->fdbs = mem_array(all->fdb_count + 1, sizeof *have->fdbs);
    have->routes = mem_array(all->route_count + 1, sizeof *have->routes);
    for (size_t i = 0; i < all->neigh_count; i++)
        if (focus_has(&focus, all->neighs[i].addr))
            have->neighs[have->neigh_count++] = all->neighs[i];
    for (size_t i = 0; i < all->fdb_count; i++)
        if (mac_to_ip4(all->fdbs[i].mac, &vtep) && focus_has(&focus, vtep))
            have->fdbs[have->fdb_count++] = all->fdbs[i];
    for (size_t i = 0; i < all->route_count; i++)
        if (focus_has(&focus, all->routes[i].dst.addr))
            have->routes[have->route_count++] = all->routes[i];
    overlay_have_sort(have);
    return 0;
}

int overlay_apply(struct nl *nl, const struct overlay_want *want,
                  const struct overlay_changes *changes, int *ifindex,
                  struct overlay_counts *counts)
{
    for (size_t i = 0; i < changes->count; i++) {
        if (changes->items[i].object == OVERLAY_ROUTE)
            continue;
        change_kernel(want, &changes->items[i]);
        counts->writes[changes->items[i].object][changes->items[i].verb]++;
    }
    *ifindex = kernel()->have.device.ifindex;
    return 0;
}

int overlay_ensure_sysctls(struct overlay_counts *counts)
{
    return 0;
}

/* ---- the runtime --------------------------------------------------------------------------- */

struct runtime_client {
    struct runtime_client_config config;
    struct process *process;
    bool is_ready;
    struct ip4_prefix subnet;      /* length 0: not configured */
    struct overlay_change *routes; /* under way */
    size_t route_count;
    struct sim_event *event; /* the end of what is under way, or the next probe */
    runtime_left_fn left;
    void *left_data;
};

static void schedule(struct runtime_client *c, int64_t in_us, sim_fn fn)
{
    sim_cancel(TAKE_PTR(c->event));
    c->event = sim_in(in_us, SIM_MESSAGE, c->process, fn, c);
}

static void on_probe(void *data)
{
    struct runtime_client *c = data;

    c->event = NULL;
    if (kernel()->is_runtime_away) {
        c->is_ready = false;
        schedule(c, PROBE_US, on_probe);
        return;
    }
    c->is_ready = true;
    c->config.look(c->config.data);
}

static void on_routes_done(void *data)
{
    struct runtime_client *c = data;
    struct overlay_change *routes = TAKE_PTR(c->routes);
    size_t count = c->route_count;

    c->event = NULL;
    c->route_count = 0;
    if (kernel()->is_runtime_away) {
        c->is_ready = false;
        schedule(c, PROBE_US, on_probe);
        free(routes);
        return;
    }
    for (size_t i = 0; i < count; i++) /* its own network's is refused */
        if (routes[i].verb == OVERLAY_REMOVE || routes[i].addr != c->subnet.addr)
            change_kernel(NULL, &routes[i]);
    free(routes);
    c->config.look(c->config.data);
}

int runtime_client_new(const struct runtime_client_config *config,
                       struct runtime_client **ret_client)
{
    struct runtime_client *c = NEW(struct runtime_client);

    c->config = *config;
    c->process = sim.current;
    *ret_client = c;
    return 0;
}

void runtime_client_free(struct runtime_client *c)
{
    if (!c)
        return;
    sim_cancel(c->event);
    free(c->routes);
    free(c);
}

void runtime_client_configure(struct runtime_client *c, struct ip4_prefix subnet,
                              struct ip4_prefix cluster_cidr)
{
    bool was_configured = c->subnet.len > 0;

    c->subnet = subnet;
    if (was_configured)
        return;
    schedule(c, sim_between(SIM_MS, 20 * SIM_MS), on_probe);
}

static bool is_under_way(const struct runtime_client *c, const struct overlay_change *change)
{
    for (size_t i = 0; i < c->route_count; i++)
        if (c->routes[i].addr == change->addr && c->routes[i].prefix_len == change->prefix_len)
            return true;
    return false;
}

void runtime_client_routes(struct runtime_client *c, const struct overlay_change *changes,
                           size_t count)
{
    size_t known = c->route_count;

    if (!c->is_ready)
        return;
    for (size_t i = 0; i < count; i++)
        if (known == 0 || !is_under_way(c, &changes[i]))
            APPEND(c->routes, c->route_count, changes[i]);
    if (c->route_count > 0 && !c->event)
        schedule(c, sim_between(SIM_MS, 10 * SIM_MS), on_routes_done);
}

bool runtime_client_is_ready(const struct runtime_client *c)
{
    return c && c->is_ready;
}

bool runtime_client_is_busy(const struct runtime_client *c)
{
    return c && c->route_count > 0;
}

const char *runtime_client_route_problem(const struct runtime_client *c, struct ip4_prefix dst)
{
    return NULL;
}

void runtime_client_status(const struct runtime_client *c, struct runtime_client_status *ret)
{
    *ret = (struct runtime_client_status){.is_ready = c->is_ready, .problem = ""};
}

static void on_left(void *data)
{
    struct runtime_client *c = data;

    c->event = NULL;
    c->left(NULL, c->left_data);
}

void runtime_client_leave(struct runtime_client *c, int64_t timeout_ms, runtime_left_fn done,
                          void *data)
{
    c->left = done;
    c->left_data = data;
    c->is_ready = false;
    free(TAKE_PTR(c->routes));
    c->route_count = 0;
    schedule(c, sim_between(SIM_MS, 20 * SIM_MS), on_left);
}

/* ---- the agent's own server: nobody asks it here --------------------------------------------- */

int status_server_new(struct agent *agent, struct http_server **ret_server)
{
    *ret_server = NULL;
    return 0;
}
