/* What the parts of the oracle share: the truth, as it is durable and as it was really heard. */
#pragma once

#include "lib/base/hash.h"
#include "tests/sim/sim.h"

/* The clocks count in milliseconds. */
#define ROUNDING_US (2 * SIM_MS)

struct truth {
    char id[UUID_TEXT_SIZE];
    struct node_facts facts;
    int64_t heard_us;  /* answered with 200 to a heartbeat or a registration */
    int64_t up_us;     /* since when it is up */
    int64_t asked_us;  /* its latest request came in */
    int64_t judged_us; /* it was found to be silent */
    int64_t alive_us;  /* others could reach it at this look, */
    int64_t dead_us;   /* and could not at this one */
    UT_hash_handle hh;
};

struct lease {
    char owner[UUID_TEXT_SIZE]; /* "": nobody */
    int64_t freed_us;
    bool was_used;
};

/* A subnet on a host, as it was once stored. */
struct pair {
    uint32_t key[2]; /* network, host IP */
    UT_hash_handle hh;
};

struct stall {
    int64_t from_us, until_us;
    struct stall *next;
};

struct oracle {
    struct truth *nodes;
    struct pair *pairs;
    struct lease *leases;
    uint64_t seen_revision;
    int64_t started_us; /* the control plane's latest start */
    int64_t calm_us;    /* since then nothing has kept it from marking a silent node down */
    struct stall *stalls;
    uint64_t status_changes;
    bool is_silence_expected;
};

/* NULL: no such node is stored. */
struct truth *oracle_find(const char *id);
struct lease *oracle_lease_of(struct ip4_prefix subnet);

/* Looks every second, from the next one on, for what is missed (oracle_liveness.c). */
void oracle_watch_liveness(void);

/* For how long the node has not been answered well, as far as the control plane could hear it; and
 * as long as nothing has kept it from judging that. */
int64_t oracle_silence_us(const struct truth *t);
int64_t oracle_calm_silence_us(const struct truth *t);

/* Reservations (oracle_reservations.c): one is stored, made or taken back; a new node is stored. */
void oracle_reservation_stored(const struct store_op *op);
void oracle_reservations_check(const struct api_node *node);
void oracle_reservations_deinit(void);
