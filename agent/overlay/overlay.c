/* Looks, compares, writes: the loop's side of the overlay. */
#include "agent/overlay/overlay.h"

#include <string.h>
#include <time.h>

#include "agent/overlay/repairs.h"
#include "agent/overlay/say.h"
#include "agent/overlay/underlay.h"
#include "lib/base/backoff.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/random.h"

#define SWEEP_MS 30000

struct overlay {
    struct overlay_config config;
    struct nl *nl;
    struct nl_monitor *monitor;
    struct loop_source *look;
    struct loop_source *timer;
    struct backoff retry;

    struct overlay_want want;
    bool has_want;
    bool is_waiting;  /* something of it waits for its route to go first */
    bool is_want_new; /* not applied without failure yet: what is missing is no repair */
    struct underlay underlay;
    int ifindex; /* of our device; 0: none */
    bool is_device_up;
    bool is_programmed;
    uint32_t *lacking; /* owned, sorted: VTEP addresses of peers that lack their route */
    size_t lacking_count;
    struct overlay_have dry; /* what a dry run would have made */

    struct repairs repairs;
    char *problem; /* owned; NULL: none */
    char *fight;   /* owned; NULL: none */
    int64_t fight_until_ms;
    struct overlay_counts counts;
    uint64_t looks;
    int64_t look_us;
};

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

static void set_fight(struct overlay *o, const struct overlay_change *change, int64_t now_ms)
{
    char name[OVERLAY_NAME_SIZE];

    overlay_change_name(change, name);
    free(o->fight);
    o->fight = mem_printf(
        "another program keeps changing the %s on " MESH_DEVICE_NAME "; find and stop it", name);
    o->fight_until_ms = now_ms + SWEEP_MS;
    log_warn("overlay", LOG_S("problem", o->fight));
}

/* ---- which changes may be written now ------------------------------------------------------ */

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static bool is_lacking(const struct overlay *o, uint32_t vtep)
{
    return o->lacking_count > 0 &&
           bsearch(&vtep, o->lacking, o->lacking_count, sizeof vtep, compare_u32);
}

static bool is_repair(const struct overlay *o, const struct overlay_change *change)
{
    if (o->is_want_new)
        return false;
    return change->object != OVERLAY_ROUTE || !is_lacking(o, change->addr);
}

/* A device and all that is on it are one repair, and so are an entry's removal and the new one in
 * its place: nothing may be taken away that would then have to wait to come back. */
static bool is_same_repair(const struct overlay_change *change, const struct overlay_change *asked)
{
    if (asked->object == OVERLAY_DEVICE)
        return true;
    return asked->object == OVERLAY_FDB && change->object == OVERLAY_FDB &&
           mac_equal(asked->mac, change->mac);
}

struct holding {
    int64_t now_ms;
    int64_t next_ms;             /* when what is held back may be written; INT64_MAX: nothing is */
    struct overlay_change asked; /* the latest repair that was asked for */
    bool has_asked;
    bool is_held; /* the answer */
};

static bool is_held_back(struct overlay *o, const struct overlay_change *change,
                         struct holding *holding)
{
    int64_t due_ms = INT64_MAX;
    enum repairs_answer answer;

    if (holding->has_asked && is_same_repair(change, &holding->asked))
        return holding->is_held;
    if (!is_repair(o, change))
        return false;
    answer = repairs_ask(&o->repairs, change, holding->now_ms, &due_ms);
    if (answer == REPAIRS_FIGHT)
        set_fight(o, change, holding->now_ms);
    if (due_ms < holding->next_ms)
        holding->next_ms = due_ms;
    holding->asked = *change;
    holding->has_asked = true;
    holding->is_held = answer == REPAIRS_WAIT;
    o->counts.repairs[change->object] += !holding->is_held;
    return holding->is_held;
}

/* Keeps the changes that may be written now; returns when the rest may, INT64_MAX: there is none.
 */
static int64_t hold_back(struct overlay *o, struct overlay_changes *changes, int64_t now_ms)
{
    bool can_route = o->config.can_route(o->config.data);
    struct holding holding = {.now_ms = now_ms, .next_ms = INT64_MAX};
    size_t kept = 0;

    o->is_waiting = false;
    for (size_t i = 0; i < changes->count; i++) {
        const struct overlay_change *change = &changes->items[i];

        if (change->is_after_route && can_route)
            o->is_waiting = true;
        else if (!is_held_back(o, change, &holding))
            changes->items[kept++] = *change;
    }
    changes->count = kept;
    return holding.next_ms;
}

/* ---- routes -------------------------------------------------------------------------------- */

