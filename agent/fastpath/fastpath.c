/* Looks, compares, writes: the loop's side of the fast path. */
#include "agent/fastpath/fastpath.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "agent/fastpath/internal.h"
#include "agent/fastpath/ways.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "lib/bpf/hook.h"
#include "lib/bpf/map.h"
#include "lib/bpf/pins.h"
#include "lib/net/route.h"
#include "lib/net/sysctl.h"
#include "lib/net/xfrm.h"

#define SWEEP_MS 30000
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
/* Twice as often as the programs want it at least. */
#define BEAT_MS 1000

/* ---- what is said -------------------------------------------------------------------------- */

/* text NULL: all is well. Said once for each change. */
static void set_reason(struct fastpath *fp, const char *text)
{
    if (text && fp->reason && strcmp(text, fp->reason) == 0)
        return;
    if (text)
        log_warn("the fast path leaves packets to the kernel path", LOG_S("reason", text));
    else if (fp->reason)
        log_info("the fast path is whole again", LOG_S("was", fp->reason));
    free(fp->reason);
    fp->reason = text ? mem_strdup(text) : NULL;
}

static void say_used(struct fastpath *fp)
{
    if (fp->is_told)
        return;
    fp->is_told = true;
    log_info("data path", LOG_S("dataplane", "ebpf"),
             LOG_S("hook", hook_has_tcx() ? "TCX" : "clsact, this kernel has no TCX"),
             LOG_U("devices", fp->device_count));
}

/* ---- writing ------------------------------------------------------------------------------- */

static int write_config(struct fastpath *fp, bool is_enabled)
{
    struct fastpath_config config, have;
    uint64_t port_min, port_max;
    uint32_t zero = 0;
    int r = sysctl_read_pair("net/ipv4/ip_local_port_range", &port_min, &port_max);

    if (r == 0)
        r = map_get(fp->set->maps[SET_CONFIG], &zero, &have);
    if (r < 0)
        return r;
    config = fastpath_make_config(&fp->want, is_enabled, (uint16_t)port_min, (uint16_t)port_max);
    config.beat = have.beat;
    config.beat_at_ns = have.beat_at_ns;
    fp->config = config;
    if (memcmp(&config, &have, sizeof config) == 0)
        return 0;
    r = map_put(fp->set->maps[SET_CONFIG], &zero, &config);
    fp->writes += r == 0;
    return r;
}

/* ---- a look -------------------------------------------------------------------------------- */

/* Somebody may have removed the pins; the runtime would not find the way any more. The programs
 * that are on devices yet go by the old records until they are taken off. In a fight they go on. */
static int renew_set(struct fastpath *fp)
{
    int64_t now_ms = clock_boot_ms();
    struct set *set;
    int r;

    pins_watch_follow(fp->pins);
    if (set_is_current(fp->set))
        return 0;
    if (!patience_allows(&fp->patience, now_ms)) {
        loop_timer_set_in(fp->sweep, fp->patience.wait_until_ms - now_ms);
        return 0;
    }
    r = set_switch_off(fp->set);
    if (r >= 0)
        r = fastpath_leave_devices(fp);
    if (r >= 0)
        r = set_load(&set);
    if (r < 0)
        return err_wrap(r, "load the fast path anew");
    log_warn("the fast path's pins were gone, it is loaded anew");
    if (patience_note(&fp->patience, now_ms))
        log_warn("somebody keeps removing the fast path's pins, it is loaded less and less often");
    set_free(fp->set);
    fp->set = set;
    fp->has_looked = false;
    return 0;
}

static int look_at_all(struct fastpath *fp)
{
    static const struct focus all = {.is_all = true};
    struct ways ways;
    uint32_t policies = 0;
    int r = renew_set(fp);

    /* The fast path goes past IPsec: what is to be encrypted must not take it. */
    if (r == 0)
        r = xfrm_count_policies(&policies);
    if (r == 0)
        r = ways_look(fp->nl, &fp->want, &fp->paths, &ways);
    if (r < 0)
        return r;
    r = fastpath_write_peers(fp, &all, &fp->want, &ways);
    if (r == 0)
        r = hops_look(&fp->hops, fp->nl, &ways, fp->want.peer_count);
    if (r == 0)
        r = hops_write(&fp->hops, fp->set->maps[SET_HOPS], &fp->writes);
    if (r == 0)
        r = write_config(fp, policies == 0);
    if (r == 0)
        r = fastpath_take_devices(fp, &ways);
    if (r == 0) {
        fp->has_looked = true;
        fp->is_enabled = policies == 0;
        set_reason(fp, policies == 0 ? ways.problem : "this host has IPsec policies");
    }
    ways_deinit(&ways);
    return r;
}

