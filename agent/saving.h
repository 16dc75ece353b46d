/* What the agent remembers, on its way to the disk and back: the whole after a list of nodes or
 * another identity, and a record in the journal for what was told of single nodes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/random.h"

struct agent;

/* More nodes than this are saved as a whole. */
#define SAVING_NODES_MAX 256

struct saving {
    struct loop_source *timer;
    bool is_whole;                                   /* the rest of the state, or many peers */
    char node_ids[SAVING_NODES_MAX][UUID_TEXT_SIZE]; /* what was told of these */
    size_t count;
    char *problem; /* owned; NULL: none. Why the state cannot be saved */
    bool is_over;  /* it was erased: nothing is remembered any more */
};

int saving_init(struct agent *agent);
void saving_deinit(struct agent *agent);

/* A moment later, many changes at once; they are in force already. */
void saving_soon(struct agent *agent);
/* Likewise, when nothing but what is known of this node has changed. */
void saving_node_soon(struct agent *agent, const char *node_id);
/* The whole, on disk when it returns; a failure is logged, told as a problem, and tried again. */
void saving_now(struct agent *agent);
/* At the end: all into the one file, where earlier releases find it too. */
void saving_finish(struct agent *agent);
/* The node has left: what was remembered goes, and whatever is still heard is not remembered. */
int saving_erase(struct agent *agent);

/* Into the agent's state and peers. An outcome of state_file_load(), or negative. */
int saving_load(struct agent *agent);
