/* The fast path: packets between containers, past most of the host's stack.
 *
 *     container ──> veth ── from_container ──┬──> underlay device ──> peer
 *                                            └──> another container of this host
 *     peer ──> underlay device ── to_container ──> container
 *
 * It is a cache over the kernel path and never the judge: what is not plain traffic that the kernel
 * path would carry just so is passed on to it, untouched and counted with its reason. Nothing is
 * dropped here.
 */
#include "bpf/maps.bpf.h"

/* ---- both directions ----------------------------------------------------------------------- */

/* 0xffff: the header's sum is right. */
static __always_inline __u16 sum_of(const struct iphdr *ip)
{
    const __u32 *words = (const void *)ip;
    __u64 sum = 0;

#pragma unroll
    for (int i = 0; i < FASTPATH_IP_SIZE / 4; i++)
        sum += words[i];
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return fold(sum);
}

/* The reason why this IPv4 packet of `length` bytes is not plain; FASTPATH_PASS_COUNT when it is.
 */
static __always_inline __u32 judge_plain(const struct iphdr *ip, __u32 length)
{
    if (*(const __u8 *)ip != IP4_SIMPLE)
        return FASTPATH_PASS_OPTIONS;
    if (ip->frag_off & IP_FRAGMENT)
        return FASTPATH_PASS_FRAGMENT;
    if (ip->ttl <= 1)
        return FASTPATH_PASS_TTL;
    if (bpf_ntohs(ip->tot_len) != length)
        return FASTPATH_PASS_ODD;
    return sum_of(ip) == 0xffff ? FASTPATH_PASS_COUNT : FASTPATH_PASS_CHECKSUM;
}

/* The frame is plain but for TTL and MAC addresses, which are written here. */
static __always_inline int deliver(struct __sk_buff *skb, const struct fastpath_endpoint *to,
                                   bool is_marked)
{
    void *data = (void *)(long)skb->data;
    struct ethhdr *eth = data;
    struct iphdr *ip = data + FASTPATH_ETH_SIZE;

    if ((void *)(ip + 1) > (void *)(long)skb->data_end)
        return TC_ACT_SHOT; /* cannot be: it was longer before */
    copy_mac(eth->h_dest, to->mac);
    copy_mac(eth->h_source, to->gateway_mac);
    eth->h_proto = bpf_htons(ETH_P_IP);
    decrease_ttl(ip);
    if (is_marked)
        mark_congestion(ip);
    count_rx(&endpoint_counts, to->slot, packets_in(skb), skb->len - FASTPATH_ETH_SIZE);
    return bpf_redirect_peer(to->ifindex, 0);
}

/* ---- from a container ---------------------------------------------------------------------- */

/* The outer headers: ready in the record, but for what differs from packet to packet. */
static __always_inline void write_outer(struct __sk_buff *skb, const struct fastpath_config *c,
                                        const struct fastpath_peer *peer, void *data,
                                        __u8 inner_tos, __u32 hash, __u16 id)
{
    const __u64 *from = (const __u64 *)peer->headers;
    __u64 *to = data;
    struct iphdr *ip = data + FASTPATH_ETH_SIZE;
    struct udphdr *udp = (void *)(ip + 1);
    __u32 length = skb->len - FASTPATH_ETH_SIZE;
    __u8 ecn = inner_tos & ECN_MASK;

#pragma unroll
    for (int i = 0; i < FASTPATH_INNER_OFFSET / 8; i++)
        to[i] = from[i];
    ip->tos = ecn == ECN_CE ? ECN_ECT0 : ecn; /* INET_ECN_encapsulate */
    ip->tot_len = bpf_htons(length);
    ip->id = bpf_htons(id);
    ip->check = ~fold(peer->ip_sum + bpf_htons(ip->tos) + ip->tot_len + ip->id);
    hash ^= hash << 16; /* udp_flow_src_port */
    udp->source = bpf_htons((((__u64)hash * c->source_port_count) >> 32) + c->source_port_min);
    udp->len = bpf_htons(length - FASTPATH_IP_SIZE);
}

/* Of the flow, for the source port: the kernel's where there is one, as for TCP of a socket.
 * Finding out the kernel's own for the others takes as long as all else here. */
