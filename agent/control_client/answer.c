/* What an answer of the control plane means. */
#include "agent/control_client/answer.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/api/heartbeat.h"
#include "lib/base/json.h"
#include "lib/base/parse.h"

#define PLAIN_TEXT_MAX 200

static const char *const job_words[] = {
    [CONTROL_REGISTER] = "register",
    [CONTROL_BEAT] = "heartbeat",
    [CONTROL_STREAM] = "watch nodes",
    [CONTROL_POLL] = "list nodes",
    [CONTROL_PIN] = "find the control plane's CA",
    [CONTROL_CA] = "fetch the CAs",
    [CONTROL_RENEW] = "renew the certificate",
    [CONTROL_SWITCH] = "connect with the new certificate",
};
static_assert(ARRAY_LEN(job_words) == CONTROL_JOB_COUNT, "each job has its words");

const char *control_job_words(enum control_job job)
{
    return job_words[job];
}

static bool is_node_gone(unsigned int status)
{
    return status == 404 || status == 410;
}

/* What was shown is not enough, and something else might be. */
static bool is_shut(enum control_job job, unsigned int status)
{
    if (job == CONTROL_PIN)
        return false;
    return status == 401 || (job == CONTROL_REGISTER && status == 403);
}

static bool is_registering(enum control_job job)
{
    return job == CONTROL_REGISTER || job == CONTROL_RENEW;
}

static bool has_code(const struct http_response *response, const char *code)
{
    AUTO_JSON json_t *problem = NULL;
    const char *said;

    return json_parse(response->body, response->body_len, &problem) == 0 &&
           json_get_string(problem, "code", &said) == 0 && strcmp(said, code) == 0;
}

enum control_result control_answer_result(enum control_job job,
                                          const struct http_response *response)
{
    unsigned int status = response->status;

    if (response->error == EKEYREJECTED)
        return CONTROL_UNTRUSTED;
    if (response->error == EKEYEXPIRED)
        return CONTROL_OUT_OF_DATE;
    if (response->error != 0)
        return CONTROL_AWAY;
    if (status == 200 || (job == CONTROL_POLL && status == 304))
        return CONTROL_OK;
    if (job == CONTROL_BEAT && status == 409 && has_code(response, API_CODE_STALE_GENERATION))
        return CONTROL_UNKNOWN_NODE;
    if (is_registering(job) && status == 409 && has_code(response, API_CODE_STALE_GENERATION))
        return CONTROL_OVERTAKEN;
    if (is_registering(job) && status == 409 && has_code(response, API_CODE_IDENTITY_CONFLICT))
        return response->retry_after_s > 0 ? CONTROL_HELD : CONTROL_TWIN;
    if (job == CONTROL_BEAT && is_node_gone(status))
        return CONTROL_UNKNOWN_NODE;
    if (job == CONTROL_STREAM && (status == 404 || status == 406))
        return CONTROL_UNSUPPORTED;
    if (status == 409 && has_code(response, API_CODE_OTHER_CLUSTER))
        return CONTROL_FOREIGN;
    if (is_registering(job) && status == 403 && has_code(response, API_CODE_OTHER_ADDRESS))
        return CONTROL_REFUSED;
    if (is_shut(job, status))
        return CONTROL_UNADMITTED;
    if (status == 429 || (status >= 500 && status != 507))
        return CONTROL_AWAY;
    return CONTROL_REFUSED;
}

/* The answer's own words, or NULL. */
static char *words_of(const struct http_response *response)
{
    AUTO_JSON json_t *problem = NULL;
    const char *detail;

    if (json_parse(response->body, response->body_len, &problem) == 0)
        return json_get_string(problem, "detail", &detail) == 0 ? mem_strdup(detail) : NULL;
    if (response->body_len == 0 || response->body_len > PLAIN_TEXT_MAX ||
        !parse_is_utf8(response->body, response->body_len))
        return NULL;
    return mem_strdup(response->body);
}

char *control_answer_problem(const char *what, const struct http_response *response)
{
    AUTO_FREE char *words = NULL;

    if (response->error != 0)
        return mem_printf("%s: %s", what, response->detail);
    words = words_of(response);
    if (!words)
        return mem_printf("%s: the control plane answered %u", what, response->status);
    return mem_printf("%s: the control plane answered %u: %s", what, response->status, words);
}
