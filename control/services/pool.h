/* The cluster's subnets, by index: subnet i is the i-th network of node size in the cluster's CIDR.
 * The first and the last are never handed out. Lowest free first. Pure.
 *
 *     free ──────take───────> used ──quarantine──> quarantined ──due──> free, or
 *     reserved ──take_reserved──┘                                       reserved
 *
 * A subnet that is set aside is reserved whenever it would be free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/ip4.h"

enum pool_state {
    POOL_BARRED, /* never handed out */
    POOL_FREE,
    POOL_RESERVED,
    POOL_USED,
    POOL_QUARANTINED,
    POOL_STATE_COUNT
};

/* One subnet in quarantine; the list is in order of the end. */
struct pool_wait {
    uint32_t index;
    int64_t until_ms;
    struct pool_wait *prev, *next;
};

struct pool {
    struct ip4_prefix cidr;
    uint8_t subnet_len;
    uint32_t count; /* with the two barred ones */
    uint8_t *states;
    bool *is_set_aside;
    uint64_t *revisions; /* of each subnet's record; the owner's to set */
    uint32_t lowest;     /* no free subnet is below this */
    uint32_t counts[POOL_STATE_COUNT];
    struct pool_wait *waits;
};

/* subnet_len - cidr.len is from 2 to 16 (cluster.h checks). */
void pool_init(struct pool *pool, struct ip4_prefix cidr, uint8_t subnet_len);
void pool_deinit(struct pool *pool);

struct ip4_prefix pool_subnet(const struct pool *pool, uint32_t index);
/* False when it is no network of the pool that can be handed out. */
bool pool_index(const struct pool *pool, struct ip4_prefix subnet, uint32_t *ret_index);

/* Takes the lowest free one; false when there is none. */
bool pool_take_lowest(struct pool *pool, uint32_t *ret_index);
/* Takes this one; false when it is not free. */
bool pool_take(struct pool *pool, uint32_t index);
/* Takes this one; false when it is not reserved. */
bool pool_take_reserved(struct pool *pool, uint32_t index);
/* From now on it is reserved when it would be free, or free again. */
void pool_set_aside(struct pool *pool, uint32_t index);
void pool_set_free(struct pool *pool, uint32_t index);
/* Back at once: a taking that came to nothing, or the end of a quarantine. */
void pool_give_back(struct pool *pool, uint32_t index);
/* From used or free; until_ms must not be before that of those already waiting. */
void pool_quarantine(struct pool *pool, uint32_t index, int64_t until_ms);
/* The subnet that waits longest, if its until_ms is over; *ret_until_ms is that time. */
bool pool_peek_due(const struct pool *pool, int64_t now_ms, uint32_t *ret_index,
                   int64_t *ret_until_ms);
/* The subnet whose quarantine is over and that waits longest, taken off the list (it stays
 * quarantined until it is given back); false when there is none. */
bool pool_take_due(struct pool *pool, int64_t now_ms, uint32_t *ret_index);
/* One that pool_take_due() gave, back to the front of the list. */
void pool_requeue(struct pool *pool, uint32_t index, int64_t until_ms);
