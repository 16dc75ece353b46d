/* Heartbeats, and what is told with their answers: intervals, the time, and whether certificates
 * and CAs are to be others. */
#include <stdlib.h>
#include <string.h>

#include "agent/control_client/answer.h"
#include "agent/control_client/job.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

/* Clocks that differ by more are worth a word. */
#define SKEW_MAX_S 5

/* ---- asking -------------------------------------------------------------------------------- */

static char *beat_path(const struct control_client *c)
{
    return mem_printf("/api/nodes/%s/heartbeat", c->config.identity->node_id);
}

static int fill_beat(struct control_client *c, struct job *job, struct ask *ask)
{
    struct api_heartbeat report = api_heartbeat_empty();
    struct strbuf out = {0};

    c->config.events->report(c->config.data, &report);
    if (c->config.identity->generation > 0)
        report.generation = c->config.identity->generation;
    if (c->config.papers)
        memcpy(report.ca_sha256, c->config.papers->ca_sha256, sizeof report.ca_sha256);
    api_heartbeat_to_json(&report, &out);
    strbuf_cut(&out, 1); /* the closing brace comes behind what else there is to tell */
    c->config.events->tell(c->config.data, &out);
    strbuf_adds(&out, "}");
    ask->body = strbuf_take(&out);
    return 0;
}

static int fill_switch(struct control_client *c, struct job *job, struct ask *ask)
{
    ask->spec.connection = HTTP_FRESH;
    return fill_beat(c, job, ask);
}

bool beat_is_switching(const struct control_client *c)
{
    return c->machine.is_running[CONTROL_SWITCH] || c->machine.due_ms[CONTROL_SWITCH] != INT64_MAX;
}

/* ---- what is told -------------------------------------------------------------------------- */

/* A first release's control plane says what it likes. */
static void take_intervals(struct control_client *c, const json_t *value)
{
    const struct api_cluster *old = &c->config.identity->cluster;
    struct api_cluster told = *old;

    if (api_heartbeat_reply_take(value, &told) < 0) {
        log_debug("heartbeat: the answer tells no intervals", LOG_ERR());
        return;
    }
    if (told.heartbeat_ms == old->heartbeat_ms && told.node_timeout_ms == old->node_timeout_ms &&
        told.peer_sync_ms == old->peer_sync_ms)
        return;
    control_machine_set_intervals(&c->machine, told.heartbeat_ms, told.peer_sync_ms);
    c->config.events->intervals(c->config.data, &told);
}

static void say_skew(struct control_client *c)
{
    bool is_off = llabs(c->clock_skew_s) > SKEW_MAX_S;

    if (is_off == c->is_skew_told)
        return;
    c->is_skew_told = is_off;
    if (is_off)
        log_warn(c->clock_skew_s > 0
                     ? "this host's clock is behind the control plane's: set one of them"
                     : "this host's clock is ahead of the control plane's: set one of them",
                 LOG_I("seconds", llabs(c->clock_skew_s)));
    else
        log_info("this host's clock agrees with the control plane's");
}

static void take_time(struct control_client *c, const json_t *value)
{
    int64_t server_time;

    if (api_heartbeat_reply_time(value, &server_time) < 0)
        return;
    c->has_clock = true;
    c->clock_offset_s = server_time - clock_boot_ms() / 1000;
    c->clock_skew_s = server_time - clock_unix_s();
    say_skew(c);
}

static void look_for_cas(struct control_client *c, const char *told)
{
    const struct papers *papers = c->config.papers;

    if (strlen(told) >= sizeof c->ca_told || papers->config.ca_file ||
        strcmp(told, papers->ca_sha256) == 0 || strcmp(told, c->ca_looked) == 0)
        return;
    memcpy(c->ca_told, told, strlen(told) + 1);
    control_machine_want(&c->machine, CONTROL_CA, clock_boot_ms());
}

static void take_renewal(struct control_client *c, const json_t *value)
{
    const char *ca_sha256 = NULL;
    bool is_due = false;

    if (!c->config.papers || api_heartbeat_reply_renewal(value, &ca_sha256, &is_due) < 0)
        return;
    if (ca_sha256)
        look_for_cas(c, ca_sha256);
    c->is_renewal_due = is_due && !beat_is_switching(c);
    register_plan_renewal(c);
}

static void take_answer(struct control_client *c, const struct http_response *response)
{
    AUTO_JSON json_t *value = NULL;

    if (json_parse(response->body, response->body_len, &value) < 0) {
        log_debug("heartbeat: the answer tells nothing", LOG_ERR());
        return;
    }
    take_intervals(c, value);
    take_time(c, value);
    take_renewal(c, value);
}

static void on_beat(struct control_client *c, struct job *job, const struct http_response *response)
{
    take_answer(c, response);
    c->heartbeats++;
    job_note_success(job);
    job_finish(job, CONTROL_OK);
}

/* ---- a new connection that works ----------------------------------------------------------- */

static void say_switched(const struct papers *papers)
{
    log_info("another certificate is shown from now on",
             LOG_I("expires_at", papers->cert ? tls_cert_facts(papers->cert)->not_after : 0));
}

static void on_switch(struct control_client *c, struct job *job,
                      const struct http_response *response)
{
    client_use_papers(c);
    say_switched(c->config.papers);
    job_note_success(job);
    job_finish(job, CONTROL_OK);
    client_restart_stream(c);
    take_answer(c, response);
}

const struct job_type job_beat = {"POST", JOB_CALL_TIMEOUT_MS, beat_path, fill_beat, on_beat};
const struct job_type job_switch = {"POST", JOB_CALL_TIMEOUT_MS, beat_path, fill_switch, on_switch};
