/* Does what machine.c says: one HTTP request a job. */
#include "agent/control_client/client.h"

#include <assert.h>

#include "agent/control_client/answer.h"
#include "agent/control_client/job.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/random.h"

static void run(struct control_client *c);

const struct job_type *const job_types[] = {
    [CONTROL_REGISTER] = &job_register, [CONTROL_BEAT] = &job_beat,
    [CONTROL_STREAM] = &job_stream,     [CONTROL_POLL] = &job_poll,
    [CONTROL_PIN] = &job_pin,           [CONTROL_CA] = &job_ca,
    [CONTROL_RENEW] = &job_renew,       [CONTROL_SWITCH] = &job_switch,
};
static_assert(ARRAY_LEN(job_types) == CONTROL_JOB_COUNT, "each job has its type");

void job_finish(struct job *job, enum control_result result)
{
    struct control_client *c = job->client;

    job->call = NULL;
    control_machine_done(&c->machine, job->kind, result, job->url_index, clock_boot_ms(),
                         random_u64());
    run(c);
}

void job_fail(struct job *job, enum control_result result, char *problem)
{
    job_note_failure(job, result, problem);
    job_finish(job, result);
}

int64_t client_now_s(const struct control_client *c)
{
    return c->has_clock ? c->clock_offset_s + clock_boot_ms() / 1000 : clock_unix_s();
}

/* ---- what comes back ----------------------------------------------------------------------- */

/* Somebody has registered as this node since this was sent. Who asks again with what is told then
 * has not been overtaken; one that cannot be told anything waits as for an answer. */
static enum control_result judge_overtaken(const struct job *job,
                                           const struct http_response *response)
{
    const struct control_client *c = job->client;
    AUTO_JSON json_t *problem = NULL;
    struct api_origin told;

    if (job->kind != CONTROL_REGISTER ||
        json_parse(response->body, response->body_len, &problem) < 0 ||
        api_origin_from_json(problem, &told) < 0 || api_origin_check(&job->known, &told) < 0 ||
        told.revision <= job->known.revision)
        return CONTROL_OVERTAKEN;
    c->config.events->origin(c->config.data, &told);
    return CONTROL_UNKNOWN_NODE;
}

/* What was shown is not taken. It is registering that goes through all there is to show. */
static enum control_result judge_unadmitted(struct job *job)
{
    struct control_client *c = job->client;

    if (!c->config.papers || control_job_is_aside(job->kind))
        return CONTROL_REFUSED;
    credentials_refuse(&c->credentials, job->shown);
    if (job->kind != CONTROL_REGISTER || credentials_best(&c->credentials) != CREDENTIAL_NONE)
        return CONTROL_UNADMITTED;
    credentials_forgive(&c->credentials);
    return CONTROL_BARRED;
}

static enum control_result judge(struct job *job, const struct http_response *response)
{
    struct control_client *c = job->client;
    enum control_result result = control_answer_result(job->kind, response);

    if (result == CONTROL_OVERTAKEN)
        return judge_overtaken(job, response);
    if (result == CONTROL_UNADMITTED)
        return judge_unadmitted(job);
    if (result == CONTROL_UNTRUSTED && c->config.papers && authority_can_pin(c))
        control_machine_want(&c->machine, CONTROL_PIN, clock_boot_ms());
    return result;
}

static char *barred_text(const struct control_client *c, const char *words)
{
    const char *what = c->config.identity->node_id[0]
                           ? "this node was revoked or removed: nothing that it shows is taken"
                           : "this node is not let in";

    return mem_printf("%s (%s); start its agent with a new access token (--token-file; 'quiltctl "
                      "token create' makes one)",
                      what, words);
}

static char *untrusted_text(const char *words)
{
    return mem_printf("%s; nothing was sent to it. If it is the right control plane, its CA was "
                      "replaced without this node: start the agent with a new access token "
                      "(--token-file; 'quiltctl token create' makes one)",
                      words);
}

static char *answer_problem(const struct job *job, enum control_result result,
                            const struct http_response *response)
{
    struct http_response heard = *response;
    AUTO_FREE char *words = NULL;

    if (job->kind == CONTROL_PIN)
        heard.body_len = 0; /* who is not verified does not speak to the operator */
    words = control_answer_problem(control_job_words(job->kind), &heard);
    if (result == CONTROL_FOREIGN)
        return job_foreign_text(words);
    if (result == CONTROL_BARRED)
        return barred_text(job->client, words);
    return result == CONTROL_UNTRUSTED ? untrusted_text(words) : TAKE_PTR(words);
}

