/* Those who follow the event stream. */
#include "control/api/watch.h"

#include <string.h>

#include "control/control.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/list.h"
#include "lib/base/parse.h"

/* Followers that begin within this time at the same revision get the same snapshot; its
 * last_heartbeats are at most so old. */
#define SNAPSHOT_SHARE_MS 1000
/* When a CA is dropped, every stream that it let in ends, and each comes again with a handshake:
 * over a minute, not all at once. */
#define CUT_ROUNDS 12
#define CUT_AT_LEAST 50

struct watcher {
    struct watchers *watchers;
    struct http_stream *stream;
    unsigned int kinds;
    uint64_t place; /* in the ring of events */
    bool needs_snapshot;
    bool needs_comment;
    bool needs_bookmark;
    char name[TLS_NAME_SIZE];  /* the caller's */
    struct watch_owner *owner; /* NULL: nobody in particular */
    struct sha256 ca_spki;     /* of the certificate shown; zeroes: none */
    int64_t good_until;        /* what the caller has shown; 0: for ever */
    struct watcher *prev, *next;
};

/* Whoever follows, by name. */
struct watch_owner {
    char name[TLS_NAME_SIZE];
    unsigned int count;
    UT_hash_handle hh;
};

static struct watch_owner *find_owner(const struct watchers *w, const char *name)
{
    struct watch_owner *owner;

    HASH_FIND_STR(w->owners, name, owner);
    return owner;
}

/* NULL in plain HTTP, where nobody has a name. */
static struct watch_owner *owner_enter(struct watchers *w, const char *name)
{
    struct watch_owner *owner = find_owner(w, name);

    if (name[0] == '\0')
        return NULL;
    if (!owner) {
        owner = NEW(struct watch_owner);
        memcpy(owner->name, name, sizeof owner->name);
        HASH_ADD_STR(w->owners, name, owner);
    }
    owner->count++;
    return owner;
}

static void owner_leave(struct watchers *w, struct watch_owner *owner)
{
    if (!owner || --owner->count > 0)
        return;
    HASH_DEL(w->owners, owner);
    free(owner);
}

static struct http_body *snapshot(struct watchers *w, unsigned int kinds)
{
    const struct registry *registry = &w->control->registry;
    struct watch_snapshot *latest = &w->snapshots[kinds];
    int64_t now_ms = clock_boot_ms();

    if (!latest->body || latest->revision != registry->revision ||
        now_ms - latest->made_ms > SNAPSHOT_SHARE_MS) {
        http_body_unref(latest->body);
        *latest = (struct watch_snapshot){events_make_snapshot(registry, kinds), registry->revision,
                                          now_ms};
    }
    return http_body_ref(latest->body);
}

static struct http_body *bookmark(struct watchers *w)
{
    uint64_t revision = w->control->registry.revision;

    if (!w->bookmark || w->bookmark_revision != revision) {
        http_body_unref(w->bookmark);
        w->bookmark = events_make_bookmark(revision);
        w->bookmark_revision = revision;
    }
    return http_body_ref(w->bookmark);
}

/* For one who has heard all there is; NULL: nothing is to be said. */
static struct http_body *sign_of_life(struct watcher *watcher)
{
    struct watchers *w = watcher->watchers;

    if (watcher->needs_bookmark)
        return bookmark(w);
    return watcher->needs_comment ? http_body_ref(w->comment) : NULL;
}

static struct http_body *next_event(struct watcher *watcher, bool *ret_end)
{
    struct watchers *w = watcher->watchers;
    struct http_body *body = NULL;

    switch (events_next(&w->control->events, watcher->kinds, &watcher->place, &body)) {
    case EVENTS_ONE:
        body = http_body_ref(body);
        break;
    case EVENTS_END:
        body = sign_of_life(watcher);
        break;
    case EVENTS_LOST:
        w->cut++;
        *ret_end = true;
        return NULL;
    }
    watcher->needs_comment = watcher->needs_bookmark = false;
    return body;
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
    return snapshot(w, watcher->kinds);
}

