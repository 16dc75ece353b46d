/* Does TCP get through the overlay, and does it when its checksum is computed before it is sent?
 *
 * Asked of a port that nobody is likely to have: a refusal is an answer. Once as programs do it,
 * with the checksum left to the device; once through a raw socket, with the checksum in place. Each
 * is tried several times, because a packet may be lost for any reason.
 * Touches the network.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tcp_target {
    uint32_t addr;
    unsigned int sent, answers;               /* as programs do it, until one is answered */
    unsigned int summed_sent, summed_answers; /* with its checksum in place, when none was */
};

/* A second and a half at most. Negative with a text: not all could be tried. */
int tcp_probe_run(const char *device, struct tcp_target *targets, size_t count);