/* A few peers came, moved or went, and nothing else. FASTPATH_UNSURE: it takes a look at all. */
static int look_at_some(struct fastpath *fp, const struct focus *focus)
{
    struct overlay_want some = focus_want(focus, &fp->want);
    struct ways ways;
    int r = ways_look(fp->nl, &some, &fp->paths, &ways);

    if (r == 0) {
        r = fastpath_write_peers(fp, focus, &some, &ways);
        if (r == 0)
            r = hops_look_more(&fp->hops, fp->nl, &ways, some.peer_count, fp->set->maps[SET_HOPS],
                               &fp->writes);
        if (r == 0)
            r = fastpath_take_more_devices(fp, &ways);
        if (r == 0 && ways.problem)
            set_reason(fp, ways.problem);
        ways_deinit(&ways);
    }
    overlay_want_deinit(&some);
    return r;
}

static int look(struct fastpath *fp)
{
    const struct focus focus = fp->due;
    int r = FASTPATH_UNSURE;

    fp->due = (struct focus){0};
    if (!focus.is_all && fp->has_looked && fp->is_enabled)
        r = look_at_some(fp, &focus);
    if (r != FASTPATH_UNSURE)
        return r;
    loop_timer_set_in(fp->sweep, SWEEP_MS);
    return look_at_all(fp);
}

/* Records that may be stale are not used: the kernel path carries all until a look succeeds. */
static void give_up(struct fastpath *fp)
{
    fp->failures++;
    fp->is_enabled = false;
    fp->due.is_all = true;
    set_reason(fp, err_text());
    if (set_switch_off(fp->set) < 0)
        log_error("the fast path cannot be switched off", LOG_ERR());
    loop_timer_set_in(fp->sweep, backoff_next_ms(&fp->retry, random_u64()));
}

/* The programs go by the hops' records as long as there is somebody who keeps them true. */
static void on_beat(void *data)
{
    struct fastpath *fp = data;
    uint32_t zero = 0;
    int r;

    if (!fp->is_enabled)
        return;
    fp->config.beat = fp->config.beat + 1 ?: 1;
    fp->config.beat_at_ns = (uint64_t)clock_boot_ms() * 1000000;
    r = map_put(fp->set->maps[SET_CONFIG], &zero, &fp->config);
    if (r == 0)
        r = hops_settle(&fp->hops, fp->set->maps[SET_HOPS], &fp->writes);
    if (r < 0)
        give_up(fp);
    else
        loop_timer_set_in(fp->beat, BEAT_MS);
}

static void on_look(void *data)
{
    struct fastpath *fp = data;
    bool was_enabled = fp->is_enabled;
    int r;

    if (!fp->set || !fp->has_want)
        return;
    r = look(fp);
    if (r < 0) {
        give_up(fp);
        return;
    }
    backoff_reset(&fp->retry);
    if (fp->is_enabled)
        say_used(fp);
    if (fp->is_enabled && !was_enabled)
        on_beat(fp);
}

static void on_sweep(void *data)
{
    struct fastpath *fp = data;

    overlay_paths_forget_some(&fp->paths);
    fp->due.is_all = true;
    on_look(fp);
}

/* What failed may work now. */
static void look_soon(struct fastpath *fp)
{
    backoff_reset(&fp->retry);
    loop_defer_arm(fp->look);
}

static void on_policies(void *data)
{
    struct fastpath *fp = data;

    overlay_paths_forget_some(&fp->paths);
    fp->due.is_all = true;
    look_soon(fp);
}

static void on_pins(void *data)
{
    struct fastpath *fp = data;

    if (!fp->set)
        return;
    pins_watch_follow(fp->pins);
    if (set_is_current(fp->set))
        return;
    fp->due.is_all = true;
    look_soon(fp);
}

static void on_kernel_event(const struct nl_event *event, void *data)
{
    struct fastpath *fp = data;

    switch (event->type) {
    case NL_EVENT_LINK:
        if (!overlay_paths_forget_device(&fp->paths, event->ifindex) &&
            !fastpath_has_device(fp, event->ifindex) &&
            strcmp(event->ifname, MESH_DEVICE_NAME) != 0)
            return;
        break;
    case NL_EVENT_ROUTE:
        if (event->protocol == QUILT_ROUTE_PROTOCOL ||
            !overlay_paths_forget_route(&fp->paths, event->dst))
            return;
        break;
    case NL_EVENT_RULE:
    case NL_EVENT_ADDR:
    case NL_EVENT_OVERRUN:
        overlay_paths_forget_all(&fp->paths);
        break;
    case NL_EVENT_NEIGH:
    case NL_EVENT_NETCONF:
        return;
    }
    fp->due.is_all = true;
    look_soon(fp);
}

/* ---- life ---------------------------------------------------------------------------------- */

static int open_kernel(struct fastpath *fp, struct loop *loop)
{
    static const int groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE,
                                 RTNLGRP_IPV4_RULE, 0};
    int r = nl_open(&fp->nl);

    if (r == 0)
        r = nl_monitor_new(loop, groups, on_kernel_event, fp, &fp->monitor);
    if (r == 0)
        r = loop_add_defer(loop, on_look, fp, &fp->look);
    if (r == 0)
        r = loop_add_timer(loop, on_sweep, fp, &fp->sweep);
    if (r == 0)
        r = loop_add_timer(loop, on_beat, fp, &fp->beat);
    if (r == 0)
        r = xfrm_monitor_new(loop, on_policies, fp, &fp->policies);
    if (r == 0)
        r = pins_watch_new(loop, on_pins, fp, &fp->pins);
    return r;
}

