/* What the overlay is: the order of it, and an ideal one. */
#include "agent/overlay/have.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/sorted.h"

void overlay_have_deinit(struct overlay_have *have)
{
    free(have->addrs);
    free(have->neighs);
    free(have->fdbs);
    free(have->routes);
    *have = (struct overlay_have){0};
}

uint64_t overlay_mac_key(struct mac mac)
{
    uint64_t key = 0;

    for (size_t i = 0; i < sizeof mac.bytes; i++)
        key = key << 8 | mac.bytes[i];
    return key;
}

static int order(uint64_t x, uint64_t y)
{
    return (x > y) - (x < y);
}

static int neigh_compare(const void *a, const void *b)
{
    return order(((const struct neigh_entry *)a)->addr, ((const struct neigh_entry *)b)->addr);
}

static int fdb_compare(const void *a, const void *b)
{
    const struct fdb_entry *x = a, *y = b;
    int by_mac = order(overlay_mac_key(x->mac), overlay_mac_key(y->mac));

    return by_mac ? by_mac : order(x->remote, y->remote);
}

/* Among the routes to one destination the one that counts (lowest metric) comes first. */
static int route_compare(const void *a, const void *b)
{
    const struct route_entry *x = a, *y = b;
    int by_addr = order(x->dst.addr, y->dst.addr);
    int by_len = order(x->dst.len, y->dst.len);

    if (by_addr)
        return by_addr;
    return by_len ? by_len : order(x->metric, y->metric);
}

void overlay_have_sort(struct overlay_have *have)
{
    sorted_sort(have->neighs, have->neigh_count, sizeof *have->neighs, neigh_compare);
    sorted_sort(have->fdbs, have->fdb_count, sizeof *have->fdbs, fdb_compare);
    sorted_sort(have->routes, have->route_count, sizeof *have->routes, route_compare);
}

static struct link_info ideal_device(const struct overlay_want *want)
{
    struct link_info device = {
        .ifindex = 1,
        .name = MESH_DEVICE_NAME,
        .kind = "vxlan",
        .mac = mac_from_ip4(want->subnet.addr),
        .mtu_bytes = want->mtu_bytes,
        .is_up = true,
        .vxlan = {.vni = want->vni, .port = want->port, .local = want->local},
    };

    memcpy(device.alias, want->alias, sizeof device.alias);
    return device;
}

static void ideal_peer(struct overlay_have *have, const struct overlay_peer *peer, uint8_t len)
{
    int ifindex = have->device.ifindex;
    struct mac mac = mac_from_ip4(peer->vtep);

    have->neighs[have->neigh_count++] = (struct neigh_entry){
        .ifindex = ifindex,
        .addr = peer->vtep,
        .mac = mac,
        .is_permanent = true,
        .is_external = true,
        .protocol = QUILT_ROUTE_PROTOCOL,
    };
    have->fdbs[have->fdb_count++] = (struct fdb_entry){
        .ifindex = ifindex,
        .mac = mac,
        .remote = peer->host_ip,
        .is_permanent = true,
        .is_external = true,
    };
    have->routes[have->route_count++] = (struct route_entry){
        .dst = {.addr = peer->vtep, .len = len},
        .gateway = peer->vtep,
        .ifindex = ifindex,
        .is_onlink = true,
        .scope = RT_SCOPE_UNIVERSE,
        .protocol = QUILT_ROUTE_PROTOCOL,
        .type = RTN_UNICAST,
        .mtu_bytes = peer->mtu_bytes,
    };
}

struct overlay_have overlay_have_from_want(const struct overlay_want *want)
{
    size_t n = want->peer_count ? want->peer_count : 1;
    struct overlay_have have = {
        .device = ideal_device(want),
        .addrs = mem_array(1, sizeof *have.addrs),
        .addr_count = 1,
        .neighs = mem_array(n, sizeof *have.neighs),
        .fdbs = mem_array(n, sizeof *have.fdbs),
        .routes = mem_array(n, sizeof *have.routes),
    };

    have.addrs[0] = (struct addr_entry){
        .ifindex = have.device.ifindex, .addr = want->subnet.addr, .prefix_len = 32};
    for (size_t i = 0; i < want->peer_count; i++)
        ideal_peer(&have, &want->peers[i], want->subnet.len);
    return have;
}