/* Told once, and not as a failure: there is something else to show. */
static void step_down(struct job *job, const struct http_response *response)
{
    struct control_client *c = job->client;
    AUTO_FREE char *problem = answer_problem(job, CONTROL_UNADMITTED, response);

    log_at(c->is_barred ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
           "what this node shows is not taken, it shows something else",
           LOG_S("shown", credential_words(job->shown)), LOG_S("problem", problem));
    job_finish(job, CONTROL_UNADMITTED);
}

static void on_failure(struct job *job, enum control_result result,
                       const struct http_response *response)
{
    struct control_client *c = job->client;

    if (job->kind == CONTROL_STREAM)
        watch_forget_stream(c);
    if (job->kind == CONTROL_BEAT)
        c->heartbeats_failed++;
    if (response->retry_after_s > 0)
        control_machine_put_off(&c->machine, job->kind, response->retry_after_s * 1000);
    if (result == CONTROL_UNSUPPORTED) {
        log_debug("this control plane has no event stream, polling");
        job_note_success(job);
        job_finish(job, result);
    } else if (response->error == ECANCELED) { /* by a reader of the stream, which has said why */
        job_finish(job, job->is_disbelieved ? CONTROL_FOREIGN : result);
    } else if (result == CONTROL_UNADMITTED) {
        step_down(job, response);
    } else if (job->kind == CONTROL_REGISTER && result == CONTROL_UNKNOWN_NODE) {
        log_debug("the registration was overtaken, sending it again");
        job_finish(job, result);
    } else {
        c->is_barred |= result == CONTROL_BARRED;
        job_fail(job, result, answer_problem(job, result, response));
    }
}

static void on_done(const struct http_response *response, void *data)
{
    struct job *job = data;
    enum control_result result = judge(job, response);

    if (result == CONTROL_OK)
        job_types[job->kind]->answer(job->client, job, response);
    else
        on_failure(job, result, response);
}

/* ---- asking -------------------------------------------------------------------------------- */

/* An access token that cannot be read is none. */
static enum control_result unasked(const struct job *job)
{
    return job->shown == CREDENTIAL_ACCESS_TOKEN ? CONTROL_BARRED : CONTROL_AWAY;
}

static void start(struct control_client *c, struct job *job)
{
    CLEANUP(ask_deinit) struct ask ask = {.url = NULL};
    int r;

    job->url_index = c->machine.url_index;
    job->known = c->config.identity->origin;
    job->is_disbelieved = false;
    if (c->config.papers)
        papers_restore(c->config.papers);
    job->shown = ask_choose_credential(c, job->kind);
    r = ask_put_together(c, job, &ask);
    ask.spec.done = on_done;
    if (r == 0)
        r = http_client_start(c->http, &ask.spec, &job->call);
    if (r == 0)
        return;
    if (job->kind == CONTROL_STREAM)
        watch_forget_stream(c);
    job_fail(job, unasked(job), mem_printf("%s: %s", control_job_words(job->kind), err_text()));
}

/* What is known was pinned in an attempt that let nobody in, by another token: who has nothing but
 * the token must not say a word to anybody whom that one does not name. */
static bool must_pin(const struct control_client *c)
{
    AUTO_ACCESS_TOKEN struct access_token token = {.pin_count = 0};

    if (!c->config.papers || c->config.papers->cert || c->config.identity->node_id[0] ||
        !join_token_is_given(c->config.token) || join_token_read(c->config.token, NULL, &token) < 0)
        return false;
    return !authority_knows(c, &token);
}

