/* Does what machine.c says: HTTP requests and the event stream. */
#include "agent/control_client/client.h"

#include <string.h>

#include "agent/control_client/answer.h"
#include "agent/control_client/events.h"
#include "agent/control_client/job.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/random.h"

#define CALL_TIMEOUT_MS 5000
#define LIST_TIMEOUT_MS 20000
/* A node whose registration is overtaken twice in this time has a twin. */
#define STALE_WINDOW_MS 600000
/* The control plane says something at least every 10 s. */
#define STREAM_STALL_MS 15000

static void run(struct control_client *c);

static void changed(struct control_client *c)
{
    c->config.events->changed(c->config.data);
}

/* The end of a job: what is to be done next, and when. */
static void finish(struct job *job, enum control_result result)
{
    struct control_client *c = job->client;

    job->call = NULL;
    control_machine_done(&c->machine, job->kind, result, job->url_index, clock_boot_ms(),
                         random_u64());
    changed(c);
    run(c);
}

static void fail(struct job *job, enum control_result result, char *problem)
{
    job_note_failure(job, result, problem);
    finish(job, result);
}

/* ---- register ------------------------------------------------------------------------------ */

/* A cluster's network that holds our own address would lead the underlay's packets into itself. */
static int check_own_address(const struct control_client *c, const struct api_register_reply *reply)
{
    char ip[IP4_TEXT_SIZE], cidr[IP4_PREFIX_TEXT_SIZE];

    if (!ip4_prefix_contains(reply->cluster.cidr, c->config.host_ip))
        return 0;
    return err_fail(EINVAL, "cluster_cidr: %s holds this node's own host IP %s",
                    ip4_prefix_format(reply->cluster.cidr, cidr),
                    ip4_format(c->config.host_ip, ip));
}

static int read_registration(const struct control_client *c, const struct http_response *response,
                             struct api_register_reply *ret)
{
    AUTO_JSON json_t *value = NULL;
    int r = json_parse(response->body, response->body_len, &value);

    if (r == 0)
        r = api_register_reply_from_json(value, ret);
    return r < 0 ? r : check_own_address(c, ret);
}

static void on_register(struct control_client *c, struct job *job,
                        const struct http_response *response)
{
    struct api_register_reply reply;

    if (read_registration(c, response, &reply) < 0) {
        fail(job, CONTROL_REFUSED, mem_printf("register: the answer is unusable: %s", err_text()));
        return;
    }
    if (!job_believes(job, &reply.origin)) {
        finish(job, CONTROL_FOREIGN);
        return;
    }
    c->registrations++;
    job_note_success(job);
    control_machine_set_intervals(&c->machine, reply.cluster.heartbeat_ms,
                                  reply.cluster.peer_sync_ms);
    c->config.events->registered(c->config.data, &reply);
    finish(job, CONTROL_OK);
}

static void start_register(struct control_client *c, struct http_request_spec *spec,
                           char **ret_body)
{
    const struct api_register_reply *me = c->config.identity;
    const struct api_register_request request = {
        .hostname = c->config.hostname,
        .host_ip = c->config.host_ip,
        .cpu_cores = c->config.cpu_cores,
        .ram_mb = c->config.ram_mb,
        .node_id = me->node_id[0] ? me->node_id : NULL,
        .node_token = me->node_token[0] ? me->node_token : NULL,
        .new_token = c->config.new_token,
        .instance_id = c->config.instance_id,
        .subnet = me->subnet,
        .known = me->origin,
        .generation = me->generation,
    };

    *ret_body = api_register_request_to_json(&request);
    spec->method = "POST";
    spec->body = *ret_body;
}

/* ---- heartbeat ----------------------------------------------------------------------------- */

