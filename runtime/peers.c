/* The overlay's forwarding entries. */
#include "runtime/peers.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"

struct peers_entry {
    uint8_t mac[6];
    struct firewall_peer peer;
    unsigned int listing; /* that had it last */
    UT_hash_handle hh;
};

/* The MAC address says which subnet it is the way to; one that says nothing lets in VXLAN from that
 * host, and nothing that is inside. */
static uint32_t subnet_of(struct mac mac)
{
    uint32_t subnet;

    return mac_to_ip4(mac, &subnet) ? subnet : 0;
}

static struct member as_host(const struct firewall_peer *peer)
{
    return (struct member){.set = MEMBERS_PEERS, .addr = peer->host};
}

static struct member as_origin(const struct firewall_peer *peer)
{
    return (struct member){.set = MEMBERS_ORIGINS, .addr = peer->subnet, .to = peer->host};
}

static struct peers_entry *find(const struct peers *peers, struct mac mac)
{
    struct peers_entry *entry;

    HASH_FIND(hh, peers->entries, mac.bytes, sizeof mac.bytes, entry);
    return entry;
}

static void add(struct peers *peers, struct mac mac, uint32_t host)
{
    struct peers_entry *entry = NEW(struct peers_entry);

    memcpy(entry->mac, mac.bytes, sizeof entry->mac);
    entry->peer = (struct firewall_peer){.host = host, .subnet = subnet_of(mac)};
    entry->listing = peers->listing;
    HASH_ADD(hh, peers->entries, mac, sizeof entry->mac, entry);
    members_take(peers->members, as_host(&entry->peer));
    if (entry->peer.subnet)
        members_take(peers->members, as_origin(&entry->peer));
}

static void drop(struct peers *peers, struct peers_entry *entry)
{
    members_leave(peers->members, as_host(&entry->peer));
    if (entry->peer.subnet)
        members_leave(peers->members, as_origin(&entry->peer));
    HASH_DEL(peers->entries, entry);
    free(entry);
}

void peers_put(struct peers *peers, struct mac mac, uint32_t host)
{
    struct peers_entry *entry = find(peers, mac);

    if (entry && entry->peer.host == host) {
        entry->listing = peers->listing;
        return;
    }
    if (entry)
        drop(peers, entry);
    if (host != 0)
        add(peers, mac, host);
}

void peers_drop(struct peers *peers, struct mac mac, uint32_t host)
{
    struct peers_entry *entry = find(peers, mac);

    if (entry && entry->peer.host == host)
        drop(peers, entry);
}

void peers_begin_listing(struct peers *peers)
{
    peers->listing++;
}

void peers_end_listing(struct peers *peers)
{
    struct peers_entry *entry, *next;

    HASH_ITER (hh, peers->entries, entry, next)
        if (entry->listing != peers->listing)
            drop(peers, entry);
}

void peers_deinit(struct peers *peers)
{
    struct peers_entry *entry, *next;

    HASH_ITER (hh, peers->entries, entry, next)
        drop(peers, entry);
}

struct firewall_peer *peers_list(const struct peers *peers, size_t *ret_count)
{
    struct firewall_peer *list = mem_array(HASH_COUNT(peers->entries) + 1, sizeof *list);
    const struct peers_entry *entry;
    size_t count = 0;

    for (entry = peers->entries; entry; entry = entry->hh.next)
        list[count++] = entry->peer;
    *ret_count = firewall_sort_peers(list, count);
    return list;
}