static void run(struct control_client *c)
{
    unsigned int jobs;
    int64_t due_ms;

    if (c->is_stopped)
        return;
    if (control_machine_is_due(&c->machine, CONTROL_REGISTER, clock_boot_ms()) && must_pin(c))
        control_machine_pin_first(&c->machine, clock_boot_ms());
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

/* ---- life ---------------------------------------------------------------------------------- */

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

static void start_tls(struct control_client *c)
{
    const struct papers *papers = c->config.papers;

    credentials_forgive(&c->credentials);
    c->credentials.has[CREDENTIAL_CERT] = papers->cert != NULL;
    if (papers->cert)
        c->renew_at = tls_cert_renew_at(tls_cert_facts(papers->cert), random_u64());
    if (!papers->trust)
        control_machine_pin_first(&c->machine, clock_boot_ms());
}

void control_client_start(struct control_client *c)
{
    c->is_stopped = false;
    control_machine_init(&c->machine, c->config.url_count, clock_boot_ms());
    if (c->config.papers)
        start_tls(c);
    loop_timer_set_in(c->timer, 0);
}

void control_client_stop(struct control_client *c)
{
    c->is_stopped = true;
    c->machine.is_stream_up = false;
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++)
        if (c->jobs[i].call)
            http_call_cancel(TAKE_PTR(c->jobs[i].call));
    watch_forget_stream(c);
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

void client_restart_stream(struct control_client *c)
{
    struct job *stream = &c->jobs[CONTROL_STREAM];

    if (!stream->call)
        return;
    http_call_cancel(TAKE_PTR(stream->call));
    watch_forget_stream(c);
    job_finish(stream, CONTROL_OK);
}

void control_client_refresh(struct control_client *c)
{
    if (c->is_stopped)
        return;
    c->etag[0] = '\0';
    c->last_event_id[0] = '\0';
    if (control_machine_refresh(&c->machine, clock_boot_ms()))
        client_restart_stream(c);
    else
        run(c);
}

void control_client_beat_soon(struct control_client *c)
{
    if (c->is_stopped)
        return;
    control_machine_beat_soon(&c->machine, clock_boot_ms(), random_u64());
    run(c);
}

void client_use_papers(struct control_client *c)
{
    const struct http_client_config files = papers_files(c->config.papers);

    if (http_client_renew(c->http, &files) < 0)
        log_error("the new certificate cannot be used", LOG_ERR());
    credentials_renew(&c->credentials, CREDENTIAL_CERT, c->config.papers->cert != NULL);
}

void control_client_reconnect(struct control_client *c)
{
    if (c->is_stopped)
        return;
    if (c->machine.is_registered)
        control_machine_want(&c->machine, CONTROL_SWITCH, clock_boot_ms());
    else
        client_use_papers(c);
    run(c);
}

/* ---- status -------------------------------------------------------------------------------- */

const char *control_client_url(const struct control_client *c)
{
    return c->config.urls[c->good_url];
}

/* One whose CA was looked for and not found is not believed, either. */
static bool is_untrusted(const struct job *job)
{
    return job->failure == CONTROL_UNTRUSTED || job->failure == CONTROL_OUT_OF_DATE ||
           (job->kind == CONTROL_PIN && job->failure == CONTROL_REFUSED);
}

/* The first of what is worst: of a foreign control plane, nothing else matters. */
static void add_problem(const struct control_client *c, struct control_client_status *status)
{
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++) {
        const struct job *job = &c->jobs[i];

        if (!job->problem || (job->failure == CONTROL_FOREIGN) != status->is_foreign)
            continue;
        status->problem = job->problem;
        status->is_untrusted = is_untrusted(job);
        if (!control_job_is_aside(job->kind))
            status->is_connected = status->is_connected && c->machine.is_stream_up;
        return;
    }
}

void control_client_status(const struct control_client *c, struct control_client_status *ret)
{
    *ret = (struct control_client_status){
        .url = control_client_url(c),
        .is_registered = c->machine.is_registered,
        .is_connected = c->machine.is_registered,
        .is_stream_up = c->machine.is_stream_up,
        .is_foreign = job_any_failed(c, CONTROL_FOREIGN),
        .is_barred = c->is_barred,
        .is_twin = job_any_failed(c, CONTROL_TWIN),
        .shown = credentials_best(&c->credentials),
        .has_clock_skew = c->has_clock,
        .clock_skew_s = c->clock_skew_s,
        .last_contact_ms = c->last_contact_ms,
        .problem = "",
        .registrations = c->registrations,
        .heartbeats = c->heartbeats,
        .heartbeats_failed = c->heartbeats_failed,
        .renewals = c->renewals,
    };
    add_problem(c, ret);
}