static void start_beat(struct control_client *c, struct http_request_spec *spec, char **ret_body)
{
    struct api_heartbeat report = api_heartbeat_empty();
    struct strbuf out = {0};

    c->config.events->report(c->config.data, &report);
    if (c->config.identity->generation > 0)
        report.generation = c->config.identity->generation;
    api_heartbeat_to_json(&report, &out);
    *ret_body = strbuf_take(&out);
    spec->method = "POST";
    spec->body = *ret_body;
}

/* A first release's control plane says what it likes. */
static void take_intervals(struct control_client *c, const struct http_response *response)
{
    const struct api_cluster *old = &c->config.identity->cluster;
    struct api_cluster told = *old;
    AUTO_JSON json_t *value = NULL;

    if (json_parse(response->body, response->body_len, &value) < 0 ||
        api_heartbeat_reply_take(value, &told) < 0) {
        log_debug("heartbeat: the answer tells no intervals", LOG_ERR());
        return;
    }
    if (told.heartbeat_ms == old->heartbeat_ms && told.node_timeout_ms == old->node_timeout_ms &&
        told.peer_sync_ms == old->peer_sync_ms)
        return;
    control_machine_set_intervals(&c->machine, told.heartbeat_ms, told.peer_sync_ms);
    c->config.events->intervals(c->config.data, &told);
}

static void on_beat(struct control_client *c, struct job *job, const struct http_response *response)
{
    take_intervals(c, response);
    c->heartbeats++;
    job_note_success(job);
    finish(job, CONTROL_OK);
}

static void forget_stream(struct control_client *c)
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
    forget_stream(c);
    finish(stream, CONTROL_OK);
}

static void on_poll(struct control_client *c, struct job *job, const struct http_response *response)
{
    enum control_result result;

    if (response->status == 304) {
        job_note_success(job);
        c->config.events->list(c->config.data, NULL, 0);
        finish(job, CONTROL_OK);
        return;
    }
    result = take_list(c, job, response->body, response->body_len);
    c->etag[0] = '\0';
    if (result == CONTROL_OK && strlen(response->etag) < sizeof c->etag)
        memcpy(c->etag, response->etag, strlen(response->etag) + 1);
    if (result == CONTROL_OK)
        end_outdated_stream(c);
    finish(job, result);
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
        job_forget_problem(&c->jobs[i]);
    job_say_when_back(c);
    log_info("event stream is up", LOG_S("url", c->config.urls[job->url_index]));
    control_machine_stream_up(&c->machine);
    poll_no_more(c);
    changed(c);
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

    forget_stream(c);
    if (result == CONTROL_OK)
        log_debug("this control plane has no event stream, polling");
    finish(job, result == CONTROL_OK ? CONTROL_UNSUPPORTED : result);
}

static void on_stream(struct control_client *c, struct job *job,
                      const struct http_response *response)
{
    if (control_events_is_list(c->stream)) {
        on_list_instead(c, job);
        return;
    }
    forget_stream(c);
    if (c->machine.is_stream_up)
        log_info("event stream has ended");
    finish(job, CONTROL_OK);
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
    }
    memcpy(c->last_event_id, event->id, sizeof c->last_event_id);
    return !c->is_stopped;
}

/* ---- jobs ---------------------------------------------------------------------------------- */

typedef void (*answer_fn)(struct control_client *c, struct job *job,
                          const struct http_response *response);

static const answer_fn on_answer[] = {
    [CONTROL_REGISTER] = on_register,
    [CONTROL_BEAT] = on_beat,
    [CONTROL_STREAM] = on_stream,
    [CONTROL_POLL] = on_poll,
};

static char *answer_problem(const struct job *job, enum control_result result,
                            const struct http_response *response)
{
    AUTO_FREE char *words = control_answer_problem(control_job_words(job->kind), response);

    return result == CONTROL_FOREIGN ? job_foreign_text(words) : TAKE_PTR(words);
}

/* Somebody else has registered as this node. Once that is answered by registering again; when it
 * comes back soon, two agents have one identity, and one of them must not fight. */
