/* Those who follow the event stream. A follower is a place in the ring of events and two wishes;
 * nothing is buffered for it. One that the ring has overtaken is cut off and begins anew. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/loop.h"
#include "lib/http/server.h"

/* A comment line goes to everybody this often, so that silence means that something is wrong. */
#define WATCH_COMMENT_MS 5000

struct control;
struct watcher;

struct watchers {
    struct control *control;
    struct watcher *list;
    size_t count;
    uint64_t cut; /* followers that were too slow, since the start */
    struct http_body *comment;
    struct http_body *snapshot; /* the latest one made; followers that begin together share it */
    uint64_t snapshot_revision;
    int64_t snapshot_ms;
    struct loop_source *timer;
};

int watchers_init(struct watchers *watchers, struct control *control);
/* The server must have ended its streams. */
void watchers_deinit(struct watchers *watchers);

/* Answers the request with the stream: from Last-Event-ID on, or from a snapshot. */
void watchers_add(struct watchers *watchers, struct http_request *request);
/* Ends the streams of a caller by this name: a node's id, a token's id. */
void watchers_cut(struct watchers *watchers, const char *name);
/* There is something new, or they are to end. */
void watchers_wake(struct watchers *watchers);
