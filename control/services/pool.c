/* The cluster's subnets, by index. */
#include "control/services/pool.h"

#include <assert.h>
#include <string.h>

#include "lib/base/list.h"
#include "lib/base/mem.h"

static void set_state(struct pool *p, uint32_t index, enum pool_state state)
{
    p->counts[p->states[index]]--;
    p->states[index] = (uint8_t)state;
    p->counts[state]++;
}

void pool_init(struct pool *p, struct ip4_prefix cidr, uint8_t subnet_len)
{
    uint32_t count = 1U << (subnet_len - cidr.len);

    *p = (struct pool){.cidr = cidr, .subnet_len = subnet_len, .count = count, .lowest = 1};
    p->states = mem_array(count, sizeof *p->states);
    p->is_set_aside = mem_zalloc(count * sizeof *p->is_set_aside);
    p->revisions = mem_zalloc(count * sizeof *p->revisions);
    memset(p->states, POOL_FREE, count);
    p->counts[POOL_FREE] = count;
    set_state(p, 0, POOL_BARRED);
    set_state(p, count - 1, POOL_BARRED);
}

void pool_deinit(struct pool *p)
{
    struct pool_wait *wait, *next;

    DL_FOREACH_SAFE(p->waits, wait, next)
    free(wait);
    free(p->is_set_aside);
    free(p->revisions);
    free(p->states);
    *p = (struct pool){0};
}

struct ip4_prefix pool_subnet(const struct pool *p, uint32_t index)
{
    assert(index < p->count);
    return (struct ip4_prefix){.addr = p->cidr.addr + (index << (32 - p->subnet_len)),
                               .len = p->subnet_len};
}

bool pool_index(const struct pool *p, struct ip4_prefix subnet, uint32_t *ret_index)
{
    uint32_t index;

    if (subnet.len != p->subnet_len || !ip4_prefix_covers(p->cidr, subnet))
        return false;
    index = (subnet.addr - p->cidr.addr) >> (32 - p->subnet_len);
    if (p->states[index] == POOL_BARRED)
        return false;
    *ret_index = index;
    return true;
}

bool pool_take_lowest(struct pool *p, uint32_t *ret_index)
{
    while (p->lowest < p->count && p->states[p->lowest] != POOL_FREE)
        p->lowest++;
    if (p->lowest == p->count)
        return false;
    set_state(p, p->lowest, POOL_USED);
    *ret_index = p->lowest++;
    return true;
}

bool pool_take(struct pool *p, uint32_t index)
{
    if (p->states[index] != POOL_FREE)
        return false;
    set_state(p, index, POOL_USED);
    return true;
}

bool pool_take_reserved(struct pool *p, uint32_t index)
{
    if (p->states[index] != POOL_RESERVED)
        return false;
    set_state(p, index, POOL_USED);
    return true;
}

static void make_free(struct pool *p, uint32_t index)
{
    set_state(p, index, POOL_FREE);
    if (index < p->lowest)
        p->lowest = index;
}

void pool_give_back(struct pool *p, uint32_t index)
{
    assert(p->states[index] == POOL_USED || p->states[index] == POOL_QUARANTINED);
    if (p->is_set_aside[index])
        set_state(p, index, POOL_RESERVED);
    else
        make_free(p, index);
}

void pool_set_aside(struct pool *p, uint32_t index)
{
    assert(p->states[index] != POOL_BARRED);
    p->is_set_aside[index] = true;
    if (p->states[index] == POOL_FREE)
        set_state(p, index, POOL_RESERVED);
}

void pool_set_free(struct pool *p, uint32_t index)
{
    p->is_set_aside[index] = false;
    if (p->states[index] == POOL_RESERVED)
        make_free(p, index);
}

static struct pool_wait *wait_new(uint32_t index, int64_t until_ms)
{
    struct pool_wait *wait = NEW(struct pool_wait);

    *wait = (struct pool_wait){.index = index, .until_ms = until_ms};
    return wait;
}

void pool_quarantine(struct pool *p, uint32_t index, int64_t until_ms)
{
    struct pool_wait *wait = wait_new(index, until_ms);

    assert(p->states[index] != POOL_BARRED);
    set_state(p, index, POOL_QUARANTINED);
    DL_APPEND(p->waits, wait);
}

bool pool_peek_due(const struct pool *p, int64_t now_ms, uint32_t *ret_index, int64_t *ret_until_ms)
{
    if (!p->waits || p->waits->until_ms > now_ms)
        return false;
    *ret_index = p->waits->index;
    *ret_until_ms = p->waits->until_ms;
    return true;
}

bool pool_take_due(struct pool *p, int64_t now_ms, uint32_t *ret_index)
{
    struct pool_wait *wait = p->waits;

    if (!wait || wait->until_ms > now_ms)
        return false;
    DL_DELETE(p->waits, wait);
    *ret_index = wait->index;
    free(wait);
    return true;
}

void pool_requeue(struct pool *p, uint32_t index, int64_t until_ms)
{
    struct pool_wait *wait = wait_new(index, until_ms);

    assert(p->states[index] == POOL_QUARANTINED);
    DL_PREPEND(p->waits, wait);
}
