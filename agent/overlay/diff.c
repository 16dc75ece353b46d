/* The difference between the overlay that should be and the one that is: sorted lists, merged. */
#include "agent/overlay/diff.h"

#include <assert.h>
#include <string.h>

#include "agent/overlay/focus.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/sorted.h"

static const char *const object_names[] = {
    [OVERLAY_DEVICE] = "device", [OVERLAY_ALIAS] = "alias",   [OVERLAY_MAC] = "mac",
    [OVERLAY_MTU] = "mtu",       [OVERLAY_SYSCTL] = "sysctl", [OVERLAY_ADDRESS] = "address",
    [OVERLAY_LINK] = "link",     [OVERLAY_NEIGH] = "neigh",   [OVERLAY_FDB] = "fdb",
    [OVERLAY_ROUTE] = "route",
};
static_assert(ARRAY_LEN(object_names) == OVERLAY_OBJECT_COUNT, "each object has a name");

static const char *const verb_names[] = {
    [OVERLAY_ADD] = "add",
    [OVERLAY_REPLACE] = "replace",
    [OVERLAY_REMOVE] = "remove",
};
static_assert(ARRAY_LEN(verb_names) == OVERLAY_VERB_COUNT, "each verb has a name");

const char *overlay_object_name(enum overlay_object object)
{
    return object_names[object];
}

const char *overlay_verb_name(enum overlay_verb verb)
{
    return verb_names[verb];
}

void overlay_changes_deinit(struct overlay_changes *changes)
{
    free(changes->items);
    *changes = (struct overlay_changes){0};
}

static void add(struct overlay_changes *changes, struct overlay_change change)
{
    if (changes->count == changes->size) {
        changes->size = changes->size ? 2 * changes->size : 64;
        changes->items = mem_resize(changes->items, changes->size, sizeof *changes->items);
    }
    changes->items[changes->count++] = change;
}

/* ---- the device ---------------------------------------------------------------------------- */

/* Between a device's creation and its alias is a moment in which we may have been killed; the MAC
 * address, which nobody else would give, tells that it is ours. */
static bool is_ours(const struct link_info *device, const struct overlay_want *want)
{
    if (strncmp(device->alias, MESH_ALIAS_PREFIX, strlen(MESH_ALIAS_PREFIX)) == 0)
        return true;
    return device->alias[0] == '\0' && mac_equal(device->mac, mac_from_ip4(want->subnet.addr));
}

static int refuse_foreign(const struct link_info *device, const struct overlay_want *want)
{
    if (strcmp(device->kind, "vxlan") != 0) {
        (void)err_fail(EEXIST,
                       "the device " MESH_DEVICE_NAME " is not ours: it is of kind '%s', not a "
                       "VXLAN device; rename or remove it",
                       device->kind);
        return OVERLAY_DIFF_REFUSED;
    }
    if (!is_ours(device, want)) {
        (void)err_fail(EEXIST,
                       "the device " MESH_DEVICE_NAME " is not ours: its alias '%s' does not "
                       "begin with '" MESH_ALIAS_PREFIX "'; rename or remove it",
                       device->alias);
        return OVERLAY_DIFF_REFUSED;
    }
    return 0;
}

static void diff_device(const struct overlay_want *want, const struct link_info *device,
                        struct overlay_changes *changes)
{
    if (strcmp(device->alias, want->alias) != 0)
        add(changes, (struct overlay_change){.object = OVERLAY_ALIAS, .verb = OVERLAY_REPLACE});
    if (!mac_equal(device->mac, mac_from_ip4(want->subnet.addr)))
        add(changes, (struct overlay_change){.object = OVERLAY_MAC, .verb = OVERLAY_REPLACE});
    if (device->mtu_bytes != want->mtu_bytes)
        add(changes, (struct overlay_change){.object = OVERLAY_MTU, .verb = OVERLAY_REPLACE});
}

static bool is_vtep_address(const struct addr_entry *entry)
{
    return entry->prefix_len == 32;
}

static void diff_address(const struct overlay_want *want, const struct overlay_have *have,
                         struct overlay_changes *changes)
{
    for (size_t i = 0; i < have->addr_count; i++)
        if (is_vtep_address(&have->addrs[i]) && have->addrs[i].addr == want->subnet.addr)
            return;
    add(changes, (struct overlay_change){.object = OVERLAY_ADDRESS,
                                         .verb = OVERLAY_ADD,
                                         .addr = want->subnet.addr,
                                         .prefix_len = 32});
}

/* The address of a subnet that we had before: it has the form of a VTEP address (a network's, not
 * a host's) and is not the one of now. Others were put there by somebody else. */
static void diff_old_addresses(const struct overlay_want *want, const struct overlay_have *have,
                               struct overlay_changes *changes)
{
    for (size_t i = 0; i < have->addr_count; i++) {
        const struct addr_entry *entry = &have->addrs[i];

        if (!is_vtep_address(entry) || entry->addr == want->subnet.addr ||
            (entry->addr & ~ip4_mask(want->subnet.len)) != 0)
            continue;
        add(changes, (struct overlay_change){.object = OVERLAY_ADDRESS,
                                             .verb = OVERLAY_REMOVE,
                                             .addr = entry->addr,
                                             .prefix_len = 32});
    }
}

