/* When to look, and what a look consists of. */
#include "runtime/reconcile.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/sorted.h"
#include "lib/bpf/pins.h"
#include "lib/net/xfrm.h"
#include "runtime/fastpath.h"

/* So many of what one look has written are named, the others are counted. */
#define SAY_MAX 16

/* ---- looking --------------------------------------------------------------------------------- */

static const char *verb(const struct reconcile *rc)
{
    return rc->has_run ? "repaired" : "set up";
}

static void say_written(struct reconcile *rc, const char *key)
{
    bool is_named = rc->said++ < SAY_MAX;

    log_at(is_named ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, verb(rc), LOG_S("object", key));
}

void reconcile_note(struct reconcile *rc, enum kernel_object object, const char *key, int r,
                    int64_t now_ms)
{
    bool was_fought = guard_is_fought(&rc->guard, key);
    bool is_new = guard_note(&rc->guard, key, r < 0 ? err_text() : NULL, now_ms);

    if (rc->has_run)
        rc->repairs[object]++;
    if (r == 0)
        say_written(rc, key);
    else if (r < 0 && is_new)
        log_warn("cannot repair, will try again", LOG_S("object", key), LOG_ERR());
    if (!was_fought && guard_is_fought(&rc->guard, key))
        log_warn("repairs do not hold, the next ones wait longer", LOG_S("object", key),
                 LOG_S("problem", GUARD_FOUGHT_TEXT));
}

static void look_net(struct reconcile *rc, int64_t now_ms)
{
    struct view view = {0};
    int r = view_load(rc->kernel->nl, &rc->state->endpoints, &view);

    if (r < 0) {
        if (guard_note(&rc->guard, "kernel", err_text(), now_ms))
            log_warn("cannot look at the kernel, will try again", LOG_ERR());
        return;
    }
    guard_settle(&rc->guard, "kernel");
    reconcile_net(rc, &view, now_ms);
    view_deinit(&view);
}

/* The timer fires at the earliest moment anybody asked for. */
static void arm(struct reconcile *rc, int64_t due_ms)
{
    if (loop_timer_is_armed(rc->soon) && rc->due_ms <= due_ms)
        return;
    rc->due_ms = due_ms;
    loop_timer_set_at(rc->soon, due_ms);
}

/* The next look that nobody will ask for: what failed or was held back. */
static void arm_retry(struct reconcile *rc)
{
    int64_t next_ms = guard_next_ms(&rc->guard);

    if (next_ms == INT64_MAX)
        return;
    rc->pending |= LOOK_ALL;
    arm(rc, next_ms);
}

void reconcile_run(struct reconcile *rc, unsigned int look)
{
    int64_t now_ms = clock_boot_ms();

    if (rc->is_off)
        return;
    rc->said = 0;
    if (look & LOOK_SYSCTL)
        reconcile_sysctls(rc, now_ms);
    if (look & LOOK_NET)
        look_net(rc, now_ms);
    if (look & LOOK_FIREWALL)
        reconcile_judge_short_cut(rc);
    if (look & (LOOK_NET | LOOK_MEMBERS | LOOK_FIREWALL))
        reconcile_firewall(rc, look & LOOK_FIREWALL, now_ms);
    if (look & LOOK_FIREWALL || !rc->is_frames_known || !rc->are_chains_known)
        reconcile_frames(rc, look & LOOK_FIREWALL, now_ms);
    if (rc->said > SAY_MAX)
        log_info(verb(rc), LOG_U("others", rc->said - SAY_MAX));
    rc->has_run = true;
    rc->last_run_ms = clock_boot_ms();
    arm_retry(rc);
}

static void run_soon(void *data)
{
    struct reconcile *rc = data;
    unsigned int look = rc->pending;

    rc->pending = 0;
    reconcile_run(rc, look);
}

static void run_sweep(void *data)
{
    struct reconcile *rc = data;

    guard_sweep(&rc->guard, clock_boot_ms());
    rc->are_peers_known = false;
    reconcile_run(rc, LOOK_ALL);
    loop_timer_set_in(rc->sweep, RECONCILE_SWEEP_MS);
}

void reconcile_ask(struct reconcile *rc, unsigned int look)
{
    int64_t now_ms = clock_boot_ms();
    bool is_busy = now_ms - rc->last_run_ms < RECONCILE_BUSY_MS;

    rc->pending |= look;
    arm(rc, now_ms + (is_busy ? RECONCILE_BUSY_MS : RECONCILE_SOON_MS));
}

/* ---- listening ------------------------------------------------------------------------------- */

/* The neighbours on these matter. */
static bool is_of_endpoint(const struct reconcile *rc, int ifindex)
{
    for (size_t i = 0; i < rc->devices.count; i++)
        if (rc->devices.items[i].to == (uint32_t)ifindex)
            return true;
    return false;
}

/* Somebody else's route to what ours leads to may have taken its place, and the kernel says no more
 * of that. */
