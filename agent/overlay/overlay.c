/* When to look, and what is told of it: the loop's side of the overlay. */
#include <string.h>

#include "agent/overlay/internal.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/random.h"

/* ---- what went wrong ----------------------------------------------------------------------- */

/* text NULL: all is well. Said once for each change. */
static void set_problem(struct overlay *o, const char *text, enum log_level level)
{
    if (text && (!o->problem || strcmp(o->problem, text) != 0))
        log_at(level, "overlay", LOG_S("problem", text));
    if (!text && o->problem)
        log_info("overlay is right again", LOG_S("was", o->problem));
    if (text && o->problem && strcmp(o->problem, text) == 0)
        return;
    free(o->problem);
    o->problem = text ? mem_strdup(text) : NULL;
}

/* ---- looking -------------------------------------------------------------------------------- */

static void look_again_in(struct overlay *o, int64_t at_ms)
{
    loop_timer_set_at(o->timer, at_ms < o->sweep_ms ? at_ms : o->sweep_ms);
}

static void end_fight(struct overlay *o, int64_t now_ms)
{
    repairs_prune(&o->repairs, now_ms);
    if (!o->fight || now_ms < o->fight_until_ms)
        return;
    log_info("overlay is left alone again", LOG_S("was", o->fight));
    free(TAKE_PTR(o->fight));
}

static void on_look(void *data)
{
    struct overlay *o = data;
    struct focus focus = o->due;
    int64_t next_ms = INT64_MAX, started_us = clock_work_us();
    int r;

    o->due = (struct focus){0};
    r = o->config.is_dry ? overlay_take_dry_look(o) : overlay_take_look(o, &focus, &next_ms);

    end_fight(o, clock_boot_ms());
    set_problem(o, r < 0 ? err_text() : NULL,
                r == -EADDRNOTAVAIL ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR);
    if (r < 0) {
        o->is_programmed = false;
        o->resized++;
        next_ms = clock_boot_ms() + backoff_next_ms(&o->retry, random_u64());
    } else {
        backoff_reset(&o->retry);
    }
    if (o->fight && o->fight_until_ms < next_ms)
        next_ms = o->fight_until_ms;
    look_again_in(o, next_ms);
    o->looks++;
    o->look_us += clock_work_us() - started_us;
    o->config.looked(o->config.data);
}

void overlay_look(struct overlay *o)
{
    o->due.is_all = true;
    loop_defer_arm(o->look);
}

static void look_at(struct overlay *o, uint32_t vtep)
{
    focus_add(&o->due, vtep);
    loop_defer_arm(o->look);
}

void overlay_look_at_routes(struct overlay *o)
{
    if (o->lacking_count == 0 || o->lacking_count > FOCUS_MAX)
        overlay_look(o);
    for (size_t i = 0; !o->due.is_all && i < o->lacking_count; i++)
        look_at(o, o->lacking[i]);
}

/* What is under way, or not looked at yet, is not the runtime's fault. */
static bool has_lost_routes(const struct overlay *o, size_t count)
{
    if (!o->has_want || !o->is_programmed || o->fresh.is_all || o->fresh.count > 0 ||
        o->config.is_routing(o->config.data))
        return false;
    return count + o->lacking_count < o->want.peer_count;
}

static void retell_routes(struct overlay *o)
{
    AUTO_FREE struct overlay_change *routes = mem_array(o->want.peer_count, sizeof *routes);

    for (size_t i = 0; i < o->want.peer_count; i++)
        routes[i] = (struct overlay_change){.object = OVERLAY_ROUTE,
                                            .verb = OVERLAY_ADD,
                                            .addr = o->want.peers[i].vtep,
                                            .prefix_len = o->want.subnet.len,
                                            .mtu_bytes = o->want.peers[i].mtu_bytes};
    o->config.routes(o->config.data, routes, o->want.peer_count);
}