static enum control_result judge_stale(struct control_client *c)
{
    int64_t now_ms = clock_boot_ms();

    if (c->stale_ms > 0 && now_ms - c->stale_ms < STALE_WINDOW_MS)
        return CONTROL_REFUSED;
    c->stale_ms = now_ms;
    return CONTROL_UNKNOWN_NODE;
}

static void on_done(const struct http_response *response, void *data)
{
    struct job *job = data;
    struct control_client *c = job->client;
    enum control_result result = control_answer_result(job->kind, response);

    if (result == CONTROL_OK) {
        on_answer[job->kind](c, job, response);
        return;
    }
    if (job->kind == CONTROL_STREAM)
        forget_stream(c);
    if (job->kind == CONTROL_BEAT)
        c->heartbeats_failed++;
    if (result == CONTROL_UNSUPPORTED) {
        log_debug("this control plane has no event stream, polling");
        job_note_success(job);
        finish(job, result);
        return;
    }
    if (response->retry_after_s > 0)
        control_machine_put_off(&c->machine, job->kind, response->retry_after_s * 1000);
    if (result == CONTROL_UNKNOWN_NODE && response->status == 409)
        result = judge_stale(c);
    if (response->error == ECANCELED) /* by on_stream_chunk(), which has said why */
        finish(job, job->is_disbelieved ? CONTROL_FOREIGN : result);
    else
        fail(job, result, answer_problem(job, result, response));
}

static void fill_watch(struct control_client *c, struct http_request_spec *spec)
{
    c->stream = control_events_new(on_event, c);
    c->is_resuming = c->last_event_id[0] != '\0';
    spec->chunk = on_stream_chunk;
    spec->timeout_ms = 0;
    spec->stall_timeout_ms = STREAM_STALL_MS;
}

static char *job_url(const struct control_client *c, const struct job *job)
{
    const char *base = c->config.urls[job->url_index];

    if (job->kind == CONTROL_REGISTER)
        return mem_printf("%s/api/nodes/register", base);
    if (job->kind == CONTROL_BEAT)
        return mem_printf("%s/api/nodes/%s/heartbeat", base, c->config.identity->node_id);
    return mem_printf("%s/api/nodes", base);
}

/* The header lines of a job, in room for three and NULL; owned by the caller. */
static void job_headers(const struct control_client *c, const struct job *job, char *lines[4])
{
    bool is_list = job->kind == CONTROL_STREAM || job->kind == CONTROL_POLL;
    size_t n = 0;

    if (is_list && job->known.cluster_id[0])
        lines[n++] = mem_printf("%s: %s", API_CLUSTER_HEADER, job->known.cluster_id);
    if (job->kind == CONTROL_STREAM)
        lines[n++] = mem_strdup("Accept: text/event-stream");
    if (job->kind == CONTROL_STREAM && c->last_event_id[0])
        lines[n++] = mem_printf("Last-Event-ID: %s", c->last_event_id);
    if (job->kind == CONTROL_POLL && c->etag[0])
        lines[n++] = mem_printf("If-None-Match: %s", c->etag);
}

static void start(struct control_client *c, struct job *job)
{
    char *lines[4] = {NULL};
    AUTO_FREE char *body = NULL, *url = NULL;
    struct http_request_spec spec = {
        .method = "GET",
        .timeout_ms = job->kind == CONTROL_POLL ? LIST_TIMEOUT_MS : CALL_TIMEOUT_MS,
        .done = on_done,
        .data = job,
    };
    int r;

    job->url_index = c->machine.url_index;
    job->known = c->config.identity->origin;
    job->is_disbelieved = false;
    url = job_url(c, job);
    spec.url = url;
    job_headers(c, job, lines);
    spec.headers = (const char *const *)lines;
    if (job->kind == CONTROL_REGISTER)
        start_register(c, &spec, &body);
    if (job->kind == CONTROL_BEAT)
        start_beat(c, &spec, &body);
    if (job->kind == CONTROL_STREAM)
        fill_watch(c, &spec);
    r = http_client_start(c->http, &spec, &job->call);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        free(lines[i]);
    if (r < 0) {
        forget_stream(c);
        fail(job, CONTROL_AWAY, mem_printf("%s", err_text()));
    }
}