static bool is_wanted_route(const struct reconcile *rc, struct ip4_prefix dst)
{
    return route_table_find(&rc->state->routes, dst) ||
           (dst.len == 32 && endpoint_table_find_addr(&rc->state->endpoints, dst.addr));
}

/* Which looks an event is worth. Hosts have much else going on: neighbours come and go on every
 * network card, routing daemons write thousands of routes. */
static unsigned int worth(const struct reconcile *rc, const struct nl_event *event)
{
    switch (event->type) {
    case NL_EVENT_LINK:
        return LOOK_NET | LOOK_MEMBERS;
    case NL_EVENT_NEIGH:
        if (event->ifindex == rc->overlay_ifindex)
            return event->is_fdb ? LOOK_MEMBERS : 0;
        return is_of_endpoint(rc, event->ifindex) ? LOOK_NET : 0;
    case NL_EVENT_ROUTE:
        /* When a foreign route stood in the way of one of ours, its removal counts too. */
        if (event->protocol == QUILT_ROUTE_PROTOCOL || is_wanted_route(rc, event->dst) ||
            (event->is_removal && guard_next_ms(&rc->guard) != INT64_MAX))
            return LOOK_NET;
        return 0;
    case NL_EVENT_NETCONF:
        return LOOK_SYSCTL;
    case NL_EVENT_OVERRUN:
        return LOOK_ALL;
    case NL_EVENT_ADDR:
    case NL_EVENT_RULE:
        break;
    }
    return 0;
}

static void on_event(const struct nl_event *event, void *data)
{
    struct reconcile *rc = data;
    unsigned int look = event->is_own ? 0 : worth(rc, event);

    if (look & LOOK_MEMBERS && event->type == NL_EVENT_NEIGH)
        reconcile_peer_event(rc, event);
    if (event->type == NL_EVENT_OVERRUN)
        rc->are_peers_known = false;
    if (look)
        reconcile_ask(rc, look);
}

static void on_nft_message(void *data, const struct nlmsghdr *message)
{
    struct reconcile *rc = data;

    nft_known_take(&rc->nft, message);
}

static void on_nft_event(void *data)
{
    struct reconcile *rc = data;

    if (!reconcile_firewall_is_current(rc))
        reconcile_ask(rc, LOOK_FIREWALL);
}

static void on_xfrm_event(void *data)
{
    reconcile_ask(data, LOOK_FIREWALL);
}

static void on_pins(void *data)
{
    struct reconcile *rc = data;

    pins_watch_follow(rc->pins);
    if (!fastpath_is_current(rc->kernel))
        reconcile_ask(rc, LOOK_NET);
}

static int listen_to_kernel(struct reconcile *rc, struct loop *loop)
{
    static const int groups[] = {RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE,
                                 RTNLGRP_IPV4_NETCONF, 0};
    int r = nl_monitor_new(loop, groups, on_event, rc, &rc->monitor);

    if (r < 0)
        return r;
    nl_monitor_ignore(rc->monitor, rc->kernel->nl);
    r = nft_monitor_new(loop, on_nft_event, rc, &rc->nft_monitor);
    if (r == 0)
        change_monitor_read(rc->nft_monitor, on_nft_message, rc);
    if (r == 0)
        r = xfrm_monitor_new(loop, on_xfrm_event, rc, &rc->xfrm_monitor);
    return r < 0 ? r : pins_watch_new(loop, on_pins, rc, &rc->pins);
}

/* ---- life ------------------------------------------------------------------------------------ */

int reconcile_init(struct reconcile *rc, struct loop *loop, struct kernel *kernel,
                   struct state *state, const struct firewall_policy *policy, loop_fn changed_fn,
                   void *changed_data)
{
    int r;

    *rc = (struct reconcile){.kernel = kernel,
                             .state = state,
                             .policy = *policy,
                             .changed_fn = changed_fn,
                             .changed_data = changed_data,
                             .nft = {.table = FIREWALL_TABLE},
                             .mtu_bytes = RECONCILE_MTU_DEFAULT};
    rc->peers.members = &rc->members;
    r = loop_add_timer(loop, run_soon, rc, &rc->soon);
    if (r == 0)
        r = loop_add_timer(loop, run_sweep, rc, &rc->sweep);
    if (r == 0)
        r = listen_to_kernel(rc, loop);
    if (r < 0) {
        reconcile_deinit(rc);
        return r;
    }
    rc->can_short_cut = reconcile_can_short_cut(rc);
    loop_timer_set_in(rc->sweep, RECONCILE_SWEEP_MS);
    return 0;
}

void reconcile_deinit(struct reconcile *rc)
{
    pins_watch_free(rc->pins);
    change_monitor_free(rc->xfrm_monitor);
    change_monitor_free(rc->nft_monitor);
    nl_monitor_free(rc->monitor);
    loop_source_free(rc->sweep);
    loop_source_free(rc->soon);
    guard_deinit(&rc->guard);
    free(rc->short_cut_refusal);
    reconcile_firewall_deinit(rc);
    *rc = (struct reconcile){0};
}
