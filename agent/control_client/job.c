/* The problems of the jobs: told once, and when they end. */
#include "agent/control_client/job.h"

#include <string.h>

#include "agent/control_client/answer.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

bool job_any_failed(const struct control_client *c, enum control_result failure)
{
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++)
        if (c->jobs[i].problem && c->jobs[i].failure == failure)
            return true;
    return false;
}

/* A control plane that is away fails every job, each in its own words and with new ones at each
 * attempt: that is one event; so is one that is not believed, or whose certificate is not valid
 * now, also when it was away before. A refusal is told in its words, they name what to change. */
static bool is_news(const struct job *job, const char *problem, enum control_result result)
{
    switch (result) {
    case CONTROL_FOREIGN:
    case CONTROL_UNTRUSTED:
    case CONTROL_OUT_OF_DATE:
    case CONTROL_TWIN:
        return !job_any_failed(job->client, result);
    case CONTROL_REFUSED:
    case CONTROL_BARRED:
    case CONTROL_HELD:
        return !job->problem || strcmp(job->problem, problem) != 0;
    case CONTROL_OK:
    case CONTROL_AWAY:
    case CONTROL_UNKNOWN_NODE:
    case CONTROL_UNSUPPORTED:
    case CONTROL_UNADMITTED:
    case CONTROL_OVERTAKEN:
    case CONTROL_RESULT_COUNT:
        break;
    }
    return job->client->away_since_ms == 0;
}

/* Only an operator can change it. */
static bool is_refusal(enum control_result result)
{
    return result == CONTROL_REFUSED || result == CONTROL_FOREIGN || result == CONTROL_BARRED ||
           result == CONTROL_UNTRUSTED || result == CONTROL_TWIN;
}

/* How bad it is, and what it is called. */
static enum log_level rate(const struct job *job, enum control_result result, const char **ret_msg)
{
    if (control_job_is_aside(job->kind)) {
        *ret_msg = "this has to wait, trying again";
        return LOG_LEVEL_WARN;
    }
    if (is_refusal(result)) {
        *ret_msg = "the control plane refuses, trying again now and then";
        return LOG_LEVEL_ERROR;
    }
    if (result == CONTROL_HELD) {
        *ret_msg = "another agent was this node a moment ago, waiting until it is silent";
        return LOG_LEVEL_WARN;
    }
    *ret_msg = "the control plane is away, nothing is changed meanwhile";
    return LOG_LEVEL_WARN;
}

void job_note_failure(struct job *job, enum control_result result, char *problem)
{
    struct control_client *c = job->client;
    bool is_aside = control_job_is_aside(job->kind);
    const char *msg;
    enum log_level level = rate(job, result, &msg);

    if (is_aside ? job->problem != NULL : !is_news(job, problem, result))
        level = LOG_LEVEL_DEBUG;
    log_at(level, msg, LOG_S("url", c->config.urls[job->url_index]), LOG_S("problem", problem));
    free(job->problem);
    job->problem = problem;
    job->failure = result;
    if (c->away_since_ms == 0 && !is_aside)
        c->away_since_ms = clock_boot_ms();
}

static bool has_problem(const struct control_client *c)
{
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++)
        if (c->jobs[i].problem && !control_job_is_aside(c->jobs[i].kind))
            return true;
    return false;
}

void job_forget_problem(struct job *job)
{
    free(TAKE_PTR(job->problem));
    job->failure = CONTROL_OK;
}

void job_say_when_back(struct control_client *c)
{
    if (c->away_since_ms == 0 || has_problem(c))
        return;
    log_info("the control plane is back", LOG_S("url", c->config.urls[c->good_url]),
             LOG_I("away_ms", clock_boot_ms() - c->away_since_ms));
    c->away_since_ms = 0;
}

void job_note_success(struct job *job)
{
    struct control_client *c = job->client;

    c->last_contact_ms = clock_boot_ms();
    c->good_url = job->url_index;
    job_forget_problem(job);
    job_forget_problem(&c->jobs[CONTROL_PIN]); /* the control plane is known */
    job_say_when_back(c);
}

char *job_foreign_text(const char *words)
{
    return mem_printf("%s; nothing it says is taken. If it is the right one, run 'quiltctl node "
                      "accept-cluster' on this node",
                      words);
}

bool job_believes(struct job *job, const struct api_origin *told)
{
    AUTO_FREE char *words = NULL;

    if (api_origin_check(&job->known, told) == 0)
        return true;
    words = mem_printf("%s: %s", control_job_words(job->kind), err_text());
    job->is_disbelieved = true;
    job_note_failure(job, CONTROL_FOREIGN, job_foreign_text(words));
    return false;
}
