/* Whose probes are answered, and how often. Pure.
 *
 * Peers only, from their host IP or VTEP address, each with as many a second as a chase takes and
 * some more: a forged address gets its owner no more than that, and none that is larger than what
 * was sent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESPONDER_PER_SECOND 50

struct responder_source {
    uint32_t addr;
    uint32_t host_ip; /* of a peer's VTEP address: its host's; else 0 */
    uint32_t uses;    /* by so many peers */
    uint32_t taken;   /* in this second */
    int64_t second;   /* by the clock of deadlines */
};

struct responder {
    struct responder_source *sources; /* owned; sorted by address */
    size_t count, size;
    uint64_t answered, refused;
};

void responder_deinit(struct responder *responder);
/* Takes over sources (mem_array), in any order: addresses, hosts and uses. */
void responder_set_sources(struct responder *responder, struct responder_source *sources,
                           size_t count);
/* A peer comes, or has another host; or it goes. Whether there is one more, or one less. */
bool responder_put(struct responder *responder, uint32_t vtep, uint32_t host_ip);
bool responder_drop(struct responder *responder, uint32_t vtep);

/* Whether a request from there is to be answered; counts. */
bool responder_admit(struct responder *responder, uint32_t addr, int64_t now_ms);