static __always_inline __u32 flow_hash(const struct __sk_buff *skb, const struct iphdr *ip,
                                       const void *end)
{
    const __u32 *ports = (const void *)(ip + 1);
    __u32 hash = ip->saddr * 0x9e3779b1 ^ ip->daddr * 0x85ebca6b ^ ip->protocol;

    if (skb->hash)
        return skb->hash;
    if ((ip->protocol == IPPROTO_UDP || ip->protocol == IPPROTO_TCP) &&
        (const void *)(ports + 1) <= end)
        hash ^= *ports * 0xc2b2ae35;
    hash = (hash ^ hash >> 16) * 0x7feb352d;
    return (hash ^ hash >> 15) * 0x846ca68b;
}

/* So old a beat may be when it is met first: there may have been no packet to a hop for hours. */
#define BEAT_AGE_NS 2000000000ULL
/* So long it is good for then: 2 to 20 seconds, by the kernel's clock. */
#define BEAT_JIFFIES 2048
/* CPUs count on from there, each for itself: so far apart the first eight of them begin with the
 * outer identifications. */
#define IDS_OF_CPU 8192

/* Sends the frame, whose MAC addresses are still to be written. With each beat one packet goes by
 * the kernel's neighbour entry, which is kept alive by that: so the kernel sees whether the next
 * hop is still there, as it does for any other traffic. */
static __always_inline int send_to_hop(const struct fastpath_config *c,
                                       const struct fastpath_peer *peer, void *frame)
{
    struct bpf_redir_neigh next = {.nh_family = AF_INET, .ipv4_nh = peer->next_hop_be};
    __u32 index = fastpath_hop_index(bpf_ntohl(peer->next_hop_be));
    struct fastpath_hop *hop = bpf_map_lookup_elem(&hops, &index);
    __u64 now = bpf_jiffies64();

    if (!hop || hop->next_hop_be != peer->next_hop_be || hop->ifindex != peer->ifindex)
        return bpf_redirect_neigh(peer->ifindex, &next, sizeof next, 0);
    if (hop->seen_beat != c->beat) {
        if (bpf_ktime_get_boot_ns() - c->beat_at_ns <= BEAT_AGE_NS) {
            hop->seen_at = now;
            hop->seen_beat = c->beat;
        }
        return bpf_redirect_neigh(peer->ifindex, &next, sizeof next, 0);
    }
    if (now - hop->seen_at > BEAT_JIFFIES)
        return bpf_redirect_neigh(peer->ifindex, &next, sizeof next, 0);
    *(__u64 *)frame = hop->macs;
    *(__u32 *)(frame + sizeof hop->macs) = hop->macs_rest;
    return bpf_redirect(peer->ifindex, 0);
}

static __always_inline int send_to_peer(struct __sk_buff *skb, const struct fastpath_config *c,
                                        const struct fastpath_peer *peer, __u32 slot, __u8 tos,
                                        __u32 hash)
{
    const __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
                        BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) |
                        ADJ_ROOM_ENCAP_L2_ETH | BPF_F_ADJ_ROOM_NO_CSUM_RESET;
    __u64 packets = packets_in(skb), bytes = skb->len - FASTPATH_ETH_SIZE, before;
    void *data;

    if (bpf_skb_adjust_room(skb, FASTPATH_OVERHEAD, BPF_ADJ_ROOM_MAC, flags) < 0)
        return pass(FASTPATH_PASS_NO_ROOM);
    data = (void *)(long)skb->data;
    if (data + FASTPATH_INNER_OFFSET + sizeof(struct iphdr) > (void *)(long)skb->data_end)
        return TC_ACT_SHOT; /* cannot be: it was as long before */
    before = count_tx(&peer_counts, peer->slot, packets, bytes);
    write_outer(skb, c, peer, data, tos, hash, before + bpf_get_smp_processor_id() * IDS_OF_CPU);
    decrease_ttl(data + FASTPATH_INNER_OFFSET);
    count_tx(&endpoint_counts, slot, packets, bytes);
    return send_to_hop(c, peer, data);
}

static __always_inline int send_to_neighbour(struct __sk_buff *skb, __u32 target_be,
                                             const struct fastpath_endpoint *from, __u32 longest)
{
    const struct fastpath_endpoint *to = find_endpoint(target_be);

    if (!to || to == from)
        return pass(FASTPATH_PASS_NO_TARGET);
    if (longest == 0 || longest > to->mtu)
        return pass(FASTPATH_PASS_OVERSIZE);
    count_tx(&endpoint_counts, from->slot, packets_in(skb), skb->len - FASTPATH_ETH_SIZE);
    return deliver(skb, to, false);
}

