/* One look: what the overlay should be, what it is, and the difference written. */

#include "agent/overlay/internal.h"
#include "agent/overlay/say.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/sorted.h"

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

/* Route changes stand together in a difference. Of what the look was not about nothing is new. */
static void note_lacking(struct overlay *o, const struct focus *focus,
                         const struct overlay_changes *changes)
{
    size_t count, kept = 0;
    const struct overlay_change *route = first_route(changes, &count);

    for (size_t i = 0; i < o->lacking_count; i++)
        if (!focus_has(focus, o->lacking[i]))
            o->lacking[kept++] = o->lacking[i];
    o->lacking = mem_resize(o->lacking, kept + count + 1, sizeof *o->lacking);
    o->lacking_count = kept;
    for (size_t i = 0; i < count; i++)
        o->lacking[o->lacking_count++] = route[i].addr;
    sorted_sort(o->lacking, o->lacking_count, sizeof *o->lacking, overlay_compare_vteps);
}

static void hand_routes_over(struct overlay *o, const struct overlay_changes *changes)
{
    size_t count;
    const struct overlay_change *route = first_route(changes, &count);

    if (count > 0)
        o->config.routes(o->config.data, route, count);
}

/* ---- reading and writing ------------------------------------------------------------------- */

int overlay_read_device(struct overlay *o, struct overlay_have *have)
{
    int r = link_get(o->nl, MESH_DEVICE_NAME, &have->device);

    if (r == -ENODEV)
        have->device = (struct link_info){0};
    else if (r < 0)
        return r;
    o->resized += o->ifindex != have->device.ifindex;
    o->ifindex = have->device.ifindex;
    o->is_device_up = have->device.is_up;
    return 0;
}

static bool is_all_fresh(const struct overlay *o, const struct overlay_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++)
        if (changes->items[i].object != OVERLAY_ROUTE && overlay_is_repair(o, &changes->items[i]))
            return false;
    return true;
}

/* A setting that cannot be made keeps nothing else from being written, and is what is told. */
static int write_changes(struct overlay *o, const struct overlay_changes *changes)
{
    AUTO_FREE char *text = NULL;
    int r = 0, r_apply;

    if (o->ifindex != 0)
        r = overlay_ensure_sysctls(&o->counts);
    if (changes->count == 0)
        return r;
    if (r < 0)
        text = mem_strdup(err_text());
    overlay_say(changes, is_all_fresh(o, changes) ? "programming" : "repairing", false);
    r_apply = overlay_apply(o->nl, &o->want, changes, &o->ifindex, &o->counts);
    return r < 0 ? err_fail(-r, "%s", text) : r_apply;
}

/* Containers have addresses of the subnet that the device was made for, and keep them until the
 * runtime has taken another one. Packets for them would be lost if the device moved first. */
static int check_subnet_taken(const struct overlay *o, const struct link_info *device)
{
    struct ip4_prefix was = {.len = o->want.subnet.len};
    char is_text[IP4_PREFIX_TEXT_SIZE], was_text[IP4_PREFIX_TEXT_SIZE];

    if (device->ifindex == 0 || !mac_to_ip4(device->mac, &was.addr) ||
        was.addr == o->want.subnet.addr || o->config.can_route(o->config.data))
        return 0;
    return err_fail(EBUSY,
                    "this node's subnet is now %s, but the runtime has not taken it: the overlay "
                    "stays with %s; detach every endpoint that has an address of that, and attach "
                    "them when the runtime has it, in 10 s at most",
                    ip4_prefix_format(o->want.subnet, is_text), ip4_prefix_format(was, was_text));
}

static int read_kernel(struct overlay *o, const struct focus *focus, struct overlay_have *have)
{
    int r = overlay_read_device(o, have);

    if (r < 0)
        return r;
    if (focus->is_all)
        return overlay_have_dump(o->nl, have);
    if (o->ifindex == 0)
        return OVERLAY_HAVE_UNSURE;
    have->addrs =
        mem_array(1, sizeof *have->addrs); /* events tell of those, and then all is looked at */
    have->addrs[have->addr_count++] =
        (struct addr_entry){.ifindex = o->ifindex, .addr = o->want.subnet.addr, .prefix_len = 32};
    return overlay_have_look_up(o->nl, focus->vteps, focus->count, o->want.subnet.len, have);
}

static int compare(struct overlay *o, const struct focus *focus, const struct overlay_have *have,
                   struct overlay_changes *ret_changes)
{
    struct overlay_want some;
    int r;

