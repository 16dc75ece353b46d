/* One look at devices, endpoints and routes. */
#include <stdio.h>
#include <string.h>

#include "lib/api/mesh.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/sorted.h"
#include "lib/bpf/pins.h"
#include "runtime/fastpath.h"
#include "runtime/reconcile.h"

/* ---- the MTU --------------------------------------------------------------------------------- */

/* Of the device of the default route, less what the overlay puts around each packet. */
static uint32_t guess_mtu(struct reconcile *rc, const struct view *view)
{
    AUTO_FREE struct route_entry *routes = NULL;
    size_t count;

    if (route_get_exact(rc->kernel->nl, (struct ip4_prefix){0}, &routes, &count) < 0)
        return RECONCILE_MTU_DEFAULT;
    for (size_t i = 0; count > 0 && i < view->link_count; i++) {
        if (view->links[i].ifindex == routes[0].ifindex &&
            view->links[i].mtu_bytes > MESH_OVERHEAD_BYTES)
            return view->links[i].mtu_bytes - MESH_OVERHEAD_BYTES;
    }
    return RECONCILE_MTU_DEFAULT;
}

/* The overlay's MTU is everybody's; while it is away the last one seen stays, so that its being
 * made anew disturbs no container. */
static void update_mtu(struct reconcile *rc, const struct view *view)
{
    const struct link_info *overlay = view_find_overlay(view);
    int ifindex = overlay ? overlay->ifindex : 0;
    uint32_t mtu_bytes;

    if (rc->overlay_ifindex != ifindex) { /* its entries came before we knew it for the overlay */
        rc->are_peers_known = false;
        rc->is_frames_known = false; /* they name the device */
    }
    rc->overlay_ifindex = ifindex;
    if (overlay && overlay->mtu_bytes != rc->state->mtu_bytes) {
        rc->state->mtu_bytes = overlay->mtu_bytes;
        rc->changed_fn(rc->changed_data);
    }
    mtu_bytes = rc->state->mtu_bytes ? rc->state->mtu_bytes : guess_mtu(rc, view);
    if (rc->mtu_bytes != mtu_bytes) {
        rc->mtu_bytes = mtu_bytes;
        rc->is_frames_known = false; /* they name it, too */
    }
}

/* ---- endpoints ------------------------------------------------------------------------------- */

/* While our device is there its namespace lives, even when its path is gone. */
static int rebuild(struct reconcile *rc, const struct endpoint *endpoint, struct link_info *link)
{
    int r = plug_build(rc->kernel, endpoint, rc->mtu_bytes);

    if (r == PLUG_GONE && link)
        r = plug_build_host(rc->kernel, endpoint, link, rc->mtu_bytes);
    return r;
}

static int repair_endpoint(struct reconcile *rc, const struct endpoint *endpoint,
                           enum endpoint_health health, struct link_info *link)
{
    switch (health) {
    case ENDPOINT_MISSING:
    case ENDPOINT_BROKEN:
        return rebuild(rc, endpoint, link);
    case ENDPOINT_MTU:
        return plug_set_mtu(rc->kernel, endpoint, link, rc->mtu_bytes);
    case ENDPOINT_FOREIGN:
        return err_fail(EEXIST, "a device %s exists that is not ours; it is left alone",
                        link->name);
    case ENDPOINT_WHOLE:
        break;
    }
    return 0;
}

static void look_at_endpoint(struct reconcile *rc, const struct view *view,
                             const struct endpoint *endpoint, int64_t now_ms)
{
    struct link_info *link;
    enum endpoint_health health = view_check_endpoint(view, endpoint, rc->mtu_bytes, &link);
    AUTO_FREE char *key = NULL;
    int r;

    key = mem_printf("endpoint %s/%s", endpoint->id, endpoint->ifname);
    if (health == ENDPOINT_WHOLE) {
        guard_settle(&rc->guard, key);
        return;
    }
    if (!guard_allows(&rc->guard, key, now_ms))
        return;
    r = repair_endpoint(rc, endpoint, health, link);
    if (r == PLUG_GONE) /* the container died; whoever attached it will detach it */
        guard_settle(&rc->guard, key);
    else
        reconcile_note(rc, KERNEL_ENDPOINT, key, r, now_ms);
    if (r != 0)
        return;
    if (reconcile_put_device(rc, endpoint->addr) < 0)
        log_debug("a device that was just made", LOG_ERR()); /* has gone: the next look tells */
    rc->are_chains_known = false;                            /* one of them is to be on it */
}

