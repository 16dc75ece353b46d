/* Any datagram as a probe: what is read is written again as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "agent/probe/packet.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    uint8_t again[PROBE_PACKET_BYTES];
    struct probe_packet packet;

    if (!probe_packet_read(bytes, n, &packet))
        return 0;
    probe_packet_write(&packet, again);
    if (memcmp(again, bytes, sizeof again) != 0)
        abort();
    return 0;
}
