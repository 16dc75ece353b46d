/* What happened, for those who follow: the latest changes, encoded once, in a ring.
 *
 *          first                         next
 *            v                            v
 *     ... [ 811 ][ 812 ][ 815 ][ 816 ]             a follower is nothing but a place in here
 *            revisions
 *
 * A follower that knows revision N continues behind N, if the ring reaches back so far; one that
 * the ring has overtaken is lost and must begin anew. It may follow some kinds of events only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/services/registry.h"
#include "lib/http/server.h"

/* At most so many are kept, and so many bytes of them. */
#define EVENTS_KEPT 10000
#define EVENTS_BYTES_MAX (size_t)(8 * 1024 * 1024)
/* More in one piece would make what a slow follower holds too long. */
#define EVENTS_JOINED 32

enum event_kind { EVENT_NODE, EVENT_RESERVATION, EVENT_KIND_COUNT };
/* Sets of kinds are bits. */
#define EVENT_BIT(kind) (1U << (kind))
#define EVENT_SETS (1U << EVENT_KIND_COUNT)

struct event {
    uint64_t revision;
    enum event_kind kind;
    struct http_body *body;
};

/* Several events that follow one another, put together for all who are at the same place and want
 * the same kinds. */
struct events_joint {
    struct http_body *body; /* NULL: none yet */
    uint64_t first, end;    /* numbers: from first up to, not including, end */
};

struct events {
    struct event *ring;
    struct events_joint joints[EVENT_SETS]; /* the latest one made, for each set of kinds */
    size_t size, bytes_max;
    size_t bytes;         /* of all that are kept */
    uint64_t first, next; /* numbers of the oldest and of the next; event n is in ring[n % size] */
    uint64_t base_revision; /* everything up to here is before the ring's first event */
};

/* size, bytes_max: how many are kept; the latest is, whatever its size. revision: of the state that
 * was loaded. */
void events_init(struct events *events, size_t size, size_t bytes_max, uint64_t revision);
void events_deinit(struct events *events);

/* "node", "node,reservation": a set of kinds. -EINVAL with a text that names the words there are.
 */
int events_parse_kinds(const char *text, unsigned int *ret_kinds);

/* Puts an event into the ring. The revision must be above the latest. */
void events_add_node(struct events *events, uint64_t revision, const struct node *node);
void events_add_deletion(struct events *events, uint64_t revision, const char *node_id);
void events_add_reservation(struct events *events, uint64_t revision,
                            const struct api_reservation *reservation);
void events_add_unreservation(struct events *events, uint64_t revision,
                              const struct api_reservation *reservation);

/* The place behind revision, given the present one; false when the ring does not know what happened
 * since, or that revision has not been yet. */
bool events_seek(const struct events *events, uint64_t revision, uint64_t present,
                 uint64_t *ret_place);

enum events_outcome {
    EVENTS_ONE = 0, /* *ret_body (borrowed); *place has moved on */
    EVENTS_END,     /* nothing new */
    EVENTS_LOST     /* the ring has gone over this place */
};
/* Up to EVENTS_JOINED of these kinds at once. A body that several ask for is made once. */
enum events_outcome events_next(struct events *events, unsigned int kinds, uint64_t *place,
                                struct http_body **ret_body);

/* What there is of these kinds as one event: where a follower begins. */
struct http_body *events_make_snapshot(const struct registry *registry, unsigned int kinds);
/* "event: bookmark": a follower that has heard all up to this revision can go on there. Behind a
 * comment, so that it is a sign of life for those, too, who do not know of bookmarks. */
struct http_body *events_make_bookmark(uint64_t revision);