static const struct overlay_change *first_route(const struct overlay_changes *changes,
                                                size_t *ret_count)
{
    const struct overlay_change *first = NULL;

    *ret_count = 0;
    for (size_t i = 0; i < changes->count; i++) {
        if (changes->items[i].object != OVERLAY_ROUTE)
            continue;
        if (!first)
            first = &changes->items[i];
        (*ret_count)++;
    }
    return first;
}

/* Route changes stand together in a difference. */
static void note_lacking(struct overlay *o, const struct overlay_changes *changes)
{
    size_t count;
    const struct overlay_change *route = first_route(changes, &count);

    free(o->lacking);
    o->lacking = mem_array(count + 1, sizeof *o->lacking);
    o->lacking_count = 0;
    for (size_t i = 0; i < count; i++)
        o->lacking[o->lacking_count++] = route[i].addr;
    if (o->lacking_count > 1)
        qsort(o->lacking, o->lacking_count, sizeof *o->lacking, compare_u32);
}

static void hand_routes_over(struct overlay *o, const struct overlay_changes *changes)
{
    size_t count;
    const struct overlay_change *route = first_route(changes, &count);

    if (count > 0)
        o->config.routes(o->config.data, route, count);
}

/* ---- a look -------------------------------------------------------------------------------- */

static int read_device(struct overlay *o, struct overlay_have *have)
{
    int r = link_get(o->nl, MESH_DEVICE_NAME, &have->device);

    if (r == -ENODEV)
        have->device = (struct link_info){0};
    else if (r < 0)
        return r;
    o->ifindex = have->device.ifindex;
    o->is_device_up = have->device.is_up;
    return 0;
}

static int write_changes(struct overlay *o, const struct overlay_changes *changes)
{
    int r = 0, r_apply;

    if (o->ifindex != 0)
        r = overlay_ensure_sysctls(&o->counts);
    if (changes->count == 0)
        return r;
    overlay_say(changes, o->is_want_new ? "programming" : "repairing", false);
    r_apply = overlay_apply(o->nl, &o->want, changes, &o->ifindex, &o->counts);
    return r < 0 ? r : r_apply;
}

/* Containers have addresses of the subnet that the device was made for, and keep them until the
 * runtime has taken another one. Packets for them would be lost if the device moved first. */
static int check_subnet_taken(const struct overlay *o, const struct link_info *device)
{
    struct ip4_prefix was = {.addr = (uint32_t)overlay_mac_key(device->mac),
                             .len = o->want.subnet.len};
    char is_text[IP4_PREFIX_TEXT_SIZE], was_text[IP4_PREFIX_TEXT_SIZE];
    bool is_made_for_it = mac_equal(device->mac, mac_from_ip4(was.addr));

    if (device->ifindex == 0 || !is_made_for_it || was.addr == o->want.subnet.addr ||
        o->config.can_route(o->config.data))
        return 0;
    return err_fail(EBUSY,
                    "this node's subnet is now %s, but the runtime has not taken it: the overlay "
                    "stays with %s; detach what has addresses of that",
                    ip4_prefix_format(o->want.subnet, is_text), ip4_prefix_format(was, was_text));
}

static int compare_and_write(struct overlay *o, struct overlay_have *have, int64_t *ret_next_ms)
{
    struct overlay_changes changes = {0};
    int r = read_device(o, have);

    if (r == 0)
        r = overlay_have_dump(o->nl, have);
    if (r == 0)
        r = overlay_diff(&o->want, have, &changes);
    if (r == 0)
        r = check_subnet_taken(o, &have->device);
    if (r != 0) {
        overlay_changes_deinit(&changes);
        return r < 0 ? r : -EEXIST;
    }
    *ret_next_ms = hold_back(o, &changes, clock_boot_ms());
    r = write_changes(o, &changes);
    if (r == 0) {
        o->is_device_up = true;
        o->is_programmed = o->ifindex != 0; /* a device may be held back */
        hand_routes_over(o, &changes);
        note_lacking(o, &changes);
        o->is_want_new = o->is_want_new && o->is_waiting;
    }
    overlay_changes_deinit(&changes);
    return r;
}

static int look_at_kernel(struct overlay *o, int64_t *ret_next_ms)
{
    struct overlay_have have = {0};
    int r = underlay_look(o->nl, o->config.host_ip, &o->want, &o->underlay);

    if (r < 0)
        return r;
    if (!o->has_want)
        return 0;
    o->want.mtu_bytes = o->underlay.mtu_bytes - MESH_OVERHEAD_BYTES;
    r = compare_and_write(o, &have, ret_next_ms);
    overlay_have_deinit(&have);
    return r;
}

