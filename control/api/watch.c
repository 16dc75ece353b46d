/* Those who follow the event stream. */
#include "control/api/watch.h"

#include <string.h>

#include "control/control.h"
#include "lib/base/clock.h"
#include "lib/base/list.h"
#include "lib/base/parse.h"

/* Followers that begin within this time at the same revision get the same snapshot; its
 * last_heartbeats are at most so old. */
#define SNAPSHOT_SHARE_MS 1000

struct watcher {
    struct watchers *watchers;
    struct http_stream *stream;
    uint64_t place; /* in the ring of events */
    bool needs_snapshot;
    bool needs_comment;
    char name[TLS_NAME_SIZE]; /* the caller's */
    struct watcher *prev, *next;
};

static struct http_body *snapshot(struct watchers *w)
{
    const struct registry *registry = &w->control->registry;
    int64_t now_ms = clock_boot_ms();

    if (!w->snapshot || w->snapshot_revision != registry->revision ||
        now_ms - w->snapshot_ms > SNAPSHOT_SHARE_MS) {
        http_body_unref(w->snapshot);
        w->snapshot = events_make_snapshot(registry);
        w->snapshot_revision = registry->revision;
        w->snapshot_ms = now_ms;
    }
    return http_body_ref(w->snapshot);
}

static struct http_body *next_event(struct watcher *watcher, bool *ret_end)
{
    struct watchers *w = watcher->watchers;
    struct http_body *body = NULL;

    switch (events_next_few(&w->control->events, &watcher->place, &body)) {
    case EVENTS_ONE:
        break;
    case EVENTS_END:
        if (!watcher->needs_comment)
            return NULL;
        body = w->comment;
        break;
    case EVENTS_LOST:
        w->cut++;
        *ret_end = true;
        return NULL;
    }
    watcher->needs_comment = false;
    return http_body_ref(body);
}

static struct http_body *on_next(void *data, bool *ret_end)
{
    struct watcher *watcher = data;
    struct watchers *w = watcher->watchers;

    if (w->control->is_stopping) {
        *ret_end = true;
        return NULL;
    }
    if (!watcher->needs_snapshot)
        return next_event(watcher, ret_end);
    watcher->needs_snapshot = false;
    watcher->place = w->control->events.next;
    return snapshot(w);
}

static void on_gone(void *data)
{
    struct watcher *watcher = data;
    struct watchers *w = watcher->watchers;

    DL_DELETE(w->list, watcher);
    w->count--;
    free(watcher);
}

/* Whether the follower can go on behind the id it names. */
static bool can_resume(const struct control *c, const struct http_request *request,
                       uint64_t *ret_place)
{
    const char *text = http_request_header(request, "Last-Event-ID");
    uint64_t revision;

    return text && parse_u64(text, UINT64_MAX, &revision) == 0 &&
           events_seek(&c->events, revision, c->registry.revision, ret_place);
}

void watchers_add(struct watchers *w, struct http_request *request)
{
    struct watcher *watcher = NEW(struct watcher);

    watcher->watchers = w;
    watcher->needs_snapshot = !can_resume(w->control, request, &watcher->place);
    watcher->needs_comment = true; /* says at once that the stream is there */
    memcpy(watcher->name, w->control->visitor.caller.name, sizeof watcher->name);
    DL_APPEND(w->list, watcher);
    w->count++;
    http_reply_header(request, "Cache-Control", "no-store");
    http_reply_header(request, "X-Accel-Buffering", "no");
    watcher->stream = http_stream_start(request, "text/event-stream", on_next, on_gone, watcher);
}

void watchers_cut(struct watchers *w, const char *name)
{
    struct watcher *watcher;

    DL_FOREACH(w->list, watcher)
    {
        if (strcmp(watcher->name, name) == 0)
            http_stream_abort(watcher->stream);
    }
}

void watchers_wake(struct watchers *w)
{
    struct watcher *watcher;

    DL_FOREACH(w->list, watcher)
    http_stream_wake(watcher->stream);
}

static void on_timer(void *data)
{
    struct watchers *w = data;
    struct watcher *watcher;

    DL_FOREACH(w->list, watcher)
    watcher->needs_comment = true;
    watchers_wake(w);
    loop_timer_set_in(w->timer, WATCH_COMMENT_MS);
}

int watchers_init(struct watchers *w, struct control *control)
{
    static const char comment[] = ": still here\n\n";
    int r = loop_add_timer(control->daemon.loop, on_timer, w, &w->timer);

    if (r < 0)
        return r;
    w->control = control;
    w->comment = http_body_new(comment, sizeof comment - 1);
    loop_timer_set_in(w->timer, WATCH_COMMENT_MS);
    return 0;
}

void watchers_deinit(struct watchers *w)
{
    loop_source_free(w->timer);
    http_body_unref(w->snapshot);
    http_body_unref(w->comment);
    *w = (struct watchers){0};
}