void overlay_heard_routes(struct overlay *o, size_t count)
{
    int64_t now_ms = clock_boot_ms();

    if (!has_lost_routes(o, count) || (o->retold_ms > 0 && now_ms - o->retold_ms < SWEEP_MS))
        return;
    log_warn("the runtime has lost routes that the kernel has, it is told all of them again",
             LOG_U("has", count), LOG_U("wanted", o->want.peer_count));
    o->retold_ms = now_ms;
    retell_routes(o);
}

/* ---- what makes us look -------------------------------------------------------------------- */

/* Also somebody else's route to a peer's network: it may have taken the place of ours, and the
 * kernel says no more of that. */
static bool is_our_route(const struct overlay *o, const struct nl_event *event)
{
    if (event->dst.len == o->want.subnet.len && overlay_want_find(&o->want, event->dst.addr))
        return true;
    return o->ifindex != 0 && event->ifindex == o->ifindex &&
           event->protocol == QUILT_ROUTE_PROTOCOL;
}

static void on_neigh_event(struct overlay *o, const struct nl_event *event)
{
    uint32_t vtep = event->addr;

    if (event->is_fdb && !mac_to_ip4(event->mac, &vtep))
        overlay_look(o); /* no peer's: it is not to be there */
    else
        look_at(o, vtep);
}

static void on_other_neigh_event(struct overlay *o, const struct nl_event *event)
{
    const struct mac none = {{0}};

    if (!event->is_fdb)
        o->config.met(o->config.data, event->ifindex, event->addr,
                      event->is_removal ? none : event->mac);
}

static void look_at_unknown(struct overlay *o)
{
    for (size_t i = 0; i < o->paths.count && !o->due.is_all; i++)
        if (!o->paths.items[i].is_known)
            focus_add(&o->due, o->paths.items[i].vtep);
    loop_defer_arm(o->look);
}

static void on_route_event(struct overlay *o, const struct nl_event *event)
{
    if (event->protocol != QUILT_ROUTE_PROTOCOL &&
        overlay_paths_forget_route(&o->paths, event->dst))
        look_at_unknown(o);
    if (!is_our_route(o, event) || o->config.is_routing(o->config.data))
        return;
    if (event->dst.len == o->want.subnet.len)
        look_at(o, event->dst.addr);
    else
        overlay_look(o);
}

static void on_kernel_event(const struct nl_event *event, void *data)
{
    struct overlay *o = data;
    bool is_device = o->ifindex != 0 && event->ifindex == o->ifindex;

    if (event->is_own)
        return;
    switch (event->type) {
    case NL_EVENT_LINK:
        if (overlay_paths_forget_device(&o->paths, event->ifindex) || is_device ||
            event->ifindex == o->underlay.ifindex || strcmp(event->ifname, MESH_DEVICE_NAME) == 0)
            overlay_look(o);
        break;
    case NL_EVENT_NEIGH:
        if (is_device)
            on_neigh_event(o, event);
        else
            on_other_neigh_event(o, event);
        break;
    case NL_EVENT_NETCONF:
        if (is_device)
            overlay_look(o);
        break;
    case NL_EVENT_ROUTE:
        on_route_event(o, event);
        break;
    case NL_EVENT_RULE:
    case NL_EVENT_ADDR: /* routes that prefer it go with it: older kernels do not tell of them */
    case NL_EVENT_OVERRUN:
        if (event->type == NL_EVENT_OVERRUN)
            o->config.missed(o->config.data);
        overlay_paths_forget_all(&o->paths);
        overlay_look(o);
        break;
    }
}

static void on_timer(void *data)
{
    overlay_look(data);
}

/* ---- life ---------------------------------------------------------------------------------- */

static int open_kernel(struct overlay *o)
{
    static const int groups[] = {RTNLGRP_LINK,
                                 RTNLGRP_NEIGH,
                                 RTNLGRP_IPV4_IFADDR,
                                 RTNLGRP_IPV4_ROUTE,
                                 RTNLGRP_IPV4_RULE,
                                 RTNLGRP_IPV4_NETCONF,
                                 0};
    int r = nl_open(&o->nl);

    if (r == 0)
        r = nl_monitor_new(o->config.loop, groups, on_kernel_event, o, &o->monitor);
    if (r == 0)
        nl_monitor_ignore(o->monitor, o->nl);
    return r;
}

