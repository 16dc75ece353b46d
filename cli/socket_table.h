/* The kernel's tables of this host's sockets, as text (man 5 proc, /proc/net/tcp):
 *
 *       sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout
 * inode 0: 0100007F:23DC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0
 * 20735
 *
 * Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The n-th word of a line, from 0; its length in *ret_n. */
const char *socket_table_field(const char *line, int n, size_t *ret_n);

/* The user to whose socket a connection to this address and port comes, by the tables of TCP over
 * IPv4 and over IPv6 ("" when there is none). -ENOENT, without a text: nobody listens there. */
int socket_table_listener(const char *tcp, const char *tcp6, uint32_t addr, uint16_t port,
                          uint32_t *ret_uid);