/* The firewall drops what a container sends as VXLAN; it must not get by here. */
static __always_inline bool is_vxlan(const struct fastpath_config *c, const struct iphdr *ip,
                                     const void *end)
{
    const struct udphdr *udp = (const void *)(ip + 1);

    if (ip->protocol != IPPROTO_UDP)
        return false;
    return (const void *)(udp + 1) > end || udp->dest == c->port_be;
}

#define HEADERS (FASTPATH_ETH_SIZE + FASTPATH_IP_SIZE + sizeof(struct tcphdr))

SEC("tc")
int quilt_from_container(struct __sk_buff *skb)
{
    const struct fastpath_config *c = enabled_config();
    const struct fastpath_endpoint *from;
    const struct fastpath_peer *peer;
    void *data, *end;
    struct ethhdr *eth;
    struct iphdr *ip;
    __u32 reason, subnet_be, longest;

    if (!c || skb->protocol != bpf_htons(ETH_P_IP))
        return PASS;
    data = (void *)(long)skb->data;
    end = (void *)(long)skb->data_end;
    if (data + HEADERS > end && skb->len >= FASTPATH_ETH_SIZE + FASTPATH_IP_SIZE) {
        bpf_skb_pull_data(skb, skb->len < HEADERS ? skb->len : HEADERS);
        data = (void *)(long)skb->data;
        end = (void *)(long)skb->data_end;
    }
    eth = data;
    ip = data + FASTPATH_ETH_SIZE;
    if ((void *)(ip + 1) > end)
        return PASS;
    subnet_be = ip->daddr & c->mask_be;
    peer = subnet_be == c->subnet_be ? NULL : find_peer(c, subnet_be);
    if (!peer && subnet_be != c->subnet_be)
        return PASS; /* out of the mesh, or to a peer that is not known */
    if (skb->pkt_type != PACKET_HOST || skb->vlan_present || eth->h_proto != bpf_htons(ETH_P_IP))
        return pass(FASTPATH_PASS_ODD);
    reason = judge_plain(ip, skb->len - FASTPATH_ETH_SIZE);
    if (reason != FASTPATH_PASS_COUNT)
        return pass(reason);
    from = find_endpoint(ip->saddr);
    if (!from || from->ifindex != skb->ingress_ifindex || !is_mac_equal(from->mac, eth->h_source))
        return pass(FASTPATH_PASS_FORGED);
    if (is_vxlan(c, ip, end))
        return pass(FASTPATH_PASS_VXLAN);
    longest = longest_packet(skb, ip, ip + 1, end);
    if (!peer)
        return send_to_neighbour(skb, ip->daddr, from, longest);
    if (!peer->ifindex)
        return pass(FASTPATH_PASS_NO_WAY);
    if (longest == 0 || longest > peer->mtu ||
        skb->len - FASTPATH_ETH_SIZE + FASTPATH_OVERHEAD > 0xffff)
        return pass(FASTPATH_PASS_OVERSIZE);
    return send_to_peer(skb, c, peer, from->slot, ip->tos, flow_hash(skb, ip, end));
}

/* ---- to a container ------------------------------------------------------------------------ */

struct vxlan_packet {
    struct ethhdr eth;
    struct iphdr ip;
    struct udphdr udp;
    __be32 flags, vni;
    struct ethhdr inner_eth;
    struct iphdr inner_ip;
} __attribute__((packed, aligned(2)));
_Static_assert(sizeof(struct vxlan_packet) == FASTPATH_INNER_OFFSET + FASTPATH_IP_SIZE, "as drawn");

/* Whether it is our VXLAN, to this node, in a form that the kernel would take apart just so. */
static __always_inline bool is_ours(const struct __sk_buff *skb, const struct fastpath_config *c,
                                    const struct vxlan_packet *p)
{
    __u32 length = skb->len - FASTPATH_ETH_SIZE;

    return p->ip.protocol == IPPROTO_UDP && p->udp.dest == c->port_be &&
           p->ip.daddr == c->local_be && p->flags == VXLAN_FLAGS && p->vni == c->vni_be &&
           *(const __u8 *)&p->ip == IP4_SIMPLE && !(p->ip.frag_off & IP_FRAGMENT) &&
           bpf_ntohs(p->ip.tot_len) == length &&
           bpf_ntohs(p->udp.len) == length - FASTPATH_IP_SIZE &&
           p->eth.h_proto == bpf_htons(ETH_P_IP) && skb->pkt_type == PACKET_HOST &&
           !skb->vlan_present;
}