/* A device of ours without a record: a detach whose second half a crash cut off. */
static void remove_if_orphan(struct reconcile *rc, const struct link_info *link, int64_t now_ms)
{
    AUTO_FREE char *key = NULL;
    uint32_t addr;
    int r;

    if (!plug_is_ours(link) || !endpoint_host_ifname_parse(link->name, &addr) ||
        endpoint_table_find_addr(&rc->state->endpoints, addr))
        return;
    key = mem_printf("orphan %s", link->name);
    if (!guard_allows(&rc->guard, key, now_ms))
        return;
    r = plug_remove(rc->kernel, addr);
    if (r == 0)
        log_info("removed a device that no endpoint has", LOG_S("device", link->name),
                 LOG_S("alias", link->alias));
    reconcile_note(rc, KERNEL_ENDPOINT, key, r, now_ms);
}

/* ---- routes ---------------------------------------------------------------------------------- */

static void look_at_route(struct reconcile *rc, const struct view *view, const struct route *route,
                          int64_t now_ms)
{
    char dst[IP4_PREFIX_TEXT_SIZE], key[64];
    struct route_entry want;
    enum route_health health = view_check_route(view, route, rc->state->cluster, &want);
    int r = -EEXIST; /* held back because it was refused before */

    (void)snprintf(key, sizeof key, "route %s", ip4_prefix_format(route->dst, dst));
    if (health != ROUTE_MISSING) {
        guard_settle(&rc->guard, key); /* not ready yet is no error: its device's event comes */
        return;
    }
    if (guard_allows(&rc->guard, key, now_ms)) {
        r = kernel_ensure_route(rc->kernel, rc->kernel->nl, &want, KERNEL_ROUTE);
        reconcile_note(rc, KERNEL_ROUTE, key, r, now_ms);
    }
    if (r < 0)
        rc->refused[rc->refused_count++] = route->dst;
}

static void look_at_routes(struct reconcile *rc, const struct view *view, int64_t now_ms)
{
    const struct route_table *table = &rc->state->routes;

    rc->refused = mem_resize(rc->refused, table->count + 1, sizeof *rc->refused);
    rc->refused_count = 0;
    for (size_t i = 0; i < table->count; i++)
        look_at_route(rc, view, &table->items[i], now_ms);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void look_at_fastpath(struct reconcile *rc, const struct view *view, int64_t now_ms)
{
    static const char key[] = "fast path";
    int r;

    if (!guard_allows(&rc->guard, key, now_ms))
        return;
    pins_watch_follow(rc->pins);
    r = fastpath_sync(rc->kernel, rc->state, view);
    if (r < 0)
        reconcile_note(rc, KERNEL_FASTPATH, key, r, now_ms);
    else
        guard_settle(&rc->guard, key);
}

void reconcile_net(struct reconcile *rc, const struct view *view, int64_t now_ms)
{
    update_mtu(rc, view);
    for (size_t i = 0; i < view->link_count; i++)
        remove_if_orphan(rc, &view->links[i], now_ms);
    reconcile_follow_devices(rc, view);
    for (size_t i = 0; i < rc->state->endpoints.count; i++)
        look_at_endpoint(rc, view, &rc->state->endpoints.items[i], now_ms);
    look_at_routes(rc, view, now_ms);
    look_at_fastpath(rc, view, now_ms);
}

void reconcile_sysctls(struct reconcile *rc, int64_t now_ms)
{
    static const char key[] = "sysctl net.ipv4.ip_forward";
    uint64_t before = rc->kernel->writes[KERNEL_SYSCTL];
    int r;

    if (!guard_allows(&rc->guard, key, now_ms))
        return;
    r = kernel_ensure_sysctl(rc->kernel, "net/ipv4/ip_forward", "1", KERNEL_SYSCTL);
    for (size_t i = 0; r == 0 && i < rc->state->endpoints.count; i++) {
        char host_ifname[IFNAMSIZ];

        endpoint_host_ifname(rc->state->endpoints.items[i].addr, host_ifname);
        r = plug_ensure_sysctls(rc->kernel, host_ifname);
    }
    if (r < 0 || rc->kernel->writes[KERNEL_SYSCTL] != before)
        reconcile_note(rc, KERNEL_SYSCTL, key, r, now_ms);
    else
        guard_settle(&rc->guard, key);
}
