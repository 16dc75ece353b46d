/* What the two halves of the registry share: the tables (registry.c) and the plans
 * (registry_plan.c). */
#pragma once

#include "control/services/registry.h"

/* The node that holds the address, or NULL. */
struct node *registry_find_holder(const struct registry *registry, uint32_t address);
/* The change under way that is about the address, or NULL. */
struct registry_change *registry_find_claim(const struct registry *registry, uint32_t address);
/* The change is under way from now on. */
void registry_begin(struct registry *registry, struct registry_change *change);
/* The body of a lease's record. Caller frees. */
char *registry_lease_json(const char *node_id, bool is_quarantined);
