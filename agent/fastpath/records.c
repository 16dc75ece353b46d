/* Records and their difference. */
#include "agent/fastpath/records.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/sorted.h"

#define OUTER_TTL 64 /* as the kernel's default route has it */

void fastpath_entries_deinit(struct fastpath_entries *entries)
{
    free(entries->items);
    *entries = (struct fastpath_entries){0};
}

static int compare_entries(const void *a, const void *b)
{
    uint32_t x = ((const struct fastpath_entry *)a)->vtep;
    uint32_t y = ((const struct fastpath_entry *)b)->vtep;

    return (x > y) - (x < y);
}

void fastpath_entries_sort(struct fastpath_entries *entries)
{
    sorted_sort(entries->items, entries->count, sizeof *entries->items, compare_entries);
}

struct fastpath_config fastpath_make_config(const struct overlay_want *want, bool is_enabled,
                                            uint16_t port_min, uint16_t port_max)
{
    struct mac vtep = mac_from_ip4(want->subnet.addr);
    struct fastpath_config config = {
        .is_enabled = is_enabled,
        .local_be = htonl(want->local),
        .subnet_be = htonl(want->subnet.addr),
        .mask_be = htonl(ip4_mask(want->subnet.len)),
        .vni_be = htonl(want->vni << 8),
        .port_be = htons(want->port),
        .source_port_min = port_min,
        .source_port_count = (uint16_t)(port_max - port_min),
        .subnet_shift = 32U - want->subnet.len,
    };

    memcpy(config.vtep_mac, vtep.bytes, sizeof config.vtep_mac);
    return config;
}

/* ---- a peer -------------------------------------------------------------------------------- */

static void put_ethernet(uint8_t *at, struct mac target, struct mac source)
{
    struct ethhdr eth = {.h_proto = htons(ETH_P_IP)};

    memcpy(eth.h_dest, target.bytes, ETH_ALEN);
    memcpy(eth.h_source, source.bytes, ETH_ALEN);
    memcpy(at, &eth, sizeof eth);
}

static uint32_t put_ip(uint8_t *at, uint32_t source, uint32_t target)
{
    struct iphdr ip = {.version = 4,
                       .ihl = 5,
                       .ttl = OUTER_TTL,
                       .protocol = IPPROTO_UDP,
                       .saddr = htonl(source),
                       .daddr = htonl(target)};
    uint16_t words[sizeof ip / 2];
    uint32_t sum = 0;

    memcpy(words, &ip, sizeof ip);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        sum += words[i];
    memcpy(at, &ip, sizeof ip);
    return sum;
}

static void put_vxlan(uint8_t *at, const struct overlay_want *want)
{
    struct udphdr udp = {.dest = htons(want->port)};
    uint32_t vxlan[2] = {htonl(0x08000000), htonl(want->vni << 8)};

    memcpy(at, &udp, sizeof udp);
    memcpy(at + sizeof udp, vxlan, sizeof vxlan);
}

struct fastpath_peer fastpath_make_peer(const struct overlay_want *want,
                                        const struct overlay_peer *peer,
                                        const struct fastpath_way *way, uint32_t mtu_bytes)
{
    struct fastpath_peer record = {
        .subnet_be = htonl(peer->vtep),
        .host_be = htonl(peer->host_ip),
        .next_hop_be = htonl(way->next_hop),
        .ifindex = (uint32_t)way->ifindex,
    };
    uint32_t way_bytes = way->mtu_bytes;
    uint8_t *at = record.headers;

    if (peer->found_bytes != 0 && peer->found_bytes < way_bytes)
        way_bytes = peer->found_bytes;
    if (way_bytes > MESH_OVERHEAD_BYTES)
        record.mtu = way_bytes - MESH_OVERHEAD_BYTES;
    if (record.mtu > mtu_bytes)
        record.mtu = mtu_bytes;
    put_ethernet(at, (struct mac){{0}}, (struct mac){{0}});
    at += FASTPATH_ETH_SIZE;
    record.ip_sum = put_ip(at, want->local, peer->host_ip);
    at += FASTPATH_IP_SIZE;
    put_vxlan(at, want);
    put_ethernet(record.headers + FASTPATH_OVERHEAD, mac_from_ip4(peer->vtep),
                 mac_from_ip4(want->subnet.addr));
    return record;
}

/* ---- a next hop ---------------------------------------------------------------------------- */

struct fastpath_hop fastpath_make_hop(uint32_t next_hop, int ifindex, struct mac mac,
                                      struct mac device_mac)
{
    struct fastpath_hop record = {.next_hop_be = htonl(next_hop), .ifindex = (uint32_t)ifindex};
    uint8_t frame[2 * ETH_ALEN];

