/* The firewall table `inet quilt`, as the kernel lists it back. Pure.
 *
 *     set peers           underlay addresses of the other nodes
 *     chain prerouting    before connection tracking:
 *                         - what a container sends and is not IPv4, or is VXLAN, or comes from an
 *                           address that is not routed to that very device, is dropped
 *                         - VXLAN to this host from any other than a peer is dropped
 *     chain postrouting   what containers send out of the cluster gets the host's address; inside
 *                         the cluster nothing is ever rewritten
 *
 * Without a subnet there is nothing to masquerade, but the rest stands: no VXLAN gets in.
 */
#pragma once

#include "lib/base/ip4.h"
#include "lib/base/json.h"

#define FIREWALL_FAMILY "inet"
#define FIREWALL_TABLE "quilt"
#define FIREWALL_PEERS "peers"

struct firewall_spec {
    struct ip4_prefix subnet; /* len 0: none yet */
    struct ip4_prefix cluster;
    const uint32_t *peers; /* sorted, each once */
    size_t peer_count;
};

/* The whole table. */
json_t *firewall_ruleset(const struct firewall_spec *spec);
/* The elements of the set: addresses as text. */
json_t *firewall_peers(const struct firewall_spec *spec);
/* Makes a ruleset of the same table without the set's elements. */
json_t *firewall_without_peers(const json_t *ruleset);
/* Sorts addresses and drops doubles and zeros; returns how many are left. */
size_t firewall_sort_peers(uint32_t *peers, size_t count);
