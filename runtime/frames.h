/* The table `netdev quilt`, on the devices of the mesh, where tables of the family inet see nothing
 * yet. Pure.
 *
 *     chain qv…      one on each endpoint's device: what is no IPv4 goes to
 *     chain frames   which drops and counts it, the rest
 *     chain vxlan100 and on the overlay's: may take the short cut (runtime/short_cut.h)
 */
#pragma once

#include "runtime/firewall.h"

#define FRAMES_FAMILY "netdev"
#define FRAMES_TABLE FIREWALL_TABLE

/* The table without the chains on devices, which come and go with these. */
json_t *frames_ruleset(const struct firewall_spec *spec);
/* Makes a ruleset of the same table without such chains. */
json_t *frames_without_doors(const json_t *listing);

/* The chain on an endpoint's device, and its rules; and on the overlay's. */
json_t *frames_door(const struct firewall_spec *spec, uint32_t addr);
json_t *frames_overlay_door(const struct firewall_spec *spec);
/* Whether a listing of the table has exactly that. */
bool frames_has_door(const json_t *listing, const json_t *door);
/* The names of all such chains. */
json_t *frames_list_doors(const json_t *listing);

/* Whether a listing of the table has the short cut. */
bool frames_has_short_cut(const json_t *listing);
/* A table that a kernel takes which knows it. */
json_t *frames_probe(const char *table);
