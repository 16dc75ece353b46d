/* The probe of UDP port 9180 (lib/api/mesh.h), as bytes. A request is padded to the size that is to
 * be tried; an answer never is larger than its request, so nobody is made to shout by it.
 *
 *      0       1       2       3       4                      8                       16
 *     +-------+-------+-------+-------+-------+------+-------+-----------------------+
 *     |  'Q'  |  'M'  |  'P'  |   1   | type  |   0  | bytes |         nonce         |  zeros ...
 *     +-------+-------+-------+-------+-------+------+-------+-----------------------+
 *
 * type: 1 request, 2 answer. bytes: of the whole IP packet of the request, big-endian. nonce:
 * random, so that who does not see the request cannot make up an answer. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_PACKET_BYTES 16
/* IPv4 header without options, and UDP header. */
#define PROBE_HEADERS_BYTES 28
#define PROBE_PACKET_MAX 65507

enum probe_type { PROBE_REQUEST = 1, PROBE_ANSWER = 2 };

struct probe_packet {
    enum probe_type type;
    uint16_t ip_bytes;
    uint64_t nonce;
};

/* Writes the first PROBE_PACKET_BYTES. */
void probe_packet_write(const struct probe_packet *packet,
                        uint8_t ret_bytes[static PROBE_PACKET_BYTES]);
/* False: it is none of ours. */
bool probe_packet_read(const uint8_t *bytes, size_t n, struct probe_packet *ret_packet);