    memcpy(frame, mac.bytes, ETH_ALEN);
    memcpy(frame + ETH_ALEN, device_mac.bytes, ETH_ALEN);
    memcpy(&record.macs, frame, sizeof record.macs);
    memcpy(&record.macs_rest, frame + sizeof record.macs, sizeof record.macs_rest);
    return record;
}

bool fastpath_hop_is_same(const struct fastpath_hop *a, const struct fastpath_hop *b)
{
    if (a->next_hop_be == 0 || b->next_hop_be == 0)
        return a->next_hop_be == b->next_hop_be;
    return a->next_hop_be == b->next_hop_be && a->ifindex == b->ifindex && a->macs == b->macs &&
           a->macs_rest == b->macs_rest;
}

/* ---- indexes and slots ---------------------------------------------------------------------- */

#define SHARED_SLOT (FASTPATH_PEER_SLOTS - 1)

const struct fastpath_entry *fastpath_entries_find(const struct fastpath_entries *entries,
                                                   uint32_t vtep)
{
    const struct fastpath_entry key = {.vtep = vtep};

    return sorted_find(&key, entries->items, entries->count, sizeof key, compare_entries);
}

void fastpath_entries_drop_doubles(struct fastpath_entries *entries)
{
    AUTO_FREE bool *is_taken = mem_zalloc(FASTPATH_PEERS_MAX * sizeof *is_taken);
    size_t kept = 0;

    for (size_t i = 0; i < entries->count; i++) {
        uint32_t index = entries->items[i].index;

        if (is_taken[index])
            continue;
        is_taken[index] = true;
        entries->items[kept++] = entries->items[i];
    }
    entries->count = kept;
}

static uint32_t take_free(struct fastpath_slots *slots, uint32_t *next)
{
    while (*next < SHARED_SLOT && slots->is_taken[*next])
        (*next)++;
    slots->is_taken[*next] = *next < SHARED_SLOT;
    return *next;
}

void fastpath_note_slots(struct fastpath_slots *slots, const struct fastpath_entries *have)
{
    *slots = (struct fastpath_slots){0};
    for (size_t i = 0; i < have->count; i++)
        if (have->items[i].peer.slot < SHARED_SLOT)
            slots->is_taken[have->items[i].peer.slot] = true;
}

void fastpath_take_slots(struct fastpath_slots *slots, struct fastpath_entries *want,
                         const struct fastpath_entries *have)
{
    uint32_t next = 0;

    for (size_t i = 0; i < want->count; i++) {
        const struct fastpath_entry *had = fastpath_entries_find(have, want->items[i].vtep);
        bool has_slot = had && had->peer.slot < FASTPATH_PEER_SLOTS;

        want->items[i].peer.slot = has_slot ? had->peer.slot : take_free(slots, &next);
    }
}

void fastpath_free_slots(struct fastpath_slots *slots, const struct fastpath_entries *want,
                         const struct fastpath_entries *have)
{
    for (size_t i = 0; i < have->count; i++) {
        uint32_t slot = have->items[i].peer.slot;

        if (slot < SHARED_SLOT && !fastpath_entries_find(want, have->items[i].vtep))
            slots->is_taken[slot] = false;
    }
}

/* ---- the difference ------------------------------------------------------------------------ */

void fastpath_difference_deinit(struct fastpath_difference *difference)
{
    free(difference->puts);
    free(difference->removals);
    *difference = (struct fastpath_difference){0};
}

void fastpath_compare(const struct fastpath_entries *want, const struct fastpath_entries *have,
                      bool is_partial, struct fastpath_difference *ret)
{
    *ret = (struct fastpath_difference){
        .puts = mem_array(want->count + 1, sizeof(const struct fastpath_entry *)),
        .removals = mem_array(have->count + 1, sizeof(uint32_t))};
    for (size_t i = 0; i < want->count; i++) {
        const struct fastpath_entry *entry = &want->items[i];
        const struct fastpath_entry *had = fastpath_entries_find(have, entry->vtep);

        if (!had || had->index != entry->index ||
            memcmp(&had->peer, &entry->peer, sizeof entry->peer) != 0)
            ret->puts[ret->put_count++] = entry;
    }
    for (size_t i = 0; i < have->count && !is_partial; i++) {
        const struct fastpath_entry *wanted = fastpath_entries_find(want, have->items[i].vtep);

        if (!wanted || wanted->index != have->items[i].index)
            ret->removals[ret->removal_count++] = have->items[i].index;
    }
}
