/* The fast path's programs and maps: one set on a host, pinned, so that it outlives whoever loaded
 * it. The agent loads it, the runtime opens it where it is.
 *
 *     /sys/fs/bpf/quilt/4/            the layout of the records (FASTPATH_LAYOUT)
 *         config peers hops endpoints peer_counts endpoint_counts passes
 *         from_container to_container          the programs
 *         from_container_old to_container_old  those before them; devices may still have these
 *
 * The programs of another build are loaded onto the maps that are there, so that no record is lost.
 * Maps of another layout are left to those who know them: switched off and unpinned.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/mem.h"

/* Where the pins are, from the BPF file system's root down. */
extern const char *const set_dirs[3];

enum set_map {
    SET_CONFIG,
    SET_PEERS,
    SET_HOPS,
    SET_ENDPOINTS,
    SET_PEER_COUNTS,
    SET_ENDPOINT_COUNTS,
    SET_PASSES,
    SET_MAP_COUNT
};

enum set_program { SET_FROM_CONTAINER, SET_TO_CONTAINER, SET_PROGRAM_COUNT };

struct set_loaded {
    int fd;          /* -1: none */
    uint32_t id;     /* the kernel's number of the program */
    int old_fd;      /* -1: none. The one before it */
    uint32_t old_id; /* 0: none */
    char name[16];   /* the kernel's, cut to what it keeps */
};

struct set {
    int maps[SET_MAP_COUNT];
    struct set_loaded programs[SET_PROGRAM_COUNT];
};

/* Loads what this build brings; what is pinned and the same stays. */
int set_load(struct set **ret_set);

enum set_outcome { SET_NONE = 1 /* nobody has loaded one */ };
int set_open(struct set **ret_set);
/* Its programs leave every packet to the kernel from now on. */
int set_switch_off(const struct set *set);
/* Whether both have the same maps; programs may be others. */
bool set_is_same(const struct set *a, const struct set *b);
/* Whether the pins are still these. */
bool set_is_current(const struct set *set);

void set_free(struct set *set);
DEFINE_CLEANUP(struct set *, set_free);
#define AUTO_SET CLEANUP(cleanup_set_free)

/* Switches every set off, whatever its layout, and takes all pins away. Programs on devices are
 * left without effect until they are taken off. */
int set_remove_all(void);
