/* A kernel for the overlay, simulated by arrays. */
#include "tests/unit/agent/overlay_sim.h"

#include <stdlib.h>
#include <string.h>

struct overlay_want make_want(size_t count)
{
    struct overlay_want want = {
        .alias = "quilt:test:overlay",
        .vni = 100,
        .port = 4789,
        .local = 0xc0a8010a, /* 192.168.1.10 */
        .subnet = {.addr = 0x0a000100, .len = 24},
        .mtu_bytes = 1450,
        .peers = mem_array(count + 1, sizeof *want.peers),
    };

    for (size_t i = 0; i < count; i++)
        want.peers[want.peer_count++] = (struct overlay_peer){
            .vtep = 0x0a000200 + (uint32_t)i * 256, .host_ip = 0xc0a80000 + 11 + (uint32_t)i};
    return want;
}

static void simulate_device(struct overlay_have *have, const struct overlay_want *want,
                            const struct overlay_change *change)
{
    struct overlay_want alone = *want;

    overlay_have_deinit(have);
    if (change->verb == OVERLAY_REMOVE)
        return;
    alone.peer_count = 0;
    *have = overlay_have_from_want(&alone);
    have->addr_count = 0;
    have->device.is_up = false;
}

static void simulate_fdb(struct overlay_have *have, const struct overlay_change *change)
{
    struct fdb_entry entry = {
        .mac = change->mac, .remote = change->remote, .is_permanent = true, .is_external = true};

    /* replace rewrites a lone external entry; what else there is stays (as in the kernel) */
    if (change->verb == OVERLAY_REPLACE)
        REMOVE_WHERE(have->fdbs, have->fdb_count,
                     mac_equal(have->fdbs[i].mac, change->mac) && have->fdbs[i].is_external);
    if (change->verb == OVERLAY_REMOVE) {
        REMOVE_WHERE(have->fdbs, have->fdb_count,
                     mac_equal(have->fdbs[i].mac, change->mac) &&
                         (change->remote == 0 || have->fdbs[i].remote == change->remote));
        return;
    }
    APPEND(have->fdbs, have->fdb_count, entry);
}

static void simulate_neigh(struct overlay_have *have, const struct overlay_change *change)
{
    struct neigh_entry entry = {.addr = change->addr,
                                .mac = change->mac,
                                .is_permanent = true,
                                .is_external = true,
                                .protocol = 81};

    REMOVE_WHERE(have->neighs, have->neigh_count, have->neighs[i].addr == change->addr);
    if (change->verb != OVERLAY_REMOVE)
        APPEND(have->neighs, have->neigh_count, entry);
}

static void simulate_route(struct overlay_have *have, const struct overlay_change *change)
{
    struct route_entry entry = {.dst = {.addr = change->addr, .len = change->prefix_len},
                                .gateway = change->addr,
                                .is_onlink = true,
                                .protocol = 81,
                                .type = RTN_UNICAST,
                                .mtu_bytes = change->mtu_bytes};

    REMOVE_WHERE(have->routes, have->route_count,
                 have->routes[i].dst.addr == change->addr &&
                     have->routes[i].dst.len == change->prefix_len);
    if (change->verb != OVERLAY_REMOVE)
        APPEND(have->routes, have->route_count, entry);
}

static void simulate_address(struct overlay_have *have, const struct overlay_change *change)
{
    struct addr_entry entry = {.addr = change->addr, .prefix_len = change->prefix_len};

    REMOVE_WHERE(have->addrs, have->addr_count, have->addrs[i].addr == change->addr);
    if (change->verb != OVERLAY_REMOVE)
        APPEND(have->addrs, have->addr_count, entry);
}

void simulate(struct overlay_have *have, const struct overlay_want *want,
              const struct overlay_change *change)
{
    switch (change->object) {
    case OVERLAY_DEVICE:
        simulate_device(have, want, change);
        break;
    case OVERLAY_ALIAS:
        memcpy(have->device.alias, want->alias, sizeof have->device.alias);
        break;
    case OVERLAY_MAC:
        have->device.mac = mac_from_ip4(want->subnet.addr);
        break;
    case OVERLAY_MTU:
        have->device.mtu_bytes = want->mtu_bytes;
        break;
    case OVERLAY_LINK:
        have->device.is_up = true;
        break;
    case OVERLAY_ADDRESS:
        simulate_address(have, change);
        break;
    case OVERLAY_NEIGH:
        simulate_neigh(have, change);
        break;
    case OVERLAY_FDB:
        simulate_fdb(have, change);
        break;
    case OVERLAY_ROUTE:
        simulate_route(have, change);
        break;
    case OVERLAY_SYSCTL:
    case OVERLAY_OBJECT_COUNT:
        abort();
    }
}