int overlay_new(const struct overlay_config *config, struct overlay **ret_overlay)
{
    struct overlay *o = NEW(struct overlay);
    int r;

    o->config = *config;
    o->retry = (struct backoff){.min_ms = 100, .base_ms = 100, .max_ms = 5000};
    r = loop_add_defer(config->loop, on_look, o, &o->look);
    if (r == 0)
        r = loop_add_timer(config->loop, on_timer, o, &o->timer);
    if (r == 0 && !config->is_dry)
        r = open_kernel(o);
    if (r < 0) {
        overlay_free(o);
        return err_wrap(r, "open the kernel's network interface");
    }
    *ret_overlay = o;
    return 0;
}

void overlay_free(struct overlay *o)
{
    if (!o)
        return;
    nl_monitor_free(o->monitor);
    nl_close(o->nl);
    loop_source_free(o->timer);
    loop_source_free(o->look);
    overlay_want_deinit(&o->want);
    overlay_paths_deinit(&o->paths);
    overlay_have_deinit(&o->dry);
    repairs_deinit(&o->repairs);
    free(o->lacking);
    free(o->problem);
    free(o->fight);
    free(o);
}

static void take_want(struct overlay *o, const struct overlay_want *want)
{
    uint32_t mtu_bytes = o->want.mtu_bytes;

    overlay_want_deinit(&o->want);
    o->want = overlay_want_copy(want);
    o->want.mtu_bytes = mtu_bytes;
    o->has_want = true;
    if (!o->config.is_dry)
        overlay_paths_follow(&o->paths, &o->want);
}

void overlay_set_want(struct overlay *o, const struct overlay_want *want)
{
    struct focus changed = {.is_all = true};

    if (o->has_want)
        changed = focus_compare(&o->want, want);
    if (!changed.is_all && changed.count == 0)
        return;
    for (size_t i = 0; i < changed.count; i++) {
        focus_add(&o->fresh, changed.vteps[i]);
        look_at(o, changed.vteps[i]);
    }
    if (changed.is_all) {
        o->fresh.is_all = true;
        overlay_look(o);
    }
    take_want(o, want);
}

int overlay_remove(struct overlay *o)
{
    struct overlay_have have = {0};
    struct overlay_changes changes = {0};
    int r;

    if (o->config.is_dry || !o->has_want) {
        o->has_want = false;
        return 0;
    }
    r = overlay_read_device(o, &have);
    /* The difference refuses a device that is not ours. */
    if (r == 0 && o->ifindex != 0)
        r = overlay_diff(&o->want, &have, &changes);
    overlay_changes_deinit(&changes);
    if (r == 0 && o->ifindex != 0)
        r = link_delete(o->nl, o->ifindex);
    o->has_want = false;
    o->is_programmed = false;
    return r > 0 ? 0 : r;
}

void overlay_status(const struct overlay *o, struct overlay_status *ret)
{
    *ret = (struct overlay_status){
        .is_host_ip_local = o->underlay.ifindex != 0,
        .is_programmed = o->is_programmed,
        .is_device_up = o->is_device_up && o->ifindex != 0,
        .mtu_bytes = o->ifindex != 0 ? o->want.mtu_bytes : 0,
        .problem = o->problem ? o->problem : "",
        .fight = o->fight ? o->fight : "",
        .looks = o->looks,
        .look_seconds = (double)o->look_us / 1e6,
        .counts = &o->counts,
    };
}

bool overlay_has_peer(const struct overlay *o, uint32_t vtep)
{
    return o->is_programmed && overlay_want_find(&o->want, vtep) && !overlay_is_lacking(o, vtep);
}

uint32_t overlay_path_bytes(const struct overlay *o, uint32_t vtep)
{
    return o->ifindex != 0 ? overlay_paths_find(&o->paths, &o->want, vtep) : 0;
}

uint64_t overlay_path_changes(const struct overlay *o)
{
    return o->resized + o->paths.forgotten;
}
