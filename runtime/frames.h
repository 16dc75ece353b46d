/* The table `netdev quilt`: what containers send and is no IPv4, for tables of the family inet see
 * nothing of it. Pure.
 *
 *     chain qv…     one on each endpoint's device: IPv4 goes on, all else to
 *     chain frames  which drops and counts it
 */
#pragma once

#include "runtime/firewall.h"

#define FRAMES_FAMILY "netdev"
#define FRAMES_TABLE FIREWALL_TABLE

/* The table without the chains on devices, which come and go with these. */
json_t *frames_ruleset(void);
/* Makes a ruleset of the same table without such chains. */
json_t *frames_without_doors(const json_t *listing);

/* The chain on an endpoint's device, and its rule. */
json_t *frames_door(uint32_t addr);
/* Whether a listing of the table has exactly that. */
bool frames_has_door(const json_t *listing, uint32_t addr);
/* The addresses in the names of all such chains; caller frees. */
uint32_t *frames_list_doors(const json_t *listing, size_t *ret_count);
