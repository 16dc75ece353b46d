/* The internet checksum (RFC 1071) of what IP, ICMP, UDP and TCP carry. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Over n bytes whose own checksum field is zero; n is even, up to 64 KiB. The result is in the byte
 * order of the bytes, so it goes into the field as it is. */
uint16_t checksum_inet(const void *bytes, size_t n);