/* What would be done, said; and then taken as done. */
static int look_dry(struct overlay *o)
{
    struct overlay_changes changes = {0};
    int r;

    o->underlay = (struct underlay){.ifindex = 1, .mtu_bytes = 1500};
    if (!o->has_want)
        return 0;
    o->want.mtu_bytes = o->underlay.mtu_bytes - MESH_OVERHEAD_BYTES;
    r = overlay_diff(&o->want, &o->dry, &changes);
    if (r == 0) {
        overlay_say(&changes, "would do", true);
        overlay_have_deinit(&o->dry);
        o->dry = overlay_have_from_want(&o->want);
        o->is_programmed = true;
        o->is_want_new = false;
    }
    overlay_changes_deinit(&changes);
    return r;
}

static void look_again_in(struct overlay *o, int64_t at_ms)
{
    int64_t sweep_ms = clock_boot_ms() + SWEEP_MS;

    loop_timer_set_at(o->timer, at_ms < sweep_ms ? at_ms : sweep_ms);
}

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void end_fight(struct overlay *o, int64_t now_ms)
{
    repairs_prune(&o->repairs, now_ms);
    if (o->fight && now_ms >= o->fight_until_ms)
        free(TAKE_PTR(o->fight));
}

static void on_look(void *data)
{
    struct overlay *o = data;
    int64_t next_ms = INT64_MAX, started_us = now_us();
    int r = o->config.is_dry ? look_dry(o) : look_at_kernel(o, &next_ms);

    end_fight(o, clock_boot_ms());
    set_problem(o, r < 0 ? err_text() : NULL,
                r == -EADDRNOTAVAIL ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR);
    if (r < 0) {
        o->is_programmed = false;
        next_ms = clock_boot_ms() + backoff_next_ms(&o->retry, random_u64());
    } else {
        backoff_reset(&o->retry);
    }
    look_again_in(o, next_ms);
    o->looks++;
    o->look_us += now_us() - started_us;
    o->config.looked(o->config.data);
}

void overlay_look(struct overlay *o)
{
    loop_defer_arm(o->look);
}

/* ---- what makes us look -------------------------------------------------------------------- */

/* Also a route elsewhere to a peer's network: it may have taken the place of ours, and the kernel
 * says no more of that. */
static bool is_our_route(const struct overlay *o, const struct nl_event *event)
{
    if (o->ifindex != 0 && event->ifindex == o->ifindex)
        return event->protocol == QUILT_ROUTE_PROTOCOL;
    return event->dst.len == o->want.subnet.len && overlay_want_find(&o->want, event->dst.addr);
}

static bool concerns_us(const struct overlay *o, const struct nl_event *event)
{
    bool is_device = o->ifindex != 0 && event->ifindex == o->ifindex;

    if (event->is_own)
        return false;
    switch (event->type) {
    case NL_EVENT_LINK:
        return is_device || event->ifindex == o->underlay.ifindex ||
               strcmp(event->ifname, MESH_DEVICE_NAME) == 0;
    case NL_EVENT_ADDR:
        return true;
    case NL_EVENT_ROUTE:
        return is_our_route(o, event) && !o->config.is_routing(o->config.data);
    case NL_EVENT_NEIGH:
    case NL_EVENT_NETCONF:
        return is_device;
    case NL_EVENT_OVERRUN:
        return true;
    }
    return false;
}

static void on_kernel_event(const struct nl_event *event, void *data)
{
    struct overlay *o = data;

    if (concerns_us(o, event))
        overlay_look(o);
}

static void on_timer(void *data)
{
    overlay_look(data);
}

/* ---- life ---------------------------------------------------------------------------------- */

static int open_kernel(struct overlay *o)
{
    static const int groups[] = {RTNLGRP_LINK,       RTNLGRP_NEIGH,        RTNLGRP_IPV4_IFADDR,
                                 RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_NETCONF, 0};
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
    overlay_have_deinit(&o->dry);
    repairs_deinit(&o->repairs);
    free(o->lacking);
    free(o->problem);
    free(o->fight);
    free(o);
}

void overlay_set_want(struct overlay *o, const struct overlay_want *want)
{
    if (o->has_want && overlay_want_equal(&o->want, want))
        return;
    overlay_want_deinit(&o->want);
    o->want = overlay_want_copy(want);
    o->has_want = true;
    o->is_want_new = true;
    overlay_look(o);
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
    r = read_device(o, &have);
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
    return o->is_programmed && overlay_want_find(&o->want, vtep) && !is_lacking(o, vtep);
}
