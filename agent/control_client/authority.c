/* The CAs to know the control plane by: pinned before it is known, followed afterwards. */
#include <string.h>

#include "agent/control_client/answer.h"
#include "agent/control_client/job.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

/* Of a token, and of the node's own files. */
#define PINS_MAX (ACCESS_TOKEN_PINS_MAX + PAPERS_PINS_MAX)

static char *ca_path(const struct control_client *c)
{
    return mem_strdup("/api/ca");
}

/* ---- pinned -------------------------------------------------------------------------------- */

/* What the CA may be known by: by the access token, and, when no CA is known, by what the node
 * still has of one. How many; negative with a text: the token cannot be read, and there is nothing
 * else.
 */
static int find_pins(const struct control_client *c, struct sha256 ret_pins[static PINS_MAX])
{
    const struct papers *papers = c->config.papers;
    AUTO_ACCESS_TOKEN struct access_token token = {.pin_count = 0};
    int r =
        join_token_is_given(c->config.token) ? join_token_read(c->config.token, NULL, &token) : 0;
    size_t count = token.pin_count;

    memcpy(ret_pins, token.pins, sizeof token.pins);
    if (!papers->trust)
        count += papers_pins(papers, ret_pins + count);
    return count > 0 ? (int)count : r;
}

/* A pin of a CA that is known already leads nowhere new. */
bool authority_can_pin(const struct control_client *c)
{
    const struct papers *papers = c->config.papers;
    struct sha256 pins[PINS_MAX];
    int count = papers->config.ca_file ? 0 : find_pins(c, pins);

    for (int i = 0; i < count; i++)
        if (!papers->trust || !tls_trust_has_pin(papers->trust, &pins[i]))
            return true;
    return false;
}

bool authority_knows(const struct control_client *c, const struct access_token *token)
{
    const struct papers *papers = c->config.papers;

    for (size_t i = 0; papers->trust && i < token->pin_count; i++)
        if (tls_trust_has_pin(papers->trust, &token->pins[i]))
            return true;
    return papers->config.ca_file;
}

int authority_narrow(struct control_client *c, const struct access_token *token)
{
    struct papers *papers = c->config.papers;
    struct http_client_config files;
    AUTO_FREE char *pem = NULL;
    int r;

    if (papers->config.ca_file || tls_trust_is_pinned(papers->trust, token->pins, token->pin_count))
        return 0;
    pem = tls_trust_to_pem(papers->trust);
    r = papers_pin(papers, pem, token->pins, token->pin_count);
    if (r != 0)
        return r;
    files = papers_files(papers);
    c->config.events->trusted(c->config.data);
    return http_client_renew(c->http, &files);
}

static int fill_pin(struct control_client *c, struct job *job, struct ask *ask)
{
    ask->spec.connection = HTTP_UNVERIFIED;
    ask->spec.body_max = TLS_BUNDLE_MAX;
    return 0;
}

static int pin(const struct control_client *c, const struct http_response *response)
{
    struct sha256 pins[PINS_MAX];
    int count = find_pins(c, pins);

    if (count <= 0)
        return count < 0 ? count : err_fail(ENOKEY, "no access token says which CA it has");
    return papers_pin(c->config.papers, response->body, pins, (size_t)count);
}

static void on_pin(struct control_client *c, struct job *job, const struct http_response *response)
{
    int r = pin(c, response);

    if (r != 0) {
        job_fail(job, CONTROL_REFUSED,
                 mem_printf("%s: %s; nothing secret was sent to it", control_job_words(CONTROL_PIN),
                            err_text()));
        return;
    }
    log_info(join_token_is_given(c->config.token)
                 ? "the control plane's CA is the one of the token"
                 : "the control plane's CA is one that this node knew before",
             LOG_S("url", c->config.urls[job->url_index]));
    c->config.events->trusted(c->config.data);
    client_use_papers(c);
    job_note_success(job);
    job_finish(job, CONTROL_OK);
}

/* ---- followed ------------------------------------------------------------------------------ */

void authority_tell_new(struct control_client *c)
{
    log_info("the CAs of the control plane are others now",
             LOG_U("count", tls_trust_count(c->config.papers->trust)));
    c->config.events->trusted(c->config.data);
}

static int fill_ca(struct control_client *c, struct job *job, struct ask *ask)
{
    ask->spec.body_max = TLS_BUNDLE_MAX;
    return 0;
}

static void on_ca(struct control_client *c, struct job *job, const struct http_response *response)
{
    bool is_new;

    if (papers_take_cas(c->config.papers, response->body, &is_new) < 0) {
        job_fail(job, CONTROL_REFUSED,
                 mem_printf("%s: %s", control_job_words(CONTROL_CA), err_text()));
        return;
    }
    memcpy(c->ca_looked, c->ca_told, sizeof c->ca_looked);
    if (is_new)
        authority_tell_new(c);
    job_note_success(job);
    job_finish(job, CONTROL_OK);
}

const struct job_type job_pin = {"GET", JOB_CALL_TIMEOUT_MS, ca_path, fill_pin, on_pin};
const struct job_type job_ca = {"GET", JOB_CALL_TIMEOUT_MS, ca_path, fill_ca, on_ca};
