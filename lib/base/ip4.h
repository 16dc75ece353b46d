/* IPv4 addresses, prefixes and MAC addresses: parsing, printing, arithmetic.
 *
 * Addresses are uint32_t in HOST byte order everywhere in our code; what is in network order has
 * "_be" in its name and lives at the edges (lib/net). Parsing is strict: four decimal octets
 * without leading zeros, signs or blanks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IP4_TEXT_SIZE 16        /* "255.255.255.255" */
#define IP4_PREFIX_TEXT_SIZE 19 /* with "/32" */
#define MAC_TEXT_SIZE 18

struct ip4_prefix {
    uint32_t addr; /* host order, host bits zero */
    uint8_t len;   /* 0..32 */
};

struct mac {
    uint8_t bytes[6];
};

/* 0, or -EINVAL with a text that says what is wrong with this word. */
int ip4_parse(const char *text, uint32_t *ret_addr);
/* "10.42.0.0/16"; host bits set are an error that names the right network. */
int ip4_prefix_parse(const char *text, struct ip4_prefix *ret_prefix);
/* An address a host can have on a network: not 0/8, loopback, multicast, class E or broadcast. */
bool ip4_is_unicast_host(uint32_t addr);
/* In 127.0.0.0/8: an address that each host has for itself alone. */
bool ip4_is_loopback(uint32_t addr);

char *ip4_format(uint32_t addr, char ret_text[static IP4_TEXT_SIZE]);
char *ip4_prefix_format(struct ip4_prefix prefix, char ret_text[static IP4_PREFIX_TEXT_SIZE]);

uint32_t ip4_mask(uint8_t len);
bool ip4_prefix_contains(struct ip4_prefix prefix, uint32_t addr);
/* inner is inside outer, or the same. */
bool ip4_prefix_covers(struct ip4_prefix outer, struct ip4_prefix inner);
bool ip4_prefix_equal(struct ip4_prefix a, struct ip4_prefix b);

/* The MAC address that stands for an IPv4 address on the mesh: 02:51 and the four bytes. */
struct mac mac_from_ip4(uint32_t addr);
/* The address that it stands for; false: for none. */
bool mac_to_ip4(struct mac mac, uint32_t *ret_addr);
bool mac_equal(struct mac a, struct mac b);
char *mac_format(struct mac mac, char ret_text[static MAC_TEXT_SIZE]);
