/* Do the peers answer over the overlay? A ping (ICMP echo, RFC 792) to each one's VTEP address,
 * bound to the overlay device. What the daemons cannot see shows here: a firewall between two hosts
 * that drops UDP 4789, while everything on both is as it should be.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ping_target {
    uint32_t addr;
    uint16_t size_bytes; /* of the IP packet, which nobody may cut up; 0: the smallest */
    bool has_answered;
    unsigned int answers; /* of a series */
};

#define PING_TARGETS_MAX 65535

/* Pings all of them at once, three times at most, and waits for the answers: a good second when one
 * is silent. device may be NULL: whichever the route says. 0; negative errno: nothing was sent
 * (-EPERM without CAP_NET_RAW). */
int ping_run(const char *device, struct ping_target *targets, size_t count);
/* The same with an identifier (network order) that its caller knows the answers by. */
int ping_run_as(const char *device, uint16_t id_be, struct ping_target *targets, size_t count);

/* count * tries is PING_TARGETS_MAX at most. */
#define PING_SERIES_PAUSE_MS 5
/* How many get lost: pings each of them so many times, whatever is answered, and waits half a
 * second for what is late. Fills in answers. Fails as ping_run() does. */
int ping_run_series(const char *device, uint16_t id_be, struct ping_target *targets, size_t count,
                    unsigned int tries);