    if (focus->is_all)
        return overlay_diff(&o->want, have, ret_changes);
    some = focus_want(focus, &o->want);
    r = overlay_diff(&some, have, ret_changes);
    overlay_want_deinit(&some);
    return r;
}

static void note_applied(struct overlay *o, const struct focus *focus,
                         const struct overlay_changes *changes)
{
    o->is_device_up = true;
    o->is_programmed = o->ifindex != 0; /* a device may be held back */
    hand_routes_over(o, changes);
    note_lacking(o, focus, changes);
    if (o->is_waiting)
        return;
    if (focus->is_all)
        o->fresh = (struct focus){0};
    else
        focus_drop(&o->fresh, focus);
}

/* OVERLAY_HAVE_UNSURE: it takes a look at all. */
static int compare_and_write(struct overlay *o, const struct focus *focus,
                             struct overlay_have *have, int64_t *ret_next_ms)
{
    struct overlay_changes changes = {0};
    int r = read_kernel(o, focus, have);

    if (r != 0)
        return r;
    r = compare(o, focus, have, &changes);
    if (r > 0)
        r = -EEXIST;
    if (r == 0)
        r = check_subnet_taken(o, &have->device);
    if (r == 0 && !focus->is_all && changes.count > 0 && changes.items[0].object < OVERLAY_NEIGH)
        r = OVERLAY_HAVE_UNSURE;
    if (r == 0) {
        *ret_next_ms = overlay_hold_back(o, &changes, clock_boot_ms());
        r = write_changes(o, &changes);
        if (r == 0)
            note_applied(o, focus, &changes);
    }
    overlay_changes_deinit(&changes);
    return r;
}

static int look_at_some(struct overlay *o, const struct focus *focus, int64_t *ret_next_ms)
{
    struct overlay_have have = {0};
    int r = compare_and_write(o, focus, &have, ret_next_ms);

    overlay_have_deinit(&have);
    return r;
}

/* ---- a look -------------------------------------------------------------------------------- */

/* A routed host has its address on no device that sends: the largest of its ways counts. */
static uint32_t underlay_bytes(const struct overlay *o)
{
    uint32_t bytes = o->underlay.mtu_bytes;

    if (bytes == 0)
        bytes = overlay_paths_largest(&o->paths);
    return bytes == 0 ? UNDERLAY_MTU_BYTES_USUAL : bytes;
}

/* The MTU of the device, and of each route; peers that get another one are looked at, too. */
static int size_up(struct overlay *o, struct focus *focus)
{
    struct focus changed = {0};
    uint32_t before_bytes = o->want.mtu_bytes;
    int r = overlay_paths_look(&o->paths, o->nl);

    if (r < 0)
        return r;
    o->want.mtu_bytes = underlay_bytes(o) - MESH_OVERHEAD_BYTES;
    o->resized += o->want.mtu_bytes != before_bytes;
    overlay_paths_narrow(&o->paths, &o->want, &changed);
    o->fresh.is_all |= changed.is_all;
    focus->is_all |= changed.is_all;
    for (size_t i = 0; i < changed.count; i++) {
        focus_add(&o->fresh, changed.vteps[i]);
        focus_add(focus, changed.vteps[i]);
    }
    return 0;
}

static int look_at_all(struct overlay *o, int64_t *ret_next_ms)
{
    struct focus all = {.is_all = true};
    int r = underlay_look(o->nl, o->config.host_ip, &o->underlay);

    if (r < 0)
        return r;
    if (!o->has_want)
        return 0;
    r = size_up(o, &all);
    return r < 0 ? r : look_at_some(o, &all, ret_next_ms);
}

int overlay_take_look(struct overlay *o, struct focus *focus, int64_t *ret_next_ms)
{
    int r = OVERLAY_HAVE_UNSURE;

    if (!focus->is_all && o->has_want && o->is_programmed)
        r = size_up(o, focus);
    if (r == 0 && !focus->is_all)
        r = look_at_some(o, focus, ret_next_ms);
    else if (r == 0)
        r = OVERLAY_HAVE_UNSURE;
    if (r != OVERLAY_HAVE_UNSURE)
        return r;
    o->sweep_ms = clock_boot_ms() + SWEEP_MS;
    return look_at_all(o, ret_next_ms);
}

int overlay_take_dry_look(struct overlay *o)
{
    struct overlay_changes changes = {0};
    int r;

    o->sweep_ms = clock_boot_ms() + SWEEP_MS;
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
        o->fresh = (struct focus){0};
    }
    overlay_changes_deinit(&changes);
    return r;
}