static int start(struct fastpath *fp, struct loop *loop)
{
    int r = set_load(&fp->set);

    return r == 0 ? open_kernel(fp, loop) : r;
}

static void say_unused(struct fastpath *fp, enum fastpath_mode mode)
{
    if (mode == FASTPATH_OFF) {
        log_info("data path", LOG_S("dataplane", "kernel"));
        return;
    }
    fp->reason = mem_strdup(err_text());
    log_info("data path", LOG_S("dataplane", "kernel"), LOG_S("reason", fp->reason));
}

int fastpath_new(struct loop *loop, enum fastpath_mode mode, struct fastpath **ret_fastpath)
{
    struct fastpath *fp = NEW(struct fastpath);
    int r;

    fp->retry =
        (struct backoff){.min_ms = RETRY_MIN_MS, .base_ms = RETRY_MIN_MS, .max_ms = RETRY_MAX_MS};
    r = mode == FASTPATH_OFF ? fastpath_remove(fp) : start(fp, loop);

    if (r < 0 && mode == FASTPATH_INSIST) {
        fastpath_free(fp);
        return err_wrap(r, "--dataplane ebpf");
    }
    if (r < 0 && mode == FASTPATH_OFF)
        log_warn("what an earlier start left of the fast path cannot be taken away", LOG_ERR());
    if (!fp->set)
        say_unused(fp, mode);
    *ret_fastpath = fp;
    return 0;
}

void fastpath_free(struct fastpath *fp)
{
    if (!fp)
        return;
    loop_source_free(fp->beat);
    loop_source_free(fp->sweep);
    loop_source_free(fp->look);
    pins_watch_free(fp->pins);
    change_monitor_free(fp->policies);
    nl_monitor_free(fp->monitor);
    nl_close(fp->nl);
    set_free(fp->set);
    overlay_want_deinit(&fp->want);
    overlay_paths_deinit(&fp->paths);
    hops_deinit(&fp->hops);
    free(fp->devices);
    free(fp->reason);
    free(fp);
}

void fastpath_set_want(struct fastpath *fp, const struct overlay_want *want)
{
    struct focus changed = {.is_all = true};

    if (!fp->set)
        return;
    if (fp->has_want)
        changed = focus_compare(&fp->want, want);
    if (!changed.is_all && changed.count == 0)
        return;
    fp->due.is_all |= changed.is_all;
    for (size_t i = 0; i < changed.count; i++)
        focus_add(&fp->due, changed.vteps[i]);
    overlay_want_deinit(&fp->want);
    fp->want = overlay_want_copy(want);
    fp->has_want = true;
    overlay_paths_follow(&fp->paths, &fp->want);
    look_soon(fp);
}

void fastpath_meet(struct fastpath *fp, int ifindex, uint32_t addr, struct mac mac)
{
    if (!fp->set || !hops_meet(&fp->hops, ifindex, addr, mac))
        return;
    if (hops_write_one(&fp->hops, ifindex, addr, fp->set->maps[SET_HOPS], &fp->writes) < 0)
        give_up(fp);
}

void fastpath_miss(struct fastpath *fp)
{
    fp->due.is_all = true;
    if (fp->set)
        look_soon(fp);
}

/* From every device: nobody remembers which had it. */
static int detach_all(const struct set *set)
{
    AUTO_FREE struct link_info *links = NULL;
    AUTO_NL struct nl *nl = NULL;
    size_t count;
    int r = nl_open(&nl);

    if (r == 0)
        r = link_dump(nl, NULL, &links, &count);
    for (size_t i = 0; r >= 0 && i < count; i++) {
        for (size_t k = 0; r >= 0 && k < SET_PROGRAM_COUNT; k++)
            r = hook_detach(links[i].ifindex, &set->programs[k]);
        if (r == -ENODEV)
            r = 0;
    }
    return r < 0 ? r : 0;
}

int fastpath_remove(struct fastpath *fp)
{
    AUTO_SET struct set *pinned = NULL;
    int r = set_open(&pinned);

    set_free(TAKE_PTR(fp->set));
    fp->is_enabled = false; /* so there is no beat any more */
    fp->peer_count = fp->device_count = 0;
    if (r < 0)
        return r;
    if (r == 0)
        r = detach_all(pinned);
    return r < 0 ? r : set_remove_all();
}

void fastpath_status(const struct fastpath *fp, struct fastpath_status *ret)
{
    *ret = (struct fastpath_status){.is_used = fp->set && fp->is_enabled,
                                    .reason = fp->reason ? fp->reason : "",
                                    .peer_count = fp->peer_count,
                                    .device_count = fp->device_count,
                                    .writes = fp->writes,
                                    .failures = fp->failures};
}
