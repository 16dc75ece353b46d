/* Whom a node probes. The nodes stand on a ring in the order of a hash of their ids, and each looks
 * at those behind it: so every node has as many that look at it, however many there are, and
 * neighbours on the ring are neighbours in no rack. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/random.h"

/* So many are watched closely: whether they live. */
#define PROBE_WATCHED 5
/* All are measured now and then; of more than this only the next PROBE_MEASURED_FEW. */
#define PROBE_MEASURED_MAX 256
#define PROBE_MEASURED_FEW 32

struct probe_target {
    char node_id[UUID_TEXT_SIZE];
    uint32_t host_ip; /* host order */
    uint32_t vtep;
    uint64_t distance; /* on the ring */
    uint32_t ip_bytes; /* the largest packet that should pass on the underlay; 0: not known */
};

/* How far a node stands behind another. */
uint64_t probe_ring_distance(const char *from_id, const char *to_id);
/* Sorts those that are to be probed to the front, the nearest first; returns how many. */
size_t probe_ring_choose(struct probe_target *targets, size_t count);
