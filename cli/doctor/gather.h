/* Gathers the facts: from the kernel, from files, and from peers that are tried. Changes nothing.
 */
#pragma once

#include "cli/checkup.h"
#include "cli/doctor/facts.h"

/* checkup must have been asked; the facts borrow from it. What cannot be had stays unknown,
 * and is noted as a blind spot where a check misses it. */
void gather_facts(const struct cli *cli, const struct checkup *checkup, struct facts *ret_facts);

/* ---- for gather.c ---- */

/* Rules, and what they lead astray. After devices and routes. */
void gather_strays(struct nl *nl, struct facts *facts);

/* How this host would send to the hosts of silent peers. After they were tried. */
void gather_ways(struct facts *facts);

/* Files of programs that set up the host. */
void gather_files(const struct cli *cli, struct facts *facts);
/* The program that has this UDP port, "dnsmasq (pid 12)". Caller frees; NULL: nobody. */
char *gather_port_owner(uint16_t port);
/* What our daemons have open. */
void gather_daemon_files(struct facts *facts);
