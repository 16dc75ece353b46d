/* What happened, for those who follow: the latest changes, encoded once, in a ring.
 *
 *          first                         next
 *            v                            v
 *     ... [ 811 ][ 812 ][ 815 ][ 816 ]             a follower is nothing but a place in here
 *            revisions
 *
 * A follower that knows revision N continues behind N, if the ring reaches back so far; one that
 * the ring has overtaken is lost and must begin anew.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/services/registry.h"
#include "lib/http/server.h"

#define EVENTS_KEPT 10000
/* More in one piece would make what a slow follower holds too long. */
#define EVENTS_JOINED 32

struct event {
    uint64_t revision;
    struct http_body *body;
};

/* Several events that follow one another, put together for all who are at the same place. */
struct events_joint {
    struct http_body *body; /* NULL: none yet */
    uint64_t first, end;    /* numbers: from first up to, not including, end */
};

struct events {
    struct event *ring;
    struct events_joint joint; /* the latest one made */
    size_t size;
    uint64_t next;          /* number of the next event; event n is in ring[n % size] */
    uint64_t base_revision; /* everything up to here is before the ring's first event */
};

/* size: how many are kept. revision: of the state that was loaded. */
void events_init(struct events *events, size_t size, uint64_t revision);
void events_deinit(struct events *events);

/* Puts an event into the ring. The revision must be above the latest. */
void events_add_node(struct events *events, uint64_t revision, const struct node *node);
void events_add_deletion(struct events *events, uint64_t revision, const char *node_id);

/* The place behind revision, given the present one; false when the ring does not know what happened
 * since, or that revision has not been yet. */
bool events_seek(const struct events *events, uint64_t revision, uint64_t present,
                 uint64_t *ret_place);

enum events_outcome {
    EVENTS_ONE = 0, /* *ret_body (borrowed); *place has moved on */
    EVENTS_END,     /* nothing new */
    EVENTS_LOST     /* the ring has gone over this place */
};
enum events_outcome events_next(const struct events *events, uint64_t *place,
                                struct http_body **ret_body);

/* As events_next(), but up to EVENTS_JOINED at once. A body that several ask for is made once. */
enum events_outcome events_next_few(struct events *events, uint64_t *place,
                                    struct http_body **ret_body);

/* The whole list as one event: where a follower begins. */
struct http_body *events_make_snapshot(const struct registry *registry);
