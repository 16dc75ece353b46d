/* Whom a node probes. */
#include "agent/probe/ring.h"

#include "lib/base/sorted.h"

/* FNV-1a, and a last mixing: the order of ids that were made one after the other is no order. */
static uint64_t place(const char *id)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *id; id++)
        hash = (hash ^ (uint8_t)*id) * UINT64_C(1099511628211);
    hash ^= hash >> 32;
    hash *= UINT64_C(0xd6e8feb86659fd93);
    return hash ^ hash >> 32;
}

uint64_t probe_ring_distance(const char *from_id, const char *to_id)
{
    return place(to_id) - place(from_id);
}

static int nearer(const void *a, const void *b)
{
    const struct probe_target *x = a, *y = b;

    return x->distance < y->distance ? -1 : x->distance > y->distance;
}

size_t probe_ring_choose(struct probe_target *targets, size_t count)
{
    sorted_sort(targets, count, sizeof *targets, nearer);
    return count <= PROBE_MEASURED_MAX ? count : PROBE_MEASURED_FEW;
}
