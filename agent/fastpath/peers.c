/* The peers' records in the kernel. */
#include <arpa/inet.h>
#include <string.h>

#include "agent/fastpath/internal.h"
#include "lib/base/mem.h"
#include "lib/bpf/map.h"

/* ---- reading ------------------------------------------------------------------------------- */

int fastpath_dump_entries(const struct fastpath *fp, struct fastpath_entries *ret)
{
    AUTO_FREE void *values = NULL;
    const struct fastpath_peer *peers;
    int r = map_read_array(fp->set->maps[SET_PEERS], sizeof *peers, FASTPATH_PEERS_MAX, &values);

    if (r < 0)
        return r;
    peers = values;
    *ret = (struct fastpath_entries){0};
    for (uint32_t i = 0; i < FASTPATH_PEERS_MAX; i++)
        ret->count += peers[i].host_be != 0;
    ret->items = mem_array(ret->count + 1, sizeof *ret->items);
    ret->count = 0;
    for (uint32_t i = 0; i < FASTPATH_PEERS_MAX; i++)
        if (peers[i].host_be != 0)
            ret->items[ret->count++] = (struct fastpath_entry){
                .vtep = ntohl(peers[i].subnet_be), .index = i, .peer = peers[i]};
    fastpath_entries_sort(ret);
    return 0;
}

/* FASTPATH_UNSURE: where one of them belongs is another's record. */
static int look_up_entries(const struct fastpath *fp, const struct focus *focus,
                           struct fastpath_entries *ret)
{
    struct fastpath_entries entries = {.items = mem_array(focus->count + 1, sizeof *ret->items)};
    int r = 0;

    for (size_t i = 0; r == 0 && i < focus->count; i++) {
        struct fastpath_entry *entry = &entries.items[entries.count];

        entry->vtep = focus->vteps[i];
        entry->index = fastpath_peer_index(entry->vtep, 32U - fp->want.subnet.len);
        r = map_get(fp->set->maps[SET_PEERS], &entry->index, &entry->peer);
        if (r < 0 || entry->peer.host_be == 0)
            continue;
        if (ntohl(entry->peer.subnet_be) != entry->vtep)
            r = FASTPATH_UNSURE;
        entries.count++;
    }
    if (r != 0) {
        fastpath_entries_deinit(&entries);
        return r;
    }
    fastpath_entries_sort(&entries);
    *ret = entries;
    return 0;
}

static int get_entries(struct fastpath *fp, const struct focus *focus, struct fastpath_entries *ret)
{
    int r = focus->is_all ? fastpath_dump_entries(fp, ret) : look_up_entries(fp, focus, ret);

    if (r == 0 && focus->is_all)
        fastpath_note_slots(&fp->slots, ret);
    return r;
}

/* ---- writing ------------------------------------------------------------------------------- */

static struct fastpath_entries want_entries(const struct overlay_want *wanted,
                                            const struct ways *ways)
{
    struct fastpath_entries want = {
        .items = mem_array(wanted->peer_count + 1, sizeof *want.items),
        .count = wanted->peer_count,
    };

    for (size_t i = 0; i < want.count; i++) {
        const struct overlay_peer *peer = &wanted->peers[i];

        want.items[i] = (struct fastpath_entry){
            .vtep = peer->vtep,
            .index = fastpath_peer_index(peer->vtep, 32U - wanted->subnet.len),
            .peer = fastpath_make_peer(wanted, peer, &ways->peers[i], ways->overlay_mtu_bytes)};
    }
    fastpath_entries_drop_doubles(&want);
    return want;
}

static int put_record(struct fastpath *fp, uint32_t index, const struct fastpath_peer *peer)
{
    int r = map_put(fp->set->maps[SET_PEERS], &index, peer);

    fp->writes += r == 0;
    return r;
}

static int write_peer(struct fastpath *fp, const struct fastpath_entry *entry, bool is_new)
{
    int r = 0;

    if (is_new)
        r = map_clear(fp->set->maps[SET_PEER_COUNTS], entry->peer.slot,
                      sizeof(struct fastpath_counts));
    return r == 0 ? put_record(fp, entry->index, &entry->peer) : r;
}

/* Of a record that will be another one; the rest is only numbers that may change one by one. */
static int clear_other(struct fastpath *fp, const struct fastpath_entry *entry, size_t *cleared)
{
    static const struct fastpath_peer none;
    struct fastpath_peer had;
    int r = map_get(fp->set->maps[SET_PEERS], &entry->index, &had);

    if (r < 0 || had.host_be == 0 ||
        memcmp(had.headers, entry->peer.headers, sizeof had.headers) == 0)
        return r;
    (*cleared)++;
    return put_record(fp, entry->index, &none);
}

/* What may not be used any more is gone before anything else is done, and is not written over while
 * a program may be reading it. */
static int clear_records(struct fastpath *fp, const struct fastpath_difference *difference)
{
    static const struct fastpath_peer none;
    size_t cleared = difference->removal_count;
    int r = 0;

    for (size_t i = 0; r == 0 && i < difference->removal_count; i++)
        r = put_record(fp, difference->removals[i], &none);
    for (size_t i = 0; r == 0 && i < difference->put_count; i++)
        r = clear_other(fp, difference->puts[i], &cleared);
    return r == 0 && cleared > 0 && difference->put_count > 0 ? map_wait_readers() : r;
}

static int write_difference(struct fastpath *fp, const struct fastpath_difference *difference,
                            const struct fastpath_entries *have)
{
    int r = clear_records(fp, difference);

    for (size_t i = 0; r == 0 && i < difference->put_count; i++)
        r = write_peer(fp, difference->puts[i],
                       !fastpath_entries_find(have, difference->puts[i]->vtep));
    return r;
}

static size_t count_with_way(const struct fastpath_entries *entries)
{
    size_t count = 0;

    for (size_t i = 0; i < entries->count; i++)
        count += entries->items[i].peer.ifindex != 0;
    return count;
}

static int compare_and_write(struct fastpath *fp, bool is_partial, struct fastpath_entries *want,
                             const struct fastpath_entries *have)
{
    struct fastpath_difference difference;
    int r;

    fastpath_take_slots(&fp->slots, want, have);
    fastpath_compare(want, have, is_partial, &difference);
    r = write_difference(fp, &difference, have);
    if (r == 0 && !is_partial)
        fastpath_free_slots(&fp->slots, want, have);
    fastpath_difference_deinit(&difference);
    return r;
}

int fastpath_write_peers(struct fastpath *fp, const struct focus *focus,
                         const struct overlay_want *want, const struct ways *ways)
{
    struct fastpath_entries wanted = want_entries(want, ways), have = {0};
    int r = get_entries(fp, focus, &have);

    if (r == 0)
        r = compare_and_write(fp, want->is_partial, &wanted, &have);
    if (r == 0) {
        fp->peer_count = focus->is_all ? 0 : fp->peer_count - count_with_way(&have);
        fp->peer_count += count_with_way(&wanted);
    }
    fastpath_entries_deinit(&wanted);
    fastpath_entries_deinit(&have);
    return r;
}
