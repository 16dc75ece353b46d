/* The problems of the jobs: told once, and when they end. */
#include "agent/control_client/job.h"

#include <string.h>

#include "agent/control_client/answer.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

bool job_any_foreign(const struct control_client *c)
{
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++)
        if (c->jobs[i].is_foreign)
            return true;
    return false;
}

/* A control plane that is away fails every job, each in its own words and with new ones at each
 * attempt: that is one event. A refusal is told in its words, they name what to change. */
static bool is_news(const struct job *job, const char *problem, enum control_result result)
{
    if (result == CONTROL_FOREIGN)
        return !job_any_foreign(job->client);
    if (result == CONTROL_REFUSED)
        return !job->problem || strcmp(job->problem, problem) != 0;
    return job->client->away_since_ms == 0;
}

void job_note_failure(struct job *job, enum control_result result, char *problem)
{
    struct control_client *c = job->client;
    bool is_refused = result == CONTROL_REFUSED || result == CONTROL_FOREIGN;

    if (!is_news(job, problem, result))
        log_debug("control plane", LOG_S("url", c->config.urls[job->url_index]),
                  LOG_S("problem", problem));
    else if (is_refused)
        log_error("the control plane refuses, trying again now and then",
                  LOG_S("url", c->config.urls[job->url_index]), LOG_S("problem", problem));
    else
        log_warn("the control plane is away, nothing is changed meanwhile",
                 LOG_S("url", c->config.urls[job->url_index]), LOG_S("problem", problem));
    free(job->problem);
    job->problem = problem;
    job->is_refused = is_refused;
    job->is_foreign = result == CONTROL_FOREIGN;
    if (c->away_since_ms == 0)
        c->away_since_ms = clock_boot_ms();
}

static bool has_problem(const struct control_client *c)
{
    for (size_t i = 0; i < ARRAY_LEN(c->jobs); i++)
        if (c->jobs[i].problem)
            return true;
    return false;
}

void job_forget_problem(struct job *job)
{
    free(TAKE_PTR(job->problem));
    job->is_foreign = false;
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
