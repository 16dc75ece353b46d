/* The maps, and the smallest pieces of the programs. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/fastpath.h"

/* linux/bpf.h of 6.1 lacks it. */
#define ADJ_ROOM_ENCAP_L2_ETH (1ULL << 6)
#define AF_INET 2
#define PACKET_HOST 0
#define IP_FRAGMENT bpf_htons(0x3fff) /* more fragments, or an offset */
#define ECN_MASK 3
#define ECN_CE 3
#define ECN_ECT0 2
#define ECN_ECT1 1
#define VXLAN_FLAGS bpf_htonl(0x08000000) /* a VNI, and nothing else */
#define IP4_SIMPLE 0x45                   /* version 4, no options */

/* Left to the kernel; other programs on the device come next. TCX_NEXT and TC_ACT_UNSPEC. */
#define PASS (-1)

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct fastpath_config);
} config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, FASTPATH_PEERS_MAX);
    __type(key, __u32);
    __type(value, struct fastpath_peer);
} peers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, FASTPATH_HOPS_MAX);
    __type(key, __u32);
    __type(value, struct fastpath_hop);
} hops SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, FASTPATH_ENDPOINTS_MAX);
    __type(key, __u32);
    __type(value, struct fastpath_endpoint);
} endpoints SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, FASTPATH_PEER_SLOTS);
    __type(key, __u32);
    __type(value, struct fastpath_counts);
} peer_counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, FASTPATH_ENDPOINT_SLOTS);
    __type(key, __u32);
    __type(value, struct fastpath_counts);
} endpoint_counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, FASTPATH_PASS_COUNT);
    __type(key, __u32);
    __type(value, __u64);
} passes SEC(".maps");

static __always_inline int pass(__u32 reason)
{
    __u64 *count = bpf_map_lookup_elem(&passes, &reason);

    if (count)
        (*count)++;
    return PASS;
}

static __always_inline const struct fastpath_config *enabled_config(void)
{
    __u32 zero = 0;
    const struct fastpath_config *c = bpf_map_lookup_elem(&config, &zero);

    return c && c->is_enabled ? c : NULL;
}

/* NULL: no peer has this subnet. */
static __always_inline const struct fastpath_peer *find_peer(const struct fastpath_config *c,
                                                             __u32 subnet_be)
{
    __u32 index = fastpath_peer_index(bpf_ntohl(subnet_be), c->subnet_shift);
    const struct fastpath_peer *peer = bpf_map_lookup_elem(&peers, &index);

    return peer && peer->host_be && peer->subnet_be == subnet_be ? peer : NULL;
}

/* NULL: no endpoint has this address. */
static __always_inline const struct fastpath_endpoint *find_endpoint(__u32 addr_be)
{
    __u32 index = fastpath_endpoint_index(bpf_ntohl(addr_be));
    const struct fastpath_endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &index);

    return endpoint && endpoint->ifindex && endpoint->addr_be == addr_be ? endpoint : NULL;
}

/* gso_segs is 0 for one packet, and after a change of size. */
static __always_inline __u64 packets_in(const struct __sk_buff *skb)
{
    return skb->gso_segs ?: 1;
}

/* Returns how many packets went before on this CPU. */
static __always_inline __u64 count_tx(void *map, __u32 slot, __u64 packets, __u64 bytes)
{
    struct fastpath_counts *counts = bpf_map_lookup_elem(map, &slot);
    __u64 before;

    if (!counts)
        return 0;
    before = counts->tx_packets;
    counts->tx_packets = before + packets;
    counts->tx_bytes += bytes;
    return before;
}

static __always_inline void count_rx(void *map, __u32 slot, __u64 packets, __u64 bytes)
{
    struct fastpath_counts *counts = bpf_map_lookup_elem(map, &slot);

    if (!counts)
        return;
    counts->rx_packets += packets;
    counts->rx_bytes += bytes;
}

static __always_inline __u16 fold(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/* As a router does (RFC 1624; the kernel's ip_decrease_ttl). */
static __always_inline void decrease_ttl(struct iphdr *ip)
{
    __u32 check = ip->check + bpf_htons(0x0100);

    ip->check = check + (check >= 0xffff);
    ip->ttl--;
}

/* ECN: congestion was met on the way (the kernel's IP_ECN_set_ce). */
static __always_inline void mark_congestion(struct iphdr *ip)
{
    __u16 added = bpf_htons(ECN_CE & ~ip->tos);
    __u32 check = ip->check + (__u16)~added;

    if (!added)
        return;
    ip->tos |= ECN_CE;
    ip->check = check + (check >> 16);
}

static __always_inline bool is_mac_equal(const void *a, const void *b)
{
    const __u16 *x = a, *y = b;

    return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

static __always_inline void copy_mac(void *to, const void *from)
{
    __u16 *x = to;
    const __u16 *y = from;

    x[0] = y[0];
    x[1] = y[1];
    x[2] = y[2];
}

/* How long the longest packet is that will come of this one: segments count, not what carries them
 * through the stack. 0: not known. l4: what follows the IPv4 header. */
static __always_inline __u32 longest_packet(const struct __sk_buff *skb, const struct iphdr *ip,
                                            const void *l4, const void *end)
{
    const struct tcphdr *tcp = l4;

    if (!skb->gso_size)
        return bpf_ntohs(ip->tot_len);
    if (ip->protocol == IPPROTO_UDP)
        return FASTPATH_IP_SIZE + sizeof(struct udphdr) + skb->gso_size;
    if (ip->protocol != IPPROTO_TCP || (const void *)(tcp + 1) > end)
        return 0;
    return FASTPATH_IP_SIZE + tcp->doff * 4 + skb->gso_size;
}