static void on_gone(void *data)
{
    struct watcher *watcher = data;
    struct watchers *w = watcher->watchers;

    DL_DELETE(w->list, watcher);
    w->count--;
    owner_leave(w, watcher->owner);
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

/* What is wanted, and allowed. False: it was answered. */
static bool read_kinds(const struct control *c, struct http_request *request,
                       unsigned int *ret_kinds)
{
    const char *text = http_request_query(request, "kind");

    *ret_kinds = EVENT_BIT(EVENT_NODE);
    if (text && events_parse_kinds(text, ret_kinds) < 0) {
        http_reply_problem(request, 422, "%s", err_text());
        return false;
    }
    if (!(*ret_kinds & EVENT_BIT(EVENT_RESERVATION)) ||
        access_is_allowed(MAY_VIEWER | MAY_ADMIN, &c->visitor.caller, NULL))
        return true;
    http_reply_problem(request, 403, "reservations are for viewers and admins");
    return false;
}

/* False: it was answered that this caller has enough. */
static bool has_room(const struct watchers *w, struct http_request *request, const char *name)
{
    const struct watch_owner *owner = find_owner(w, name);

    if (!owner || owner->count < WATCHES_PER_CALLER_MAX)
        return true;
    http_reply_header(request, "Retry-After", "10");
    http_reply_problem(request, 429, "%d event streams of one caller are open already",
                       WATCHES_PER_CALLER_MAX);
    return false;
}

void watchers_add(struct watchers *w, struct http_request *request)
{
    const struct visitor *v = &w->control->visitor;
    struct watcher *watcher;
    unsigned int kinds;

    if (!has_room(w, request, v->caller.name) || !read_kinds(w->control, request, &kinds))
        return;
    watcher = NEW(struct watcher);
    watcher->watchers = w;
    watcher->kinds = kinds;
    watcher->needs_snapshot = !can_resume(w->control, request, &watcher->place);
    watcher->needs_comment = true; /* says at once that the stream is there */
    memcpy(watcher->name, v->caller.name, sizeof watcher->name);
    watcher->owner = owner_enter(w, v->caller.name);
    watcher->good_until = v->good_until;
    watcher->ca_spki = v->ca_spki;
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

/* It was let in by a CA that has been replaced since: another certificate has to be shown. */
static bool is_of_dropped_ca(const struct watcher *watcher)
{
    const struct pki *pki = watcher->watchers->control->pki;
    const struct sha256 none = {0};

    if (sha256_equal(&watcher->ca_spki, &none))
        return false;
    for (size_t i = 0; i < tls_trust_count(pki->files->trust); i++)
        if (sha256_equal(&tls_cert_facts(tls_trust_ca(pki->files->trust, i))->spki,
                         &watcher->ca_spki))
            return false;
    return true;
}

static void on_timer(void *data)
{
    struct watchers *w = data;
    struct watcher *watcher;
    int64_t now_s = clock_unix_s();
    size_t may_cut = CUT_AT_LEAST + w->count / CUT_ROUNDS;

    DL_FOREACH(w->list, watcher)
    {
        watcher->needs_bookmark = true;
        if (watcher->good_until != 0 && now_s >= watcher->good_until) {
            http_stream_abort(watcher->stream);
        } else if (may_cut > 0 && is_of_dropped_ca(watcher)) {
            may_cut--;
            http_stream_abort(watcher->stream);
        }
    }
    watchers_wake(w);
    loop_timer_set_in(w->timer, WATCH_BOOKMARK_MS);
}

int watchers_init(struct watchers *w, struct control *control)
{
    static const char comment[] = ": still here\n\n";
    int r = loop_add_timer(control->daemon.loop, on_timer, w, &w->timer);

    if (r < 0)
        return r;
    w->control = control;
    w->comment = http_body_new(comment, sizeof comment - 1);
    loop_timer_set_in(w->timer, WATCH_BOOKMARK_MS);
    return 0;
}

void watchers_deinit(struct watchers *w)
{
    loop_source_free(w->timer);
    for (size_t i = 0; i < ARRAY_LEN(w->snapshots); i++)
        http_body_unref(w->snapshots[i].body);
    http_body_unref(w->bookmark);
    http_body_unref(w->comment);
    *w = (struct watchers){0};
}
