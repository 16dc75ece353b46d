/* A host for the runtime, in a real kernel:
 *
 *     netns a -- qv0a2a0101 --+
 *                             +-- the test's own namespace (the host)
 *     netns b -- qv0a2a0102 --+
 */
#pragma once

#include "runtime/reconcile.h"
#include "tests/kernel/lab.h"

#define BOOT "00000000-0000-4000-8000-000000000001"
#define ADDR_A 0x0a2a0101 /* 10.42.1.1 */
#define MTU 1450

struct bed {
    char dir[32];
    char paths[2][48]; /* of the containers' namespaces */
    int host_fd;       /* the host's */
    struct loop *loop;
    struct kernel kernel;
    struct state state;
    struct reconcile rc;
    unsigned int saves;
};

int bed_setup(void **state);
int bed_teardown(void **state);
/* Into the state only; a look builds it. */
const struct endpoint *bed_enter(struct bed *bed, size_t which);
void bed_look(struct bed *bed);
uint64_t bed_count_writes(const struct bed *bed);
/* A look that finds nothing to do: the proof that all is as it should be. */
void bed_assert_right(struct bed *bed);
/* From the container's inside to an address, three packets. */
void bed_assert_pings(const struct bed *bed, size_t from, const char *to);
char *bed_run_inside(const struct bed *bed, size_t where, const char *object, const char *verb);
void bed_make_netns(const struct bed *bed, const char *path);
void bed_drop_netns(const char *path);
