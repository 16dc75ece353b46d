/* What other programs' nftables rules do to our packets, as far as can be told without running
 * packets through them. Rules of iptables-nft are among them. Pure.
 *
 * A ruleset is what nft_list_all() returns: [{"chain":{…}}, {"rule":{…}}, …].
 */
#pragma once

#include "lib/base/ip4.h"
#include "lib/base/json.h"

/* A chain; its texts are borrowed from the ruleset. */
struct ruleset_place {
    const char *family, *table, *chain;
    const char *hook;     /* of the base chain; "" when the chain is another's */
    bool is_policy;       /* the chain's policy drops, not a rule */
    bool has_docker_user; /* the table has Docker's chain for the rules of others */
};

/* A base chain at the forward hook whose policy is to drop, in a table that has no rule which would
 * let the cluster's packets pass. */
bool ruleset_find_forward_drop(const json_t *ruleset, struct ip4_prefix cluster,
                               struct ruleset_place *ret);
/* What drops UDP to this port on its way into the host, or out of it: a rule that names the port,
 * or a chain that drops by policy what it does not know, and whose table has no rule that names it.
 */
bool ruleset_find_port_drop(const json_t *ruleset, uint16_t port, bool is_incoming,
                            struct ruleset_place *ret);
/* A chain that drops by policy what comes in, and whose table has no rule that could let the peers'
 * pings pass which come out of the overlay's device. A condition that is not understood could. */
bool ruleset_find_echo_drop(const json_t *ruleset, struct ip4_prefix cluster,
                            struct ruleset_place *ret);
