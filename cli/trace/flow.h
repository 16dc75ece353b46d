/* The packet that is sent, and how it is known again wherever it comes by. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flow {
    uint32_t from, to; /* host order */
    uint8_t protocol;  /* IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP */
    uint16_t port;     /* TCP, UDP: the destination's */
    uint16_t mark;     /* ICMP: the id; else the source port */
};

enum flow_part {
    FLOW_OTHER,
    FLOW_REQUEST,
    FLOW_ANSWER,
    FLOW_ERROR /* ICMP about the request, from whoever could not carry it on */
};

/* Which part of the flow an IPv4 packet is, from its header on; inside VXLAN of this port, too, and
 * then *ret_is_inside is true. */
enum flow_part flow_recognize(const struct flow *flow, const uint8_t *packet, size_t n,
                              uint16_t vxlan_port, bool *ret_is_inside);
