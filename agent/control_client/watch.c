/* The list of nodes: the event stream, and polling where there is none. */
#include <string.h>

#include "agent/control_client/answer.h"
#include "agent/control_client/job.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

#define LIST_TIMEOUT_MS 20000
/* The control plane says something at least every 10 s. */
#define STREAM_STALL_MS 15000

void watch_forget_stream(struct control_client *c)
{
    control_events_free(TAKE_PTR(c->stream));
}

/* ---- list ---------------------------------------------------------------------------------- */

static void say_list(struct control_client *c, const struct api_origin *origin,
                     const struct api_node *nodes, size_t count)
{
    c->config.events->origin(c->config.data, origin);
    c->config.events->list(c->config.data, nodes, count);
}

/* The end of a job that brought a list, or of one that should have. */
static enum control_result take_list(struct control_client *c, struct job *job, const char *bytes,
                                     size_t n)
{
    AUTO_JSON json_t *value = NULL;
    AUTO_FREE struct api_node *nodes = NULL;
    struct api_origin origin;
    size_t count;
    int r = json_parse(bytes, n, &value);

    if (r == 0)
        r = api_node_list_from_json(value, &nodes, &count);
    if (r == 0)
        r = api_origin_from_json(value, &origin);
    if (r < 0) {
        job_note_failure(
            job, CONTROL_AWAY,
            mem_printf("%s: the answer is unusable: %s", control_job_words(job->kind), err_text()));
        return CONTROL_AWAY;
    }
    if (!job_believes(job, &origin))
        return CONTROL_FOREIGN;
    /* Newer than all that the stream has said: to go on there would be to tell old news again. */
    c->last_event_id[0] = '\0';
    say_list(c, &origin, nodes, count);
    job_note_success(job);
    return CONTROL_OK;
}

/* A stream that is on its way would go on where it was when it was asked for, behind the list. */
static void end_outdated_stream(struct control_client *c)
{
    struct job *stream = &c->jobs[CONTROL_STREAM];

    if (!stream->call || !c->is_resuming || c->machine.is_stream_up)
        return;
    http_call_cancel(TAKE_PTR(stream->call));
    watch_forget_stream(c);
    job_finish(stream, CONTROL_OK);
}

static void on_poll(struct control_client *c, struct job *job, const struct http_response *response)
{
    enum control_result result;

    if (response->status == 304) {
        job_note_success(job);
        c->config.events->list(c->config.data, NULL, 0);
        job_finish(job, CONTROL_OK);
        return;
    }
    result = take_list(c, job, response->body, response->body_len);
    c->etag[0] = '\0';
    if (result == CONTROL_OK && strlen(response->etag) < sizeof c->etag)
        memcpy(c->etag, response->etag, strlen(response->etag) + 1);
    if (result == CONTROL_OK)
        end_outdated_stream(c);
    job_finish(job, result);
}

/* ---- event stream -------------------------------------------------------------------------- */

static void poll_no_more(struct control_client *c)
{
    struct job *poll = &c->jobs[CONTROL_POLL];

    if (poll->call) {
        http_call_cancel(TAKE_PTR(poll->call));
        c->machine.is_running[CONTROL_POLL] = false;
    }
    c->etag[0] = '\0';
}

/* What failed before says nothing any more: the poll will not be asked again to take its problem
 * back, and the others say so themselves if they still fail. */
static void stream_is_up(struct control_client *c, struct job *job)
{
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++)
        if (!control_job_is_aside(c->jobs[i].kind))
            job_forget_problem(&c->jobs[i]);
    job_say_when_back(c);
    log_info("event stream is up", LOG_S("url", c->config.urls[job->url_index]));
    control_machine_stream_up(&c->machine);
    poll_no_more(c);
}

static bool on_stream_chunk(const char *bytes, size_t n, void *data)
{
    struct job *job = data;
    struct control_client *c = job->client;
    int r = control_events_feed(c->stream, bytes, n);

    if (job->is_disbelieved)
        return false;
    if (r < 0) {
        /* What was not understood may have been a change: begin with a snapshot again. */
        c->last_event_id[0] = '\0';
        job_note_failure(job, CONTROL_AWAY, mem_printf("watch nodes: %s", err_text()));
        return false;
    }
    if (control_events_is_list(c->stream))
        return true;
    job_note_success(job);
    if (!c->machine.is_stream_up)
        stream_is_up(c, job);
    return true;
}

/* The answer was a plain list: a control plane without streams. */
static void on_list_instead(struct control_client *c, struct job *job)
{
    size_t n;
    const char *list = control_events_list(c->stream, &n);
    enum control_result result = take_list(c, job, list, n);

    watch_forget_stream(c);
    if (result == CONTROL_OK)
        log_debug("this control plane has no event stream, polling");
    job_finish(job, result == CONTROL_OK ? CONTROL_UNSUPPORTED : result);
}

static void on_stream(struct control_client *c, struct job *job,
                      const struct http_response *response)
{
    if (control_events_is_list(c->stream)) {
        on_list_instead(c, job);
        return;
    }
    watch_forget_stream(c);
    if (c->machine.is_stream_up)
        log_info("event stream has ended");
    job_finish(job, CONTROL_OK);
}

static bool on_event(const struct control_event *event, void *data)
{
    struct control_client *c = data;
    const struct control_client_events *say = c->config.events;

    switch (event->kind) {
    case CONTROL_EVENT_SNAPSHOT:
        if (!job_believes(&c->jobs[CONTROL_STREAM], &event->origin))
            return false;
        say_list(c, &event->origin, event->nodes, event->node_count);
        break;
    case CONTROL_EVENT_NODE:
        say->origin(c->config.data, &event->origin);
        say->node(c->config.data, &event->nodes[0]);
        break;
    case CONTROL_EVENT_DELETED:
        say->origin(c->config.data, &event->origin);
        say->deleted(c->config.data, event->node_id);
        break;
    case CONTROL_EVENT_BOOKMARK:
        say->origin(c->config.data, &event->origin);
        break;
    }
    memcpy(c->last_event_id, event->id, sizeof c->last_event_id);
    return !c->is_stopped;
}

/* ---- asking -------------------------------------------------------------------------------- */

static char *nodes_path(const struct control_client *c)
{
    return mem_strdup("/api/nodes");
}

static void fill_list(struct job *job, struct ask *ask)
{
    if (job->known.cluster_id[0])
        ask_add_line(ask, mem_printf("%s: %s", API_CLUSTER_HEADER, job->known.cluster_id));
}

static int fill_stream(struct control_client *c, struct job *job, struct ask *ask)
{
    fill_list(job, ask);
    ask_add_line(ask, mem_strdup("Accept: text/event-stream"));
    if (c->last_event_id[0])
        ask_add_line(ask, mem_printf("Last-Event-ID: %s", c->last_event_id));
    c->stream = control_events_new(on_event, c);
    c->is_resuming = c->last_event_id[0] != '\0';
    ask->spec.chunk = on_stream_chunk;
    ask->spec.stall_timeout_ms = STREAM_STALL_MS;
    return 0;
}

static int fill_poll(struct control_client *c, struct job *job, struct ask *ask)
{
    fill_list(job, ask);
    if (c->etag[0])
        ask_add_line(ask, mem_printf("If-None-Match: %s", c->etag));
    return 0;
}

const struct job_type job_stream = {"GET", 0, nodes_path, fill_stream, on_stream};
const struct job_type job_poll = {"GET", LIST_TIMEOUT_MS, nodes_path, fill_poll, on_poll};
