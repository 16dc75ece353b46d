/* What the parts of the registry share: the tables (registry.c), the plans (registry_plan.c, and
 * registry_register.c with registry_twin.c for who registers), reservations (registry_reserve.c),
 * what nodes say of each other (registry_probes.c). */
#pragma once

#include "control/services/registry.h"

/* The node that holds the address, or NULL. */
struct node *registry_find_holder(const struct registry *registry, uint32_t address);
/* The change under way that is about the address, or NULL. */
struct registry_change *registry_find_claim(const struct registry *registry, uint32_t address);
/* The change under way that gives a node the token of this digest, or NULL. */
struct registry_change *registry_find_minting(const struct registry *registry,
                                              const char *token_sha256);

/* The change under way that is about the subnet, or NULL. Walks over all. */
struct registry_change *registry_find_change_of_subnet(const struct registry *registry,
                                                       uint32_t index);

struct registry_change *registry_change_new(enum registry_change_type type, struct node *node,
                                            struct moment now);
const char *registry_subnet_text(const struct registry *registry, uint32_t index,
                                 char ret_text[static IP4_PREFIX_TEXT_SIZE]);
/* node gets other facts; loser (or NULL) loses the address to it. REGISTRY_CHANGE. */
enum registry_outcome registry_plan_update(struct registry *registry, struct node *node,
                                           const struct node_facts *next, struct node *loser,
                                           struct moment now, struct registry_change **ret_change);
/* A sign of life of a node that is up. */
void registry_hear(struct registry *registry, struct node *node, struct moment now);
void registry_set_unknown(struct registry *registry, struct node *node, bool is_unknown);
/* Whether another process may be the node from now on (registry_twin.c): REGISTRY_READY,
 * REGISTRY_STALE or REGISTRY_TWIN, with ret_wait_ms. */
enum registry_outcome registry_check_suitor(const struct registry *registry, struct node *node,
                                            const struct api_register_request *request,
                                            struct moment now, int64_t *ret_wait_ms);
/* Whether self, or (NULL) a new node, may be of this name (registry_name.c): REGISTRY_READY; what
 * it has already it may keep. REGISTRY_CONFLICT with a text: another node has it; or REGISTRY_WAIT.
 */
enum registry_outcome registry_check_name(struct registry *registry, const struct node *self,
                                          const char *hostname,
                                          struct registry_change **ret_change);
/* The change is under way from now on. */
void registry_begin(struct registry *registry, struct registry_change *change);
/* The body of a lease's record. Caller frees. */
char *registry_lease_json(const char *node_id, bool is_quarantined);

/* STORE_DAMAGED, with a text about the record. */
int registry_damaged(const struct store_record *record, const char *what);
int registry_load_reservation(struct registry *registry, const struct store_record *record);
/* The one that a new node of this address and name is to be given; NULL: none. */
struct reservation *registry_reservation_for(const struct registry *registry, uint32_t host_ip,
                                             const char *hostname);
/* Out of the tables; it is the caller's. */
void registry_let_go(struct registry *registry, struct reservation *reservation);