/* ---- neighbours ---------------------------------------------------------------------------- */

static bool neigh_is_right(const struct neigh_entry *entry)
{
    return entry->is_permanent && entry->is_external && entry->protocol == QUILT_ROUTE_PROTOCOL &&
           mac_equal(entry->mac, mac_from_ip4(entry->addr));
}

static struct overlay_change neigh_change(enum overlay_verb verb, uint32_t addr)
{
    return (struct overlay_change){
        .object = OVERLAY_NEIGH, .verb = verb, .addr = addr, .mac = mac_from_ip4(addr)};
}

static void diff_wanted_neighs(const struct overlay_want *want, const struct overlay_have *have,
                               struct overlay_changes *changes)
{
    size_t h = 0;

    for (size_t w = 0; w < want->peer_count; w++) {
        uint32_t vtep = want->peers[w].vtep;

        while (h < have->neigh_count && have->neighs[h].addr < vtep)
            h++;
        if (h == have->neigh_count || have->neighs[h].addr != vtep)
            add(changes, neigh_change(OVERLAY_ADD, vtep));
        else if (!neigh_is_right(&have->neighs[h]))
            add(changes, neigh_change(OVERLAY_REPLACE, vtep));
    }
}

/* Whether what is there with this VTEP address is some peer's, for all that is known. */
static bool may_be_peers(const struct overlay_want *want, uint32_t vtep)
{
    return overlay_want_find(want, vtep) || (want->is_partial && vtep != want->subnet.addr);
}

static int compare_dst_addr(const void *a, const void *b)
{
    uint32_t x = ((const struct route_entry *)a)->dst.addr;
    uint32_t y = ((const struct route_entry *)b)->dst.addr;

    return (x > y) - (x < y);
}

/* Whether a route through this VTEP address is there to be removed first. */
static bool has_route(const struct overlay_have *have, uint32_t vtep)
{
    const struct route_entry key = {.dst.addr = vtep};

    return sorted_find(&key, have->routes, have->route_count, sizeof key, compare_dst_addr);
}

static void diff_surplus_neighs(const struct overlay_want *want, const struct overlay_have *have,
                                struct overlay_changes *changes)
{
    for (size_t h = 0; h < have->neigh_count; h++) {
        struct overlay_change change = neigh_change(OVERLAY_REMOVE, have->neighs[h].addr);

        if (have->neighs[h].protocol != QUILT_ROUTE_PROTOCOL ||
            may_be_peers(want, have->neighs[h].addr))
            continue;
        change.is_after_route = has_route(have, change.addr);
        add(changes, change);
    }
}

/* ---- forwarding entries -------------------------------------------------------------------- */

static struct overlay_change fdb_change(enum overlay_verb verb, struct mac mac, uint32_t remote)
{
    return (struct overlay_change){
        .object = OVERLAY_FDB, .verb = verb, .mac = mac, .remote = remote};
}

static bool fdb_is_plain(const struct fdb_entry *entry, const struct overlay_want *want)
{
    return (entry->port == 0 || entry->port == want->port) &&
           (entry->vni == 0 || entry->vni == want->vni) && entry->via == 0 && entry->nexthop == 0;
}

static bool fdb_is_right(const struct fdb_entry *entry, const struct overlay_peer *peer,
                         const struct overlay_want *want)
{
    return entry->remote == peer->host_ip && entry->is_permanent && entry->is_external &&
           fdb_is_plain(entry, want);
}

/* The entries of one wanted MAC. The kernel's replace rewrites a lone externally learned entry in
 * place. One made by hand keeps its own flags whatever is written over it, and of several entries
 * replace touches one only (vxlan_fdb_update_existing), and one that points to a nexthop
 * has no remote to replace: these are removed and made anew. */
static void diff_wanted_fdb(const struct overlay_want *want, const struct overlay_peer *peer,
                            const struct fdb_entry *entries, size_t count,
                            struct overlay_changes *changes)
{
    struct mac mac = mac_from_ip4(peer->vtep);

    if (count == 1 && fdb_is_right(&entries[0], peer, want))
        return;
    if (count == 1 && entries[0].is_external && entries[0].is_permanent &&
        entries[0].nexthop == 0) {
        add(changes, fdb_change(OVERLAY_REPLACE, mac, peer->host_ip));
        return;
    }
    if (count > 0)
        add(changes, fdb_change(OVERLAY_REMOVE, mac, 0));
    add(changes, fdb_change(OVERLAY_ADD, mac, peer->host_ip));
}

static void diff_wanted_fdbs(const struct overlay_want *want, const struct overlay_have *have,
                             struct overlay_changes *changes)
{
    size_t h = 0;

