/* The probe as bytes. */
#include "agent/probe/packet.h"

#include <string.h>

static const uint8_t magic[4] = {'Q', 'M', 'P', 1};

void probe_packet_write(const struct probe_packet *packet,
                        uint8_t ret_bytes[static PROBE_PACKET_BYTES])
{
    memcpy(ret_bytes, magic, sizeof magic);
    ret_bytes[4] = (uint8_t)packet->type;
    ret_bytes[5] = 0;
    ret_bytes[6] = (uint8_t)(packet->ip_bytes >> 8);
    ret_bytes[7] = (uint8_t)(packet->ip_bytes & 0xff);
    memcpy(ret_bytes + 8, &packet->nonce, sizeof packet->nonce);
}

bool probe_packet_read(const uint8_t *bytes, size_t n, struct probe_packet *ret_packet)
{
    if (n < PROBE_PACKET_BYTES || memcmp(bytes, magic, sizeof magic) != 0 || bytes[5] != 0 ||
        (bytes[4] != PROBE_REQUEST && bytes[4] != PROBE_ANSWER))
        return false;
    ret_packet->type = bytes[4] == PROBE_REQUEST ? PROBE_REQUEST : PROBE_ANSWER;
    ret_packet->ip_bytes = (uint16_t)(bytes[6] << 8 | bytes[7]);
    memcpy(&ret_packet->nonce, bytes + 8, sizeof ret_packet->nonce);
    return true;
}