static void run(struct control_client *c)
{
    unsigned int jobs;
    int64_t due_ms;

    if (c->is_stopped)
        return;
    jobs = control_machine_run(&c->machine, clock_boot_ms());
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++)
        if (jobs & 1u << i)
            start(c, &c->jobs[i]);
    due_ms = control_machine_due_ms(&c->machine);
    if (due_ms == INT64_MAX)
        loop_timer_disarm(c->timer);
    else
        loop_timer_set_at(c->timer, due_ms);
}

static void on_timer(void *data)
{
    run(data);
}

/* -------------------------------------------------------------------------------------------- */

int control_client_new(struct loop *loop, struct http_client *http,
                       const struct control_client_config *config,
                       struct control_client **ret_client)
{
    struct control_client *c = NEW(struct control_client);
    int r;

    c->config = *config;
    c->http = http;
    c->is_stopped = true;
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++)
        c->jobs[i] = (struct job){.client = c, .kind = (enum control_job)i};
    r = loop_add_timer(loop, on_timer, c, &c->timer);
    if (r < 0) {
        control_client_free(c);
        return r;
    }
    *ret_client = c;
    return 0;
}

void control_client_free(struct control_client *c)
{
    if (!c)
        return;
    control_client_stop(c);
    loop_source_free(c->timer);
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++)
        free(c->jobs[i].problem);
    free(c);
}

void control_client_start(struct control_client *c)
{
    c->is_stopped = false;
    control_machine_init(&c->machine, c->config.url_count, clock_boot_ms());
    loop_timer_set_in(c->timer, 0);
}

void control_client_stop(struct control_client *c)
{
    c->is_stopped = true;
    c->machine.is_stream_up = false;
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++)
        if (c->jobs[i].call)
            http_call_cancel(TAKE_PTR(c->jobs[i].call));
    forget_stream(c);
    if (c->timer)
        loop_timer_disarm(c->timer);
}

void control_client_restart(struct control_client *c)
{
    control_client_stop(c);
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++)
        job_forget_problem(&c->jobs[i]);
    c->etag[0] = '\0';
    c->last_event_id[0] = '\0';
    control_client_start(c);
}

void control_client_refresh(struct control_client *c)
{
    struct job *stream = &c->jobs[CONTROL_STREAM];

    if (c->is_stopped)
        return;
    c->etag[0] = '\0';
    c->last_event_id[0] = '\0';
    if (control_machine_refresh(&c->machine, clock_boot_ms())) {
        http_call_cancel(TAKE_PTR(stream->call));
        forget_stream(c);
        finish(stream, CONTROL_OK);
        return;
    }
    run(c);
}

const char *control_client_url(const struct control_client *c)
{
    return c->config.urls[c->good_url];
}

void control_client_status(const struct control_client *c, struct control_client_status *ret)
{
    *ret = (struct control_client_status){
        .url = control_client_url(c),
        .is_registered = c->machine.is_registered,
        .is_connected = c->machine.is_registered,
        .is_stream_up = c->machine.is_stream_up,
        .is_foreign = job_any_foreign(c),
        .last_contact_ms = c->last_contact_ms,
        .problem = "",
        .registrations = c->registrations,
        .heartbeats = c->heartbeats,
        .heartbeats_failed = c->heartbeats_failed,
    };
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++) {
        if (!c->jobs[i].problem || c->jobs[i].is_foreign != ret->is_foreign)
            continue;
        ret->problem = c->jobs[i].problem;
        ret->is_connected = ret->is_connected && c->machine.is_stream_up;
        break;
    }
}
