/* One look at the firewall table. Who the peers are is read from the overlay device itself: its
 * forwarding entries are the hosts that the agent lets in, and no message about them can be lost
 * between the two daemons.
 *
 *     entries that came and went, endpoints ── members ── the few elements that differ ──> sets
 *     somebody else has changed one of ours ── the whole table listed, compared, repaired
 */
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

#include "lib/api/mesh.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/net/fdb.h"
#include "runtime/firewall_elements.h"
#include "runtime/reconcile.h"

static const char guard_key[] = "firewall table " FIREWALL_FAMILY " " FIREWALL_TABLE;

/* ---- who the members are ------------------------------------------------------------------- */

/* An entry that leads to no host may stand beside one that does (a bridge's own, of the same MAC):
 * only a listing tells. */
void reconcile_peer_event(struct reconcile *rc, const struct nl_event *event)
{
    if (event->is_removal)
        peers_drop(&rc->peers, event->mac, event->addr);
    else if (event->addr != 0)
        peers_put(&rc->peers, event->mac, event->addr);
    else
        rc->are_peers_known = false;
}

static int load_peers(struct reconcile *rc)
{
    AUTO_FREE struct fdb_entry *entries = NULL;
    size_t count = 0;
    int r = 0;

    if (rc->overlay_ifindex)
        r = fdb_dump(rc->kernel->nl, rc->overlay_ifindex, &entries, &count);
    if (r == -ENODEV) /* gone since the last look at devices */
        r = 0;
    if (r < 0)
        return r;
    peers_begin_listing(&rc->peers);
    for (size_t i = 0; i < count; i++)
        if (entries[i].remote != 0)
            peers_put(&rc->peers, entries[i].mac, entries[i].remote);
    peers_end_listing(&rc->peers);
    rc->are_peers_known = true;
    return 0;
}

static void follow_endpoints(struct reconcile *rc)
{
    const struct endpoint_table *table = &rc->state->endpoints;
    struct member_list next = {.items = mem_array(table->count + 1, sizeof *next.items),
                               .count = table->count};

    for (size_t i = 0; i < table->count; i++)
        next.items[i] = (struct member){.set = MEMBERS_ENDPOINTS, .addr = table->items[i].addr};
    members_sort(&next);
    members_follow(&rc->members, &rc->endpoints, next);
}

/* A device is none of ours to lead to when its endpoint has gone. */
static void drop_devices(struct reconcile *rc)
{
    struct member_list next = {.items = mem_array(rc->devices.count + 1, sizeof *next.items)};
    size_t endpoint = 0;

    for (size_t i = 0; i < rc->devices.count; i++) {
        const struct member *device = &rc->devices.items[i];

        while (endpoint < rc->endpoints.count && rc->endpoints.items[endpoint].addr < device->addr)
            endpoint++;
        if (endpoint < rc->endpoints.count && rc->endpoints.items[endpoint].addr == device->addr)
            next.items[next.count++] = *device;
    }
    if (members_follow(&rc->members, &rc->devices, next))
        rc->are_chains_known = false; /* one of them has no endpoint any more */
}

/* A route that the short cut may stand for: to a node's network, by the overlay, with its MTU. */
static bool is_plain(const struct reconcile *rc, const struct route *route)
{
    return route->dst.len == rc->state->subnet.len && route->gateway != 0 &&
           route->mtu_bytes == 0 && strcmp(route->via, MESH_DEVICE_NAME) == 0;
}

/* Routes are sorted by destination, and so are those that the kernel refused: somebody else's is in
 * their place. */
static void follow_hops(struct reconcile *rc)
{
    const struct route_table *table = &rc->state->routes;
    struct member_list next = {.items = mem_array(table->count + 1, sizeof *next.items)};
    size_t refused = 0;

    for (size_t i = 0; rc->has_short_cut && i < table->count; i++) {
        const struct route *route = &table->items[i];
        int order = -1;

        while (refused < rc->refused_count &&
               (order = route_prefix_compare(rc->refused[refused], route->dst)) < 0)
            refused++;
        if (!is_plain(rc, route) || (refused < rc->refused_count && order == 0))
            continue;
        next.items[next.count++] =
            (struct member){.set = MEMBERS_HOPS, .addr = route->dst.addr, .to = route->gateway};
    }
    members_follow(&rc->members, &rc->hops, next);
}

/* ---- transactions of our own --------------------------------------------------------------- */

