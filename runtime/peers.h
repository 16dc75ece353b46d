/* The overlay's forwarding entries, followed one by one: which hosts VXLAN may come from, and which
 * subnet each of them speaks for. Pure.
 *
 *     FDB entry  mac -> host ──> members (peers: host; origins: subnet of the mac, host)
 */
#pragma once

#include "lib/base/ip4.h"
#include "runtime/firewall.h"
#include "runtime/members.h"

struct peers_entry;
struct peers {
    struct members *members;     /* borrowed; what follows from the entries */
    struct peers_entry *entries; /* by MAC */
    unsigned int listing;        /* which of them had an entry last */
};

/* Takes back what it took. */
void peers_deinit(struct peers *peers);

/* An entry leads to this host now, whatever it led to before. Hosts are in host order; 0 is none:
 * an entry that leads elsewhere than to a host. */
void peers_put(struct peers *peers, struct mac mac, uint32_t host);
/* The entry to this host is gone; another one of the same MAC stays. */
void peers_drop(struct peers *peers, struct mac mac, uint32_t host);

/* Around a listing of all entries, each of which is put: those that it lacks are gone. */
void peers_begin_listing(struct peers *peers);
void peers_end_listing(struct peers *peers);

/* All of them, sorted, each once; caller frees. */
struct firewall_peer *peers_list(const struct peers *peers, size_t *ret_count);
