/* A store on a disk whose power is cut, again and again, and what it has to have each time.
 *
 * A life is an opening, some commits, and a closing; the log goes back into the file after a few
 * pages. From the cuts of one life some are checked, and one is what the next life finds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/store/store.h"
#include "tests/unit/control/cut_disk.h"

#define REVISIONS_MAX 4096
#define NODES 6

/* What the store has to have: all that was acknowledged, and of the group that is under way all or
 * nothing. */
struct story {
    uint64_t acknowledged, under_way; /* revisions */
    struct node {
        uint64_t created, revision; /* 0: there is none */
        size_t body;
    } nodes[NODES];
};

struct world {
    char *live, *cut; /* directories; owned, as are these: */
    char *path, *cut_path;
    uint64_t chance;
    char *texts[REVISIONS_MAX]; /* at each revision; owned */
    struct story story;
    unsigned int odds; /* of a step, in a thousand, to be cut at by chance */
    size_t all_of;     /* pieces: every part of so many or fewer is tried */
    size_t cuts;       /* so many were survived */
    bool is_kept;      /* the one that was not lies there to be looked at */
    struct cut next;   /* what the next life begins with, when it has files */
    struct story next_story;
};

/* For cmocka's setup and teardown. */
int world_set_up(void **state);
int world_tear_down(void **state);

/* Below that. */
uint32_t world_draw(struct world *w, uint32_t below);
size_t world_draw_size(struct world *w);
/* {} and blanks; the caller frees. */
char *world_make_body(size_t n);
/* How often what a test does is done, as QUILT_CRASH_TIMES says; else once. */
int world_times(void);

/* Without a file, or with what the latest cut that was kept has left; when there is none, all goes
 * on as if nothing had been cut. */
void world_begin_anew(struct world *w);
void world_begin_after_a_cut(struct world *w);
void world_empty(const struct world *w);
/* So many lives, each after a cut of the one before. */
void world_live(struct world *w, int lives);

/* The parts of a life. world_open(): false: the disk is full, and was not to be. */
bool world_open(struct world *w, struct store **ret_store);
bool world_commit(struct world *w, struct store *store);
void world_close(struct world *w, struct store *store);
/* For cut_disk_watch(): the disk is cut, and what is left is checked. */
void world_step(void *data);

/* What is there has to be of the one revision or of the other. */
void world_check(struct world *w, struct store *store);
/* What there will be at that revision is what there is in the story. */
void world_write_text(struct world *w, uint64_t revision);