    for (size_t w = 0; w < want->peer_count; w++) {
        uint64_t key = overlay_mac_key(mac_from_ip4(want->peers[w].vtep));
        size_t first;

        while (h < have->fdb_count && overlay_mac_key(have->fdbs[h].mac) < key)
            h++;
        first = h;
        while (h < have->fdb_count && overlay_mac_key(have->fdbs[h].mac) == key)
            h++;
        diff_wanted_fdb(want, &want->peers[w], have->fdbs + first, h - first, changes);
    }
}

static void diff_surplus_fdbs(const struct overlay_want *want, const struct overlay_have *have,
                              struct overlay_changes *changes)
{
    for (size_t h = 0; h < have->fdb_count; h++) {
        struct mac mac = have->fdbs[h].mac;
        struct overlay_change change = fdb_change(OVERLAY_REMOVE, mac, 0);
        uint32_t vtep;
        bool is_vtep = mac_to_ip4(mac, &vtep);

        if (h > 0 && mac_equal(mac, have->fdbs[h - 1].mac))
            continue;
        if (is_vtep && may_be_peers(want, vtep))
            continue;
        change.is_after_route = is_vtep && has_route(have, vtep);
        add(changes, change);
    }
}

/* ---- routes -------------------------------------------------------------------------------- */

static struct overlay_change route_change(enum overlay_verb verb, struct ip4_prefix dst)
{
    return (struct overlay_change){
        .object = OVERLAY_ROUTE, .verb = verb, .addr = dst.addr, .prefix_len = dst.len};
}

static bool route_is_right(const struct route_entry *entry, const struct overlay_peer *peer)
{
    return entry->mtu_bytes == peer->mtu_bytes && entry->gateway == entry->dst.addr &&
           entry->is_onlink && entry->type == RTN_UNICAST && !entry->is_multipath &&
           entry->metric == 0;
}

static struct overlay_change wanted_route_change(enum overlay_verb verb, struct ip4_prefix dst,
                                                 const struct overlay_peer *peer)
{
    struct overlay_change change = route_change(verb, dst);

    change.mtu_bytes = peer->mtu_bytes;
    return change;
}

static int prefix_order(struct ip4_prefix a, struct ip4_prefix b)
{
    if (a.addr != b.addr)
        return a.addr < b.addr ? -1 : 1;
    return (a.len > b.len) - (a.len < b.len);
}

static void diff_wanted_routes(const struct overlay_want *want, const struct overlay_have *have,
                               struct overlay_changes *changes)
{
    size_t h = 0;

    for (size_t w = 0; w < want->peer_count; w++) {
        const struct overlay_peer *peer = &want->peers[w];
        struct ip4_prefix dst = {.addr = peer->vtep, .len = want->subnet.len};

        while (h < have->route_count && prefix_order(have->routes[h].dst, dst) < 0)
            h++;
        if (h == have->route_count || prefix_order(have->routes[h].dst, dst) != 0 ||
            have->routes[h].metric != 0)
            add(changes, wanted_route_change(OVERLAY_ADD, dst, peer));
        else if (!route_is_right(&have->routes[h], peer))
            add(changes, wanted_route_change(OVERLAY_REPLACE, dst, peer));
    }
}

static void diff_surplus_routes(const struct overlay_want *want, const struct overlay_have *have,
                                struct overlay_changes *changes)
{
    for (size_t h = 0; h < have->route_count; h++) {
        struct ip4_prefix dst = have->routes[h].dst;

        if (h > 0 && prefix_order(dst, have->routes[h - 1].dst) == 0)
            continue;
        if (dst.len == want->subnet.len && may_be_peers(want, dst.addr))
            continue;
        add(changes, route_change(OVERLAY_REMOVE, dst));
    }
}

/* -------------------------------------------------------------------------------------------- */

static void diff_contents(const struct overlay_want *want, const struct overlay_have *have,
                          struct overlay_changes *changes)
{
    diff_address(want, have, changes);
    if (!have->device.is_up)
        add(changes, (struct overlay_change){.object = OVERLAY_LINK, .verb = OVERLAY_REPLACE});
    diff_wanted_neighs(want, have, changes);
    diff_wanted_fdbs(want, have, changes);
    diff_wanted_routes(want, have, changes);
    diff_surplus_routes(want, have, changes);
    diff_surplus_fdbs(want, have, changes);
    diff_surplus_neighs(want, have, changes);
    diff_old_addresses(want, have, changes);
}

int overlay_diff(const struct overlay_want *want, const struct overlay_have *have,
                 struct overlay_changes *changes)
{
    const struct overlay_have nothing = {0};
    const struct vxlan_spec spec = overlay_want_device(want);
    const char *difference;
    bool is_right = false;
    int r;

    if (have->device.ifindex != 0) {
        r = refuse_foreign(&have->device, want);
        if (r != 0)
            return r;
        is_right = vxlan_matches(&have->device, &spec, &difference);
        if (!is_right)
            add(changes, (struct overlay_change){.object = OVERLAY_DEVICE, .verb = OVERLAY_REMOVE});
    }
    if (is_right)
        diff_device(want, &have->device, changes);
    else
        add(changes, (struct overlay_change){.object = OVERLAY_DEVICE, .verb = OVERLAY_ADD});
    diff_contents(want, is_right ? have : &nothing, changes);
    return 0;
}
