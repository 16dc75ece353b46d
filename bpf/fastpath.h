/* What the programs of the fast path and their loaders share: the maps' names, keys and values. The
 * programs read, the loaders write. Fields that end in _be are in network order, all others in the
 * host's.
 *
 *     config      one record        the agent's: who this node is, and whether the path is on
 *     peers       index -> record   the agent's: how to reach a peer, and what it may send
 *     hops        index -> record   the agent's: the MAC addresses of next hops
 *     endpoints   index -> record   the runtime's: which device a container is behind
 *     peer_counts, endpoint_counts  slot -> counts, one set a CPU; the programs count
 *     passes      reason -> count   packets that were left to the kernel, and why
 *
 * Peers, hops and endpoints are arrays, for a hash costs each packet more than all else that is
 * done here with its headers. The index is some bits of the subnet or address; a record says whose
 * it is, and all zeros mean that there is none. Where two would have the same index, one of them is
 * left to the kernel. A record may be read while it is written: what belongs together and changes
 * together (a peer's headers, a next hop's MAC addresses) is taken away first, and who still reads
 * it is waited for.
 */
#pragma once

#include <linux/types.h>

/* Part of the directory that all is pinned in. Another number whenever a record's form or meaning
 * changes: programs never meet records of another form. */
#define FASTPATH_LAYOUT 4

/* Powers of two. */
#define FASTPATH_ENDPOINTS_MAX 16384
#define FASTPATH_PEERS_MAX 16384
#define FASTPATH_HOPS_MAX 4096
/* Beyond these many, they share sets of counts. */
#define FASTPATH_PEER_SLOTS 4096
#define FASTPATH_ENDPOINT_SLOTS 1024

/* What is put in front of a container's packet, and its offsets there:
 *
 *     0          14         34        42         50             64
 *     | Ethernet | IPv4     | UDP     | VXLAN    | Ethernet     | the container's IPv4 packet
 *     | (later)  | outer    | to 4789 | VNI      | VTEP to VTEP |
 */
#define FASTPATH_ETH_SIZE 14
#define FASTPATH_IP_SIZE 20
#define FASTPATH_INNER_OFFSET 64
#define FASTPATH_OVERHEAD 50 /* all of that but the Ethernet header the packet has already */

struct fastpath_config {
    __u32 is_enabled; /* 0: everything is left to the kernel. First in every layout */
    __u32 local_be;   /* this node's underlay address */
    __u32 subnet_be;  /* this node's subnet */
    __u32 mask_be;    /* of any node's subnet */
    __u32 vni_be;     /* the VXLAN header's second word: VNI << 8 */
    __u16 port_be;    /* UDP destination port */
    __u16 source_port_min;
    __u16 source_port_count; /* the kernel's ip_local_port_range, as vxlan uses it */
    __u8 vtep_mac[6];        /* what peers send to */
    __u32 subnet_shift;      /* the bits of an address inside of any node's subnet */
    __u32 beat;              /* another number each second while somebody keeps the hops true */
    __u64 beat_at_ns;        /* when it came, by CLOCK_BOOTTIME */
};
_Static_assert(sizeof(struct fastpath_config) == 48, "the programs and loaders agree");

struct fastpath_peer {
    __u32 subnet_be;
    __u32 host_be;     /* its underlay address: VXLAN from elsewhere is not from it */
    __u32 next_hop_be; /* the address on the link, its own or a gateway's */
    __u32 ifindex;     /* the underlay device; 0: cannot be sent to this way */
    __u32 mtu;         /* the largest inner packet */
    __u32 slot;        /* in peer_counts */
    __u32 ip_sum;      /* of the outer IPv4 header without TOS, length and id: 16-bit words added */
    __u8 headers[FASTPATH_INNER_OFFSET]; /* as above; lengths, id, TOS, sums, source port are 0 */
};
_Static_assert(sizeof(struct fastpath_peer) == 92, "the programs and loaders agree");

/* Of an address in the peer's subnet, in host order. */
static inline __u32 fastpath_peer_index(__u32 addr, __u32 subnet_shift)
{
    return addr >> (subnet_shift & 31) & (FASTPATH_PEERS_MAX - 1);
}

/* A next hop on the link, as the kernel's neighbour entry has it. Without a record, or with one
 * that nobody has kept true lately, the kernel is asked for each packet. */
struct fastpath_hop {
    __u32 next_hop_be; /* 0: none, whatever else stands here. Goes first and comes last */
    __u32 ifindex;
    __u64 macs;      /* its MAC address, then the device's own: the first 8 bytes of a frame, */
    __u32 macs_rest; /* and the next 4 */
    /* The programs' own: the beat that was seen last, and when, in jiffies. 0: none yet. */
    __u32 seen_beat;
    __u64 seen_at;
};
_Static_assert(sizeof(struct fastpath_hop) == 32, "the programs and loaders agree");

/* Of the next hop's address, in host order. */
static inline __u32 fastpath_hop_index(__u32 addr)
{
    return addr & (FASTPATH_HOPS_MAX - 1);
}

struct fastpath_endpoint {
    __u32 addr_be;
    __u32 ifindex; /* the host's end of its veth */
    __u32 mtu;     /* the largest packet it takes */
    __u32 slot;    /* in endpoint_counts */
    __u8 mac[6];
    __u8 gateway_mac[6]; /* what it knows its gateway by */
};
_Static_assert(sizeof(struct fastpath_endpoint) == 28, "the programs and loaders agree");

/* Of its address, in host order. */
static inline __u32 fastpath_endpoint_index(__u32 addr)
{
    return addr & (FASTPATH_ENDPOINTS_MAX - 1);
}

struct fastpath_counts {
    __u64 tx_packets, tx_bytes; /* to a peer; from an endpoint */
    __u64 rx_packets, rx_bytes; /* from a peer; to an endpoint */
};
_Static_assert(sizeof(struct fastpath_counts) == 32, "the programs and loaders agree");

/* Why a packet was left to the kernel. Only packets that are the mesh's business are counted. */
enum fastpath_pass {
    FASTPATH_PASS_ODD,       /* another frame than plain IPv4 to the gateway, VLANs, cut short */
    FASTPATH_PASS_OPTIONS,   /* IPv4 options */
    FASTPATH_PASS_FRAGMENT,  /* a part of a packet */
    FASTPATH_PASS_TTL,       /* the last hop */
    FASTPATH_PASS_FORGED,    /* from another address or MAC than the sender's own */
    FASTPATH_PASS_VXLAN,     /* a container's own VXLAN */
    FASTPATH_PASS_NO_PEER,   /* to or from whom no record is known */
    FASTPATH_PASS_NO_WAY,    /* the way to the peer cannot be cached */
    FASTPATH_PASS_OVERSIZE,  /* larger than the way takes: the kernel answers with ICMP */
    FASTPATH_PASS_NO_TARGET, /* inside this node's subnet, and no endpoint */
    FASTPATH_PASS_CHECKSUM,  /* a wrong header checksum, or an outer UDP one to be judged */
    FASTPATH_PASS_ECN,       /* congestion marks inside and outside that kernels differ on */
    FASTPATH_PASS_NO_ROOM,   /* the kernel refused to change the packet's size */
    FASTPATH_PASS_COUNT
};