static bool is_generation(struct reconcile *rc, uint32_t expected)
{
    uint32_t now;

    return nft_generation(rc->kernel->elements, &now) == 0 && now == expected;
}

bool reconcile_firewall_is_current(struct reconcile *rc)
{
    return rc->is_firewall_known && rc->nft.is_known && is_generation(rc, rc->nft.generation);
}

/* What cannot be told is a reason to look, no failure. */
void reconcile_begin_write(struct reconcile *rc)
{
    rc->nft.is_known = rc->nft.is_known && is_generation(rc, rc->nft.generation);
}

/* So many more than before: nobody but us has changed anything. */
void reconcile_end_write(struct reconcile *rc, int transactions)
{
    rc->nft.generation += (uint32_t)transactions;
    rc->nft.is_known = rc->nft.is_known && is_generation(rc, rc->nft.generation);
}

/* ---- writing members ----------------------------------------------------------------------- */

struct writing {
    const struct reconcile *rc;
    struct nft_element *elements;
    size_t count;
};

static bool has_set(const struct reconcile *rc)
{
    return rc->has_short_cut && rc->is_frames_known;
}

/* A table that is not known gets them when it is written. */
static void add_elements(struct writing *writing, const struct member *members, size_t count,
                         bool is_removal)
{
    for (size_t i = 0; i < count; i++) {
        struct nft_element some[FIREWALL_ELEMENTS_MAX];
        size_t n = firewall_elements(&members[i], some);

        for (size_t k = 0; k < n; k++) {
            if (some[k].family == NFPROTO_NETDEV && !has_set(writing->rc))
                continue;
            some[k].is_removal = is_removal;
            writing->elements[writing->count++] = some[k];
        }
    }
}

/* Removals first: what may not come in any more. */
static int write_difference(struct reconcile *rc, const struct members_difference *difference)
{
    size_t count = difference->add_count + difference->removal_count;
    AUTO_FREE struct nft_element *elements =
        mem_array(count * FIREWALL_ELEMENTS_MAX, sizeof *elements);
    struct writing writing = {.rc = rc, .elements = elements};
    int r;

    add_elements(&writing, difference->removals, difference->removal_count, true);
    add_elements(&writing, difference->adds, difference->add_count, false);
    if (writing.count == 0)
        return 0;
    rc->kernel->writes[KERNEL_FIREWALL]++;
    reconcile_begin_write(rc);
    r = nft_elements_change(rc->kernel->elements, FIREWALL_TABLE, elements, writing.count);
    reconcile_end_write(rc, r > 0 ? r : 0);
    return r < 0 ? r : 0;
}

static int write_changed_members(struct reconcile *rc)
{
    struct members_difference difference;
    int r = 0;

    members_compare(&rc->members, &difference);
    if (difference.add_count + difference.removal_count > 0)
        r = write_difference(rc, &difference);
    if (r == 0)
        members_written(&rc->members);
    members_difference_deinit(&difference);
    return r;
}

/* ---- the whole table ----------------------------------------------------------------------- */

static int write_sets(struct reconcile *rc, const struct firewall_spec *spec)
{
    AUTO_JSON json_t *sets = firewall_sets(spec);

    rc->kernel->writes[KERNEL_FIREWALL]++;
    return nft_sets_fill(rc->kernel->nft, FIREWALL_FAMILY, FIREWALL_TABLE, sets);
}

static int write_table(struct reconcile *rc, const json_t *have, const json_t *want)
{
    rc->kernel->writes[KERNEL_FIREWALL]++;
    return nft_table_change(rc->kernel->nft, FIREWALL_FAMILY, FIREWALL_TABLE, have, want);
}

enum difference { SAME, OTHER_MEMBERS, OTHER_TABLE };

/* *ret_listing is what is there, NULL when there is no table. */
static int load_table(struct reconcile *rc, json_t **ret_listing)
{
    int r = nft_table_get(rc->kernel->nft, FIREWALL_FAMILY, FIREWALL_TABLE, ret_listing);

    return r == -ENOENT ? 0 : r;
}

static enum difference compare_table(const json_t *listing, const json_t *want)
{
    AUTO_JSON json_t *bare_have = NULL, *bare_want = NULL;

    if (!listing)
        return OTHER_TABLE;
    if (nft_ruleset_equal(listing, want))
        return SAME;
    bare_have = firewall_without_members(listing);
    bare_want = firewall_without_members(want);
    return nft_ruleset_equal(bare_have, bare_want) ? OTHER_MEMBERS : OTHER_TABLE;
}

