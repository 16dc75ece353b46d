/* One look at the firewall table. Who the peers are is read from the overlay device itself: its
 * forwarding entries are the hosts that the agent lets in, and no message about them can be lost
 * between the two daemons. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/net/fdb.h"
#include "runtime/firewall.h"
#include "runtime/reconcile.h"

static const char guard_key[] = "firewall table " FIREWALL_FAMILY " " FIREWALL_TABLE;

static int load_peers(struct reconcile *rc, uint32_t **ret_peers, size_t *ret_count)
{
    AUTO_FREE struct fdb_entry *entries = NULL;
    uint32_t *peers;
    size_t count = 0;
    int r = 0;

    if (rc->overlay_ifindex)
        r = fdb_dump(rc->kernel->nl, rc->overlay_ifindex, &entries, &count);
    if (r == -ENODEV) /* gone since the last look at devices */
        r = 0;
    if (r < 0)
        return r;
    peers = mem_array(count + 1, sizeof *peers);
    for (size_t i = 0; i < count; i++)
        peers[i] = entries[i].remote;
    *ret_count = firewall_sort_peers(peers, count);
    *ret_peers = peers;
    return 0;
}

static bool peers_are(const struct reconcile *rc, const uint32_t *peers, size_t count)
{
    return rc->peer_count == count &&
           (count == 0 || memcmp(rc->peers, peers, count * sizeof *peers) == 0);
}

static void remember_peers(struct reconcile *rc, uint32_t **peers, size_t count)
{
    free(rc->peers);
    rc->peers = TAKE_PTR(*peers);
    rc->peer_count = count;
    rc->is_firewall_known = true;
}

static int write_peers(struct reconcile *rc, const struct firewall_spec *spec)
{
    AUTO_JSON json_t *elements = firewall_peers(spec);

    rc->kernel->writes[KERNEL_FIREWALL]++;
    return nft_set_fill(rc->kernel->nft, FIREWALL_FAMILY, FIREWALL_TABLE, FIREWALL_PEERS, elements);
}

static int write_table(struct reconcile *rc, const json_t *want)
{
    rc->kernel->writes[KERNEL_FIREWALL]++;
    return nft_table_set(rc->kernel->nft, FIREWALL_FAMILY, FIREWALL_TABLE, want);
}

enum difference { SAME, OTHER_PEERS, OTHER_TABLE };

static int compare_table(struct reconcile *rc, const json_t *want, enum difference *ret)
{
    AUTO_JSON json_t *have = NULL, *bare_have = NULL, *bare_want = NULL;
    int r = nft_table_get(rc->kernel->nft, FIREWALL_FAMILY, FIREWALL_TABLE, &have);

    *ret = OTHER_TABLE;
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    if (nft_ruleset_equal(have, want)) {
        *ret = SAME;
        return 0;
    }
    bare_have = firewall_without_peers(have);
    bare_want = firewall_without_peers(want);
    if (nft_ruleset_equal(bare_have, bare_want))
        *ret = OTHER_PEERS;
    return 0;
}

/* 0: it is right; 1: it was written. */
static int ensure_table(struct reconcile *rc, const struct firewall_spec *spec)
{
    AUTO_JSON json_t *want = firewall_ruleset(spec);
    enum difference difference;
    int r = compare_table(rc, want, &difference);

    if (r < 0)
        return r;
    switch (difference) {
    case SAME:
        return 0;
    case OTHER_PEERS:
        r = write_peers(rc, spec);
        break;
    case OTHER_TABLE:
        r = write_table(rc, want);
        break;
    }
    return r < 0 ? r : 1;
}

static int ensure_peers(struct reconcile *rc, const struct firewall_spec *spec)
{
    if (rc->is_firewall_known && peers_are(rc, spec->peers, spec->peer_count))
        return 0;
    if (write_peers(rc, spec) == 0)
        return 1;
    /* Most likely the table or the set is not there; nftables tells no error numbers. */
    return ensure_table(rc, spec);
}

static int ensure(struct reconcile *rc, bool is_whole)
{
    AUTO_FREE uint32_t *peers = NULL;
    struct firewall_spec spec = {.subnet = rc->state->subnet, .cluster = rc->state->cluster};
    int r = load_peers(rc, &peers, &spec.peer_count);

    if (r < 0)
        return r;
    spec.peers = peers;
    r = is_whole || !rc->is_firewall_known ? ensure_table(rc, &spec) : ensure_peers(rc, &spec);
    if (r >= 0)
        remember_peers(rc, &peers, spec.peer_count);
    else
        rc->is_firewall_known = false;
    return r < 0 ? err_wrap(r, "firewall") : r;
}

/* What changes because a peer came or went is no repair, and never held back. */
void reconcile_firewall(struct reconcile *rc, bool is_whole, int64_t now_ms)
{
    int r;

    if (is_whole && !guard_allows(&rc->guard, guard_key, now_ms))
        return;
    r = ensure(rc, is_whole);
    if (r < 0 || (r == 1 && is_whole))
        reconcile_note(rc, KERNEL_FIREWALL, guard_key, r < 0 ? r : 0, now_ms);
    else
        guard_settle(&rc->guard, guard_key);
}

int reconcile_firewall_now(struct reconcile *rc)
{
    int r = ensure(rc, true);

    return r < 0 ? r : 0;
}
