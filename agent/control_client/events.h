/* The bytes of a watch, understood: an event stream, or the plain list that a control plane without
 * streams answers instead. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/api/node.h"

#define CONTROL_EVENT_ID_SIZE 64

enum control_event_kind {
    CONTROL_EVENT_SNAPSHOT,
    CONTROL_EVENT_NODE,
    CONTROL_EVENT_DELETED,
    CONTROL_EVENT_BOOKMARK /* nothing has happened up to this revision that was not told */
};

struct control_event {
    enum control_event_kind kind;
    const struct api_node *nodes; /* snapshot: all; node: the one */
    size_t node_count;
    const char *node_id;            /* deleted */
    struct api_origin origin;       /* cluster_id only with a snapshot; revision 0: not told */
    char id[CONTROL_EVENT_ID_SIZE]; /* "": none, or longer than any of ours */
};

/* false: enough. */
typedef bool (*control_event_fn)(const struct control_event *event, void *data);

struct control_events;
struct control_events *control_events_new(control_event_fn fn, void *data);
void control_events_free(struct control_events *events);

/* 0, or negative with a text: an event that is not understood, or too much of a list. Events of
 * kinds that it does not know are passed over. */
int control_events_feed(struct control_events *events, const char *bytes, size_t n);

/* Whether it is a list, not a stream; known after the first byte. */
bool control_events_is_list(const struct control_events *events);
const char *control_events_list(const struct control_events *events, size_t *ret_n);
