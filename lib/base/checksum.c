/* The sum that IP, ICMP and TCP check: written by hand only where the kernel does not write it. */
#include "lib/base/checksum.h"

#include <string.h>

uint16_t checksum_inet(const void *bytes, size_t n)
{
    const char *at = bytes;
    uint32_t sum = 0;
    uint16_t word;

    for (size_t i = 0; i < n; i += sizeof word) {
        memcpy(&word, at + i, sizeof word);
        sum += word;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}
