/* The routes that the ways to the peers take, as the kernel told them last: asked for once, and
 * again when the kernel tells of a change. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/overlay/want.h"
#include "lib/net/route.h"

/* Some changes (of policy rules, say) the kernel tells us nothing of: so many routes are asked for
 * again at every sweep, in turn. */
#define KNOWN_SWEPT 1000

struct known_way {
    uint32_t vtep, host_ip;
    bool is_known;
    struct route_fib fib; /* meaningful when it is known */
};

struct known_ways {
    struct known_way *items; /* owned; in the order of want's peers */
    size_t count;
    size_t swept; /* whose turn it is */
};

void known_ways_deinit(struct known_ways *known);
/* These are the peers now; what is known of those that stay where they were stays known. */
void known_ways_follow(struct known_ways *known, const struct overlay_want *want);

/* The route to this destination came, changed or went. Whether it concerns any of them. */
bool known_ways_forget_route(struct known_ways *known, struct ip4_prefix dst);
void known_ways_forget_all(struct known_ways *known);
/* The next KNOWN_SWEPT. */
void known_ways_forget_some(struct known_ways *known);
