/* The firewall table `inet quilt`, as the kernel lists it back. Pure.
 *
 *     map peers          underlay addresses of the other nodes, each with its mark: the same
 *                        address as a number
 *     set origins        which subnet may come from which peer: subnet and mark
 *     set endpoints      what containers may send as: device, address and MAC of each
 *     counters           what was dropped, one for each reason
 *
 *     hook         from a container            VXLAN                    out of the overlay
 *     prerouting   is it what it says it is?   from a peer?             from that peer's subnet,
 *                  no VXLAN, nothing to        the peer's mark is put   and to ours?
 *                  169.254/16 or 127/8         on it (its priority)
 *     input        only answers, ICMP echo and open ports      as a container: likewise
 *     forward      to other hosts of the mesh: likewise
 *     both         ICMP errors about connections of their own that change no way, whatever is open
 *     postrouting  what leaves the cluster gets the host's address
 *
 * prerouting and output come before connection tracking and keep VXLAN, and what goes from
 * container to container, out of it: nothing of that is ever rewritten. Whatever the list does not
 * have is dropped, so there is no moment in which an endpoint, a peer or the node itself is not
 * known yet and lets something in. Without a subnet nothing gets in or out.
 */
#pragma once

#include "lib/api/mesh.h"
#include "lib/base/ip4.h"
#include "lib/base/json.h"
#include "runtime/members.h"

#define FIREWALL_FAMILY "inet"
#define FIREWALL_TABLE MESH_TABLE_NAME
#define FIREWALL_PEERS "peers"
#define FIREWALL_ORIGINS "origins"
#define FIREWALL_ENDPOINTS "endpoints"

/* What is dropped, and counted. */
enum firewall_reason {
    FIREWALL_NO_PEER,       /* VXLAN from a host that is no peer */
    FIREWALL_OTHER_ORIGIN,  /* a peer sends what is not of its own subnet */
    FIREWALL_STRAY,         /* a peer sends what is for nobody on this node */
    FIREWALL_OUTSIDE,       /* an address of the mesh, and it came by no way of the mesh */
    FIREWALL_LOOPBACK,      /* to 127/8 from elsewhere */
    FIREWALL_NOT_IP4,       /* from a container: another packet than of IPv4 */
    FIREWALL_FORGED_SOURCE, /* from a container: not its own address */
    FIREWALL_FORGED_MAC,    /* from a container: its own address, not its own MAC */
    FIREWALL_VXLAN,         /* from a container: VXLAN */
    FIREWALL_TUNNEL,        /* from a container: IPv4 in IPv4, out of the mesh */
    FIREWALL_LINK_LOCAL,    /* from a container: 169.254/16, cloud metadata among it */
    FIREWALL_HOST,          /* from a container to its host, and neither answer nor open */
    FIREWALL_PEER_HOST,     /* likewise to another host of the mesh */
    FIREWALL_FORGED_ERROR,  /* from a container: an ICMP error that changes ways or is of others */
    FIREWALL_NOWHERE,       /* from a container: to the mesh, where no way of the mesh leads */
    FIREWALL_INVALID,       /* from a container, leaving, and no connection can be made of it */
    FIREWALL_ARP,           /* from a container: ARP, which nobody needs */
    FIREWALL_IP6,           /* from a container: IPv6, router advertisements among it */
    FIREWALL_VLAN,          /* from a container: a frame with a VLAN tag */
    FIREWALL_FRAME,         /* from a container: any other frame that is not of IPv4 */
    FIREWALL_REASON_COUNT,
    FIREWALL_FRAMES_FIRST = FIREWALL_ARP /* from here on those of the table of frames */
};
/* The counters' names, in the table and in metrics. */
extern const char *const firewall_reasons[FIREWALL_REASON_COUNT];

struct firewall_peer {
    uint32_t host;   /* underlay address */
    uint32_t subnet; /* its network address; 0: not known */
};

#define FIREWALL_PORTS_MAX 16

struct firewall_port {
    bool is_tcp; /* or UDP */
    uint16_t number;
};

/* What the operator opens. */
struct firewall_policy {
    bool are_hosts_open;   /* all ports of the mesh's hosts, for containers */
    bool is_metadata_open; /* 169.254.169.254 */
    bool is_all_tracked;   /* connection tracking sees what goes from container to container */
    struct firewall_port ports[FIREWALL_PORTS_MAX]; /* of the mesh's hosts, sorted */
    size_t port_count;
};

struct firewall_spec {
    struct firewall_policy policy;
    struct ip4_prefix subnet; /* len 0: none yet */
    struct ip4_prefix cluster;
    const struct firewall_peer *peers; /* sorted, each once */
    size_t peer_count;
    const struct member_list *endpoints;      /* NULL: none */
    const struct member_list *devices, *hops; /* of the short cut, likewise */
    bool has_overlay;                         /* its device is there */
    uint32_t mtu_bytes;                       /* its, and the endpoints' */
    bool has_short_cut;                       /* runtime/short_cut.h */
};

/* The whole table. */
json_t *firewall_ruleset(const struct firewall_spec *spec);
/* Its sets with what is in them. */
json_t *firewall_sets(const struct firewall_spec *spec);
/* Of those sets the one of origins, and the condition that asks it, for the other table. */
json_t *firewall_origin_members(const struct firewall_spec *spec);
json_t *firewall_is_of_origin(const char *op, const struct firewall_spec *spec);
/* For how many members sets are made: of something of each peer, and of each endpoint. */
uint32_t firewall_peer_room(const struct firewall_spec *spec);
uint32_t firewall_endpoint_room(const struct firewall_spec *spec);
/* Makes a ruleset of the same table with empty sets. */
json_t *firewall_without_members(const json_t *ruleset);

/* Sorts peers and drops doubles and those without an address; returns how many are left. */
size_t firewall_sort_peers(struct firewall_peer *peers, size_t count);

/* Opens what a word says: "53/udp", "metadata", "hosts". -EINVAL, -ENOSPC. */
int firewall_open(struct firewall_policy *policy, const char *word);
