/* A mesh without its rim, for histories: a registry, a store in memory, and a clock that only moves
 * when told. */
#pragma once

#include "control/services/registry.h"
#include "tests/unit/cmocka.h"

#define TIMEOUT_MS 30000
/* printf token-1 | sha256sum */
#define TOKEN_1_SHA256 "3f08aace122ee2368432c1ca23a049bc640bafbf00fdf33a52429f38ba12dbf9"

struct mesh {
    struct cluster cluster;
    struct registry registry;
    struct store *store;
    struct moment now;
    unsigned int minted;         /* identities made so far */
    struct registry_grant grant; /* the answer to the latest registration */
};

int mesh_setup(void **state);
/* Subnets 10.42.1.0/24 and 10.42.2.0/24 only. */
int mesh_setup_small(void **state);
int mesh_teardown(void **state);
#define MESH(test) cmocka_unit_test_setup_teardown(test, mesh_setup, mesh_teardown)
#define SMALL(test) cmocka_unit_test_setup_teardown(test, mesh_setup_small, mesh_teardown)

void pass(struct mesh *m, int64_t ms);
/* As a restart of the control plane does. */
void restart(struct mesh *m);

/* The n-th identity: uuid 00000000-0000-4000-8000-00000000000n, token "token-n". */
struct registry_visit fresh_visit(struct mesh *m);
enum registry_outcome plan(struct mesh *m, const char *hostname, const char *ip,
                           const char *node_id, const char *token,
                           struct registry_change **ret_change);
/* Stores and commits a change, or aborts it when the store is full; the store's outcome. */
int finish(struct mesh *m, struct registry_change *change);

/* Whole steps: planned, stored, committed. join is without an identity. */
enum registry_outcome join(struct mesh *m, const char *hostname, const char *ip);
enum registry_outcome join_as(struct mesh *m, const struct registry_grant *who,
                              const char *hostname, const char *ip);
enum registry_outcome beat(struct mesh *m, const char *node_id);
enum registry_outcome leave(struct mesh *m, const char *node_id);
enum registry_outcome delete_node(struct mesh *m, const char *node_id);
enum registry_outcome mark_down(struct mesh *m, const char *node_id);

const struct api_node *look(const struct mesh *m, const char *node_id);
void assert_subnet(const struct mesh *m, const char *expected);
void assert_says(const char *words);
