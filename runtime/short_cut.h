/* The kernel path's short cut: what goes from container to container is sent on from the device it
 * comes by, before routing and before the hooks of the firewall, which would let it pass and pay
 * for it with a tenth of its time. Part of the table `netdev quilt`. Pure.
 *
 *     from a container, with its own address and MAC, and no VXLAN
 *         to one of this node     ── veths: address -> device ──> that device
 *         to a peer's subnet      ── hops: subnet -> next hop ──> the overlay
 *     out of the overlay, from a subnet of the peer that sent it
 *         to one of this node     ── veths ──> that device
 *
 * What a list does not have, and what is unusual (options, fragments, too large, a TTL that ends
 * here, a next hop with an MTU of its own) goes the long way, where `inet quilt` judges it and the
 * kernel answers it. Other programs' tables, and `ip rule`, hold for nothing that goes here; with
 * connection tracking of all (--conntrack all), or a policy of IPsec, there is no short cut.
 */
#pragma once

#include "runtime/firewall.h"
#include "runtime/firewall_words.h"

#define SHORT_CUT_HOPS "hops"
#define SHORT_CUT_DEVICES "veths" /* "devices" is a word of nft's own */

/* Sets and chains of the table. */
void short_cut_add(json_t *ruleset, const struct words_table *table,
                   const struct firewall_spec *spec);
/* The rule that leads there from the chain on an endpoint's device. */
void short_cut_add_entry(json_t *door, const struct words_table *table, const char *chain,
                         uint32_t addr);
/* The rule of the chain on the overlay's device. */
void short_cut_add_exit(json_t *door, const struct words_table *table, const char *chain,
                        const struct firewall_spec *spec);

/* Its maps, without anything in them. */
json_t *short_cut_empty_maps(void);

/* A table that a kernel takes which can do all that. */
json_t *short_cut_probe(const struct words_table *table);
