/* Hears answers to the doctor's own pings over VXLAN as they come to this host's devices, before
 * any firewall of the host can drop them. (What else a peer sends by itself says nothing about the
 * way there; nor do answers to the agent's probes, which a firewall over there may still let in as
 * a conversation that it knows.) Touches the network; packet(7). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/mem.h"

struct tap;

/* Hears all devices from now on: answers to pings of this identifier (network order). -EPERM
 * without CAP_NET_RAW. */
int tap_open(uint16_t udp_port, uint16_t id_be, struct tap **ret_tap);
/* Whether one has come from this address since tap_open(). */
bool tap_has_heard(struct tap *tap, uint32_t addr);
void tap_close(struct tap *tap);
DEFINE_CLEANUP(struct tap *, tap_close);
#define AUTO_TAP CLEANUP(cleanup_tap_close)
