/* Container addresses of one node: which are free, which is next. Pure.
 *
 * All addresses of the node's subnet but the first (the VTEP's) and the last (broadcast) are for
 * containers. They are given out round robin and a freed one rests for a while, because peers and
 * clients remember an address longer than its owner lives; a resting address is given out early
 * only when nothing else is left, the longest rested first. Who holds what is remembered by the
 * endpoints, so that after a restart the pool is filled again from them.
 */
#pragma once

#include "lib/base/ip4.h"

#define IPAM_REST_MS (30 * 1000)
/* Longest and shortest prefix a pool is made for: 2 to 65,534 addresses. */
#define IPAM_LEN_MIN 16
#define IPAM_LEN_MAX 30

enum ipam_outcome {
    IPAM_EXHAUSTED = 1, /* all addresses are held */
    IPAM_TAKEN,         /* this one is */
    IPAM_OUTSIDE        /* no container address of this subnet */
};

struct ipam {
    struct ip4_prefix subnet;
    uint32_t last;       /* given out last; 0: none yet */
    uint32_t used_count; /* held now */
    int64_t
        *free_from_ms; /* one per address of the subnet; IPAM_HELD while held, 0 if never used */
};

/* subnet.len is between IPAM_LEN_MIN and IPAM_LEN_MAX. */
void ipam_init(struct ipam *ipam, struct ip4_prefix subnet);
void ipam_deinit(struct ipam *ipam);
void ipam_copy(struct ipam *ipam, const struct ipam *from);

/* The next free address. 0 or IPAM_EXHAUSTED. */
int ipam_take_next(struct ipam *ipam, int64_t now_ms, uint32_t *ret_addr);
/* This address, resting or not. 0, IPAM_TAKEN or IPAM_OUTSIDE. */
int ipam_take(struct ipam *ipam, uint32_t addr);
/* Gives it back; it rests from now on. Giving back what nobody holds does nothing. */
void ipam_release(struct ipam *ipam, uint32_t addr, int64_t now_ms);

/* How many addresses there are for containers. */
uint32_t ipam_size(const struct ipam *ipam);
uint32_t ipam_free_count(const struct ipam *ipam);
