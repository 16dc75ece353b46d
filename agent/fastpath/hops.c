/* Next hops: a list, and what the kernel says of them. */
#include "agent/fastpath/hops.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/sorted.h"
#include "lib/bpf/map.h"
#include "lib/net/neigh.h"

static const struct mac no_mac;

void hops_deinit(struct hops *hops)
{
    free(hops->items);
    *hops = (struct hops){0};
}

static int compare(const void *a, const void *b)
{
    const struct hop *x = a, *y = b;

    return x->addr != y->addr ? (x->addr > y->addr) - (x->addr < y->addr)
                              : (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

static struct hop *find(const struct hops *hops, int ifindex, uint32_t addr)
{
    const struct hop key = {.addr = addr, .ifindex = ifindex};

    return sorted_find(&key, hops->items, hops->count, sizeof key, compare);
}

static struct hop make(const struct ways *ways, size_t i)
{
    const struct fastpath_way *way = &ways->peers[i];

    return (struct hop){.addr = way->next_hop,
                        .ifindex = way->ifindex,
                        .device_mac = ways_mac_of(ways, way->ifindex)};
}

/* ---- records ------------------------------------------------------------------------------- */

static bool is_known(const struct hop *hop)
{
    return memcmp(&hop->mac, &no_mac, sizeof no_mac) != 0 &&
           memcmp(&hop->device_mac, &no_mac, sizeof no_mac) != 0;
}

static bool is_of(const struct fastpath_hop *record, const struct hop *hop)
{
    return ntohl(record->next_hop_be) == hop->addr && record->ifindex == (uint32_t)hop->ifindex;
}

/* It stays readable to the end for whoever has found it before. */
static int take(struct hops *hops, int map_fd, uint32_t index, const struct fastpath_hop *have,
                uint64_t *writes)
{
    struct fastpath_hop record = *have;
    int r;

    if (have->next_hop_be == 0)
        return 0;
    record.next_hop_be = 0;
    hops->has_taken = true;
    r = map_put(map_fd, &index, &record);
    *writes += r == 0;
    return r;
}

/* In the place of none, which nobody reads. A record is not written in one step: whose it is comes
 * last. */
static int give(const struct hop *hop, int map_fd, uint64_t *writes)
{
    uint32_t index = fastpath_hop_index(hop->addr);
    struct fastpath_hop record =
        fastpath_make_hop(hop->addr, hop->ifindex, hop->mac, hop->device_mac);
    uint32_t next_hop_be = record.next_hop_be;
    int r;

    record.next_hop_be = 0;
    r = map_put(map_fd, &index, &record);
    record.next_hop_be = next_hop_be;
    if (r == 0)
        r = map_put(map_fd, &index, &record);
    *writes += r == 0;
    return r;
}

static bool is_same(const struct hop *hop, const struct fastpath_hop *have)
{
    const struct fastpath_hop want =
        hop ? fastpath_make_hop(hop->addr, hop->ifindex, hop->mac, hop->device_mac)
            : (struct fastpath_hop){0};

    return fastpath_hop_is_same(&want, have);
}

/* Whose each record should be. Of several with the same index it is the one's that has it. */
static const struct hop **choose(const struct hops *hops, const struct fastpath_hop *have)
{
    const struct hop **want = mem_zalloc(FASTPATH_HOPS_MAX * sizeof *want);

    for (size_t i = 0; i < hops->count; i++) {
        const struct hop *hop = &hops->items[i];
        uint32_t index = fastpath_hop_index(hop->addr);

        if (is_known(hop) && (!want[index] || is_of(&have[index], hop)))
            want[index] = hop;
    }
    return want;
}

static int wait_readers(struct hops *hops)
{
    int r = hops->has_taken ? map_wait_readers() : 0;

    if (r == 0)
        hops->has_taken = false;
    return r;
}

int hops_write(struct hops *hops, int map_fd, uint64_t *writes)
{
    AUTO_FREE const struct hop **want = NULL;
    AUTO_FREE void *values = NULL;
    const struct fastpath_hop *have;
    int r = map_read_array(map_fd, sizeof *have, FASTPATH_HOPS_MAX, &values);

    if (r < 0)
        return r;
    have = values;
    want = choose(hops, have);
    for (uint32_t i = 0; r == 0 && i < FASTPATH_HOPS_MAX; i++)
        if (!is_same(want[i], &have[i]))
            r = take(hops, map_fd, i, &have[i], writes);
    if (r == 0)
        r = wait_readers(hops);
    for (uint32_t i = 0; r == 0 && i < FASTPATH_HOPS_MAX; i++)
        if (want[i] && !is_same(want[i], &have[i]))
            r = give(want[i], map_fd, writes);
    return r;
}

int hops_settle(struct hops *hops, int map_fd, uint64_t *writes)
{
    return hops->has_taken ? hops_write(hops, map_fd, writes) : 0;
}

/* Does not wait: what is free and may be read yet is given by hops_settle(). */
static int write_one(struct hops *hops, const struct hop *hop, int map_fd, uint64_t *writes)
{
    uint32_t index = fastpath_hop_index(hop->addr);
    struct fastpath_hop have;
    int r = map_get(map_fd, &index, &have);

    if (r < 0)
        return r;
    if (have.next_hop_be == 0)
        return is_known(hop) && !hops->has_taken ? give(hop, map_fd, writes) : 0;
    if (!is_of(&have, hop) || (is_known(hop) && is_same(hop, &have)))
        return 0; /* another one's, or right */
    return take(hops, map_fd, index, &have, writes);
}

int hops_write_one(struct hops *hops, int ifindex, uint32_t addr, int map_fd, uint64_t *writes)
{
    const struct hop *hop = find(hops, ifindex, addr);

    return hop ? write_one(hops, hop, map_fd, writes) : 0;
}

/* ---- the kernel's neighbours --------------------------------------------------------------- */

static int look_at_device(struct hops *hops, struct nl *nl, int ifindex)
{
    AUTO_FREE struct neigh_entry *entries = NULL;
    size_t count;
    int r = neigh_dump(nl, ifindex, &entries, &count);

    for (size_t i = 0; r >= 0 && i < count; i++)
        (void)hops_meet(hops, ifindex, entries[i].addr, entries[i].mac);
    return r < 0 ? r : 0;
}

static void follow(struct hops *hops, const struct ways *ways, size_t way_count)
{
    struct hops all = {.items = mem_array(way_count + 1, sizeof *all.items)};
    size_t count = 0;

    for (size_t i = 0; i < way_count; i++)
        if (ways->peers[i].ifindex != 0)
            all.items[all.count++] = make(ways, i);
    sorted_sort(all.items, all.count, sizeof *all.items, compare);
    for (size_t i = 0; i < all.count; i++)
        if (count == 0 || compare(&all.items[count - 1], &all.items[i]) != 0)
            all.items[count++] = all.items[i];
    all.count = count;
    all.has_taken = hops->has_taken;
    hops_deinit(hops);
    *hops = all;
}

int hops_look(struct hops *hops, struct nl *nl, const struct ways *ways, size_t way_count)
{
    int r = 0;

    follow(hops, ways, way_count);
    for (size_t i = 0; r == 0 && i < ways->device_count; i++)
        r = look_at_device(hops, nl, ways->devices[i]);
    return r;
}

static struct hop *add(struct hops *hops, const struct hop *hop)
{
    size_t at = sorted_place(hop, hops->items, hops->count, sizeof *hop, compare);

    hops->items = mem_resize(hops->items, hops->count + 1, sizeof *hop);
    memmove(&hops->items[at + 1], &hops->items[at], (hops->count - at) * sizeof *hop);
    hops->items[at] = *hop;
    hops->count++;
    return &hops->items[at];
}

static int look_at_one(struct hop *hop, struct nl *nl)
{
    struct neigh_entry entry;
    int r = neigh_get(nl, hop->ifindex, hop->addr, &entry);

    if (r == -ENOENT)
        return 0;
    if (r == 0)
        hop->mac = entry.mac;
    return r;
}

int hops_look_more(struct hops *hops, struct nl *nl, const struct ways *ways, size_t way_count,
                   int map_fd, uint64_t *writes)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < way_count; i++) {
        struct hop hop = make(ways, i);

        if (hop.ifindex == 0 || find(hops, hop.ifindex, hop.addr))
            continue;
        r = look_at_one(&hop, nl);
        if (r == 0)
            r = write_one(hops, add(hops, &hop), map_fd, writes);
    }
    return r;
}

bool hops_meet(struct hops *hops, int ifindex, uint32_t addr, struct mac mac)
{
    struct hop *hop = find(hops, ifindex, addr);

    if (!hop || memcmp(&hop->mac, &mac, sizeof mac) == 0)
        return false;
    hop->mac = mac;
    return true;
}
