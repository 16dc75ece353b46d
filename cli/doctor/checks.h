/* The doctor's families of checks. Each looks at the facts and adds what it finds; the later ones
 * see what the earlier ones found, and say nothing about what is explained already. Pure. */
#pragma once

#include "cli/doctor/facts.h"
#include "cli/doctor/finding.h"

/* Whether anything gets out of this host at all. */
void check_underlay(const struct facts *facts, struct findings *findings);
/* The three daemons: away, refused, clocks, certificates, room for addresses. */
void check_daemons(const struct facts *facts, struct findings *findings);
/* The control plane alone; check_daemons() calls it. */
void check_control(const struct facts *facts, struct findings *findings);
/* Who is in the way of our devices and addresses. */
void check_devices(const struct facts *facts, struct findings *findings);
/* Other programs' routing rules that lead packets of the mesh astray. */
void check_rules(const struct facts *facts, struct findings *findings);
/* Whether they explain that a peer is silent. */
bool rules_explain(const struct facts *facts, const struct path *path);
/* The kernel's settings and tables, and the disk. */
void check_settings(const struct facts *facts, struct findings *findings);
/* Other programs' firewalls that drop what is forwarded, and our own, when it is not there. */
void check_firewall(const struct facts *facts, struct findings *findings);
/* The ways to the peers. */
void check_paths(const struct facts *facts, struct findings *findings);
/* Peers whose hosts are not reached; check_paths() calls it. */
void check_reach(const struct facts *facts, struct findings *findings);
/* Packets that are lost now and then on them. */
void check_loss(const struct facts *facts, struct findings *findings);

/* All of them; what the daemons told besides, when nothing explains it; and what was not looked at.
 */
void diagnose(const struct facts *facts, struct findings *ret_findings);