/* INET_ECN_decapsulate, but for what kernels answer differently: congestion on the way of a packet
 * that is not capable of ECN, and the one kind of capable around the other. */
static __always_inline bool is_ecn_plain(__u8 outer, __u8 inner)
{
    return (outer != ECN_CE || inner) && (outer != ECN_ECT1 || inner != ECN_ECT0);
}

static __always_inline __u32 judge_outer(const struct fastpath_config *c,
                                         const struct vxlan_packet *p,
                                         const struct fastpath_peer *peer)
{
    if (!peer || peer->host_be != p->ip.saddr)
        return FASTPATH_PASS_NO_PEER;
    if (!is_mac_equal(p->inner_eth.h_dest, c->vtep_mac) ||
        !is_mac_equal(p->inner_eth.h_source, peer->headers + FASTPATH_OVERHEAD) ||
        p->inner_eth.h_proto != bpf_htons(ETH_P_IP))
        return FASTPATH_PASS_ODD;
    if (p->udp.check || sum_of(&p->ip) != 0xffff)
        return FASTPATH_PASS_CHECKSUM;
    return is_ecn_plain(p->ip.tos & ECN_MASK, p->inner_ip.tos & ECN_MASK) ? FASTPATH_PASS_COUNT
                                                                          : FASTPATH_PASS_ECN;
}

static __always_inline int receive(struct __sk_buff *skb, const struct fastpath_peer *peer,
                                   const struct fastpath_endpoint *to, bool is_marked)
{
    const __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET;
    __u64 packets = packets_in(skb), bytes = skb->len - FASTPATH_INNER_OFFSET;

    if (bpf_skb_adjust_room(skb, -FASTPATH_OVERHEAD, BPF_ADJ_ROOM_MAC, flags) < 0)
        return pass(FASTPATH_PASS_NO_ROOM);
    /* One verified checksum is gone with the outer UDP header, as in the kernel's udp4_csum_init.
     */
    bpf_csum_level(skb, BPF_CSUM_LEVEL_DEC);
    count_rx(&peer_counts, peer->slot, packets, bytes);
    return deliver(skb, to, is_marked);
}

SEC("tc")
int quilt_to_container(struct __sk_buff *skb)
{
    const struct fastpath_config *c = enabled_config();
    const struct fastpath_endpoint *to;
    const struct fastpath_peer *peer;
    const struct vxlan_packet *p;
    __u32 reason, longest;
    void *end;

    if (!c || skb->protocol != bpf_htons(ETH_P_IP) || skb->len < sizeof *p)
        return PASS;
    p = (void *)(long)skb->data;
    end = (void *)(long)skb->data_end;
    if ((const void *)(&p->udp + 1) > end || p->ip.protocol != IPPROTO_UDP ||
        p->udp.dest != c->port_be)
        return PASS;
    if ((const void *)(p + 1) + sizeof(struct tcphdr) > end) {
        bpf_skb_pull_data(
            skb, skb->len < FASTPATH_OVERHEAD + HEADERS ? skb->len : FASTPATH_OVERHEAD + HEADERS);
        p = (void *)(long)skb->data;
        end = (void *)(long)skb->data_end;
    }
    if ((const void *)(p + 1) > end || !is_ours(skb, c, p))
        return PASS;
    peer = find_peer(c, p->inner_ip.saddr & c->mask_be);
    reason = judge_outer(c, p, peer);
    if (reason == FASTPATH_PASS_COUNT)
        reason = judge_plain(&p->inner_ip, skb->len - FASTPATH_INNER_OFFSET);
    if (reason != FASTPATH_PASS_COUNT || !peer)
        return pass(reason);
    to = find_endpoint(p->inner_ip.daddr);
    if (!to)
        return pass(FASTPATH_PASS_NO_TARGET);
    longest = longest_packet(skb, &p->inner_ip, p + 1, end);
    if (longest == 0 || longest > to->mtu)
        return pass(FASTPATH_PASS_OVERSIZE);
    return receive(skb, peer, to, (p->ip.tos & ECN_MASK) == ECN_CE);
}
