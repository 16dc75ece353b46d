/* What other programs' nftables rules do to our packets, as far as can be told without running
 * packets through them. Rules of iptables-nft are among them. Pure.
 *
 * A ruleset is what nft_list_all() returns: [{"chain":{…}}, {"rule":{…}}, …].
 */
#pragma once

#include "lib/base/ip4.h"
#include "lib/base/json.h"

enum ruleset_how {
    RULESET_BY_RULE,     /* one for these very packets */
    RULESET_BY_POLICY,   /* of the chain */
    RULESET_BY_LAST_RULE /* one without conditions, as firewalld has */
};

/* A chain; its texts are borrowed from the ruleset. */
struct ruleset_place {
    const char *family, *table, *chain;
    const char *hook;     /* of the base chain; "" when the chain is another's */
    enum ruleset_how how; /* it drops */
    bool has_docker_user; /* the table has Docker's chain for the rules of others */
};

/* A base chain at the forward hook that drops what no rule lets pass, or the cluster's packets, in
 * a table that has no rule which would let these pass. */
bool ruleset_find_forward_drop(const json_t *ruleset, struct ip4_prefix cluster,
                               struct ruleset_place *ret);
/* What drops UDP to this port on its way into the host, or out of it: a rule that names the port,
 * or a chain that drops what no rule lets pass, and whose table has no rule that names it. */
bool ruleset_find_port_drop(const json_t *ruleset, uint16_t port, bool is_incoming,
                            struct ruleset_place *ret);
/* A chain that drops what comes in and no rule lets pass, and whose table has no rule that could
 * let the peers' pings pass which come out of the overlay's device. A condition that is not
 * understood could. */
bool ruleset_find_echo_drop(const json_t *ruleset, struct ip4_prefix cluster,
                            struct ruleset_place *ret);