/* 0: it is right; 1: it was repaired. */
static int compare_and_write(struct reconcile *rc, const struct firewall_spec *spec)
{
    AUTO_JSON json_t *want = firewall_ruleset(spec), *listing = NULL;
    int r = load_table(rc, &listing);

    if (r < 0)
        return r;
    switch (compare_table(listing, want)) {
    case SAME:
        return 0;
    case OTHER_MEMBERS:
        r = write_sets(rc, spec);
        break;
    case OTHER_TABLE:
        r = write_table(rc, listing, want);
        break;
    }
    return r < 0 ? r : 1;
}

struct firewall_spec reconcile_spec_of_rules(const struct reconcile *rc)
{
    return (struct firewall_spec){
        .policy = rc->policy,
        .subnet = rc->state->subnet,
        .cluster = rc->state->cluster,
        .has_overlay = rc->overlay_ifindex != 0,
        .mtu_bytes = rc->mtu_bytes,
        .has_short_cut = rc->has_short_cut && rc->state->subnet.len > 0,
    };
}

struct firewall_spec reconcile_spec(const struct reconcile *rc)
{
    struct firewall_spec spec = reconcile_spec_of_rules(rc);

    spec.peers = peers_list(&rc->peers, &spec.peer_count);
    spec.endpoints = &rc->endpoints;
    spec.devices = &rc->devices;
    spec.hops = &rc->hops;
    return spec;
}

/* The generation is read before the table: what changes meanwhile makes it another one. */
static int ensure_table(struct reconcile *rc)
{
    struct firewall_spec spec;
    uint32_t generation;
    int r;

    if (reconcile_firewall_is_current(rc))
        return 0;
    r = nft_generation(rc->kernel->elements, &generation);
    if (r < 0)
        return r;
    rc->is_frames_known = false; /* whoever changed something may have changed those, too */
    spec = reconcile_spec(rc);
    r = compare_and_write(rc, &spec);
    free((void *)spec.peers);
    rc->is_firewall_known = r >= 0;
    rc->nft.is_known = r == 0;
    rc->nft.generation = generation;
    if (r >= 0)
        members_written(&rc->members);
    return r;
}

/* ---- a look -------------------------------------------------------------------------------- */

/* What changes because a peer or an endpoint came or went is no repair: 1 only when the table was
 * not as it was left. */
static int ensure_loaded(struct reconcile *rc, bool is_whole)
{
    int r = 0;

    follow_endpoints(rc);
    drop_devices(rc);
    follow_hops(rc);
    /* Most likely a table or a set is not there: then all of it is to be written. */
    if (rc->is_firewall_known && write_changed_members(rc) < 0)
        rc->is_firewall_known = rc->is_frames_known = false;
    if (is_whole || !rc->is_firewall_known)
        r = ensure_table(rc);
    return r < 0 ? err_wrap(r, "firewall") : r;
}

static int ensure(struct reconcile *rc, bool is_whole)
{
    int r = rc->are_peers_known ? 0 : load_peers(rc);

    return r < 0 ? err_wrap(r, "firewall") : ensure_loaded(rc, is_whole);
}

/* Members are never held back. */
void reconcile_firewall(struct reconcile *rc, bool is_whole, int64_t now_ms)
{
    bool is_allowed = guard_allows(&rc->guard, guard_key, now_ms);
    int r;

    if (is_whole && !is_allowed && !rc->is_firewall_known)
        return;
    r = ensure(rc, is_whole && is_allowed);
    if (r < 0 || (r == 1 && is_whole))
        reconcile_note(rc, KERNEL_FIREWALL, guard_key, r < 0 ? r : 0, now_ms);
    else if (!is_whole || is_allowed)
        guard_settle(&rc->guard, guard_key);
}

/* What is wanted may be new. */
int reconcile_firewall_now(struct reconcile *rc)
{
    int r;

    rc->are_peers_known = rc->nft.is_known = false;
    r = ensure(rc, true);
    return r < 0 ? r : 0;
}

int reconcile_admit(struct reconcile *rc)
{
    int r = rc->is_firewall_known ? ensure_loaded(rc, false) : reconcile_firewall_now(rc);

    return r < 0 ? r : 0;
}

void reconcile_firewall_deinit(struct reconcile *rc)
{
    peers_deinit(&rc->peers);
    members_deinit(&rc->members);
    free(rc->endpoints.items);
    free(rc->devices.items);
    free(rc->hops.items);
    free(rc->refused);
}
