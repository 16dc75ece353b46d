/* Endpoints in the fast path. */
#include "runtime/fastpath.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/fastpath.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/bpf/hook.h"
#include "lib/bpf/map.h"

static const struct set_loaded *sender(const struct kernel *kernel)
{
    return &kernel->set->programs[SET_FROM_CONTAINER];
}

static int endpoint_map(const struct kernel *kernel)
{
    return kernel->set->maps[SET_ENDPOINTS];
}

/* ---- one endpoint -------------------------------------------------------------------------- */

uint32_t fastpath_slot(uint32_t addr)
{
    return addr % FASTPATH_ENDPOINT_SLOTS;
}

static struct fastpath_endpoint make_record(uint32_t addr, const struct link_info *host)
{
    struct fastpath_endpoint record = {.addr_be = htonl(addr),
                                       .ifindex = (uint32_t)host->ifindex,
                                       .mtu = host->mtu_bytes,
                                       .slot = fastpath_slot(addr)};
    struct mac mac = mac_from_ip4(addr), gateway = plug_host_mac();

    memcpy(record.mac, mac.bytes, sizeof record.mac);
    memcpy(record.gateway_mac, gateway.bytes, sizeof record.gateway_mac);
    return record;
}

static int write_record(struct kernel *kernel, uint32_t addr, const struct link_info *host)
{
    struct fastpath_endpoint want = make_record(addr, host), have;
    uint32_t index = fastpath_endpoint_index(addr);
    int r = map_get(endpoint_map(kernel), &index, &have);

    if (r < 0 || memcmp(&want, &have, sizeof want) == 0)
        return r;
    if (have.addr_be != 0 && have.addr_be != want.addr_be) /* its place is taken */
        return 0;
    kernel->writes[KERNEL_FASTPATH]++;
    if (have.addr_be == 0) {
        r = map_clear(kernel->set->maps[SET_ENDPOINT_COUNTS], want.slot,
                      sizeof(struct fastpath_counts));
        if (r < 0)
            return r;
    }
    return map_put(endpoint_map(kernel), &index, &want);
}

static int put(struct kernel *kernel, uint32_t addr, const struct link_info *host)
{
    int r = write_record(kernel, addr, host);

    if (r == 0)
        r = hook_attach(host->ifindex, sender(kernel));
    if (r == -ENODEV) /* gone meanwhile: the next look finds out */
        return 0;
    if (r < 0)
        return r;
    kernel->writes[KERNEL_FASTPATH] += (unsigned int)r;
    return 0;
}

int fastpath_put(struct kernel *kernel, const struct endpoint *endpoint,
                 const struct link_info *host)
{
    int r = kernel->set ? put(kernel, endpoint->addr, host) : 0;

    return r < 0 ? err_wrap(r, "fast path of %s", host->name) : 0;
}

int fastpath_drop(struct kernel *kernel, uint32_t addr)
{
    static const struct fastpath_endpoint none;
    uint32_t index = fastpath_endpoint_index(addr);
    struct fastpath_endpoint have = none;
    int r = kernel->set ? map_get(endpoint_map(kernel), &index, &have) : 0;

    if (r < 0 || have.addr_be != htonl(addr))
        return r;
    kernel->writes[KERNEL_FASTPATH]++;
    return map_put(endpoint_map(kernel), &index, &none);
}

/* ---- all of them --------------------------------------------------------------------------- */

/* What the agent took away while we had it open. */
static int take_off(struct kernel *kernel, const struct view *view)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < view->link_count; i++) {
        if (!plug_is_ours(&view->links[i]))
            continue;
        r = hook_detach(view->links[i].ifindex, sender(kernel));
        if (r == -ENODEV)
            r = 0;
    }
    return r < 0 ? r : 0;
}

bool fastpath_is_current(const struct kernel *kernel)
{
    AUTO_SET struct set *pinned = NULL;

    return kernel->set ? set_is_current(kernel->set) : set_open(&pinned) != 0;
}

/* *kernel->set becomes what is pinned now, NULL when nothing is. */
static int follow_pins(struct kernel *kernel, const struct view *view)
{
    struct set *set = NULL;
    int r;

    if (kernel->set && set_is_current(kernel->set))
        return 0;
    r = set_open(&set);
    if (r < 0)
        return r;
    if (kernel->set && (r == SET_NONE || !set_is_same(kernel->set, set)))
        r = take_off(kernel, view);
    if (!kernel->set != !set)
        log_info(set ? "endpoints use the fast path" : "endpoints leave the fast path");
    set_free(kernel->set);
    kernel->set = set;
    return r < 0 ? r : 0;
}

/* What was repaired in this look is not in the view. */
static bool find_device(struct kernel *kernel, const struct view *view,
                        const struct endpoint *endpoint, struct link_info *ret_host)
{
    char name[IFNAMSIZ];
    const struct link_info *known;

    endpoint_host_ifname(endpoint->addr, name);
    known = view_find_link(view, name);
    if (known)
        *ret_host = *known;
    return (known || link_get(kernel->nl, name, ret_host) == 0) && plug_is_ours(ret_host);
}

static int put_all(struct kernel *kernel, const struct state *state, const struct view *view)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < state->endpoints.count; i++) {
        const struct endpoint *endpoint = &state->endpoints.items[i];
        struct link_info host;

        if (find_device(kernel, view, endpoint, &host))
            r = fastpath_put(kernel, endpoint, &host);
        else
            r = fastpath_drop(kernel, endpoint->addr);
    }
    return r;
}

static int drop_strangers(struct kernel *kernel, const struct state *state)
{
    AUTO_FREE void *values = NULL;
    const struct fastpath_endpoint *records;
    int r = map_read_array(endpoint_map(kernel), sizeof *records, FASTPATH_ENDPOINTS_MAX, &values);

    records = values;
    for (uint32_t i = 0; r == 0 && i < FASTPATH_ENDPOINTS_MAX; i++) {
        uint32_t addr = ntohl(records[i].addr_be);

        if (addr != 0 && !endpoint_table_find_addr(&state->endpoints, addr))
            r = fastpath_drop(kernel, addr);
    }
    return r;
}

int fastpath_sync(struct kernel *kernel, const struct state *state, const struct view *view)
{
    int r = follow_pins(kernel, view);

    if (r < 0 || !kernel->set)
        return r;
    r = drop_strangers(kernel, state);
    return r == 0 ? put_all(kernel, state, view) : r;
}
