/* Those who follow the event stream. A follower is a place in the ring of events and two wishes;
 * nothing is buffered for it. One that the ring has overtaken is cut off and begins anew. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "control/services/events.h"
#include "lib/base/loop.h"
#include "lib/http/server.h"

/* A bookmark goes to everybody who has heard all there is, this often: silence means that something
 * is wrong, and who comes back much later can still go on where it was. */
#define WATCH_BOOKMARK_MS 5000

/* Streams that one node, token or user may have open at once. */
#define WATCHES_PER_CALLER_MAX 16

struct control;
struct watcher;
struct watch_owner;

/* The latest one made, which followers that begin together share. */
struct watch_snapshot {
    struct http_body *body; /* NULL: none yet */
    uint64_t revision;
    int64_t made_ms;
};

struct watchers {
    struct control *control;
    struct watcher *list;
    size_t count;
    struct watch_owner *owners; /* by name */
    uint64_t cut;               /* followers that were too slow, since the start */
    struct http_body *comment;
    struct http_body *bookmark; /* the latest one made; NULL: none yet */
    uint64_t bookmark_revision;
    struct watch_snapshot snapshots[EVENT_SETS];
    struct loop_source *timer;
};

int watchers_init(struct watchers *watchers, struct control *control);
/* The server must have ended its streams. */
void watchers_deinit(struct watchers *watchers);

/* Answers the request with the stream: from Last-Event-ID on, or from a snapshot. The query's kind
 * says what is followed; nodes, without it. It ends when what the caller has shown expires, or is
 * of a CA that is trusted no more: at the next bookmark, many at a CA's end at one of the next. */
void watchers_add(struct watchers *watchers, struct http_request *request);
/* Ends the streams of a caller by this name: a node's id, a token's id. */
void watchers_cut(struct watchers *watchers, const char *name);
/* There is something new, or they are to end. */
void watchers_wake(struct watchers *watchers);
