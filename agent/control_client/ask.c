/* Puts the requests together: whom they go to, and what is shown with them. */
#include <assert.h>
#include <string.h>

#include "agent/control_client/job.h"
#include "lib/base/error.h"
#include "lib/base/secret.h"

/* ---- what is shown --------------------------------------------------------------------------- */

/* What the certificate is for is seen when it is new; all else is shown as it was taken last. */
static enum credential to_show(struct control_client *c, enum control_job kind)
{
    enum credential best = credentials_best(&c->credentials);

    if (kind == CONTROL_REGISTER && best == CREDENTIAL_NONE) {
        credentials_forgive(&c->credentials);
        return credentials_best(&c->credentials);
    }
    if (kind == CONTROL_SWITCH && papers_are_own(c->config.papers))
        return CREDENTIAL_CERT;
    if (kind == CONTROL_PIN || (kind != CONTROL_REGISTER && best == CREDENTIAL_ACCESS_TOKEN))
        return CREDENTIAL_NONE;
    return best;
}

/* One that has let this node in before does not undo that it was revoked since; one of another
 * cluster is nothing to show here. One that cannot be read is told of only when there is nothing
 * else. */
static bool has_access_token(const struct control_client *c)
{
    AUTO_ACCESS_TOKEN struct access_token token = {.pin_count = 0};

    if (!join_token_is_given(c->config.token))
        return false;
    if (join_token_read(c->config.token, NULL, &token) < 0)
        return c->config.identity->node_id[0] == '\0';
    return strcmp(token.id, c->config.spent_token) != 0 && authority_knows(c, &token);
}

static void look_what_there_is(struct control_client *c, enum control_job kind)
{
    bool *has = c->credentials.has;

    if (!c->config.papers)
        return;
    has[CREDENTIAL_NODE_TOKEN] = c->config.identity->node_token[0];
    if (kind == CONTROL_REGISTER)
        has[CREDENTIAL_ACCESS_TOKEN] = has_access_token(c);
}

enum credential ask_choose_credential(struct control_client *c, enum control_job kind)
{
    look_what_there_is(c, kind);
    return to_show(c, kind);
}

/* ---- the request ----------------------------------------------------------------------------- */

void ask_add_line(struct ask *ask, char *line)
{
    assert(ask->line_count + 1 < JOB_LINES_MAX);
    ask->lines[ask->line_count++] = line;
}

void ask_deinit(struct ask *ask)
{
    for (size_t i = 0; i < ask->line_count; i++)
        secret_free(ask->lines[i]);
    free(ask->url);
    if (ask->body)
        secret_free(ask->body);
}

/* Whoever is let see it is of a CA that the token names. */
static int read_access_token(struct control_client *c, char **ret_text)
{
    AUTO_ACCESS_TOKEN struct access_token token = {.pin_count = 0};
    int r = join_token_read(c->config.token, ret_text, &token);

    return r < 0 ? r : authority_narrow(c, &token);
}

/* CREDENTIAL_CERT is shown by the connection, CREDENTIAL_NONE not at all. */
static int read_bearer(struct control_client *c, enum credential credential, char **ret_text)
{
    if (credential == CREDENTIAL_NODE_TOKEN)
        *ret_text = mem_strdup(c->config.identity->node_token);
    else if (credential == CREDENTIAL_ACCESS_TOKEN)
        return read_access_token(c, ret_text);
    else
        *ret_text = NULL;
    return 0;
}

static int fill_authorization(struct control_client *c, const struct job *job, struct ask *ask)
{
    AUTO_SECRET char *text = NULL;
    int r = read_bearer(c, job->shown, &text);

    if (r == 0 && text)
        ask_add_line(ask, mem_printf("Authorization: Bearer %s", text));
    return r;
}

char *control_client_authorization(const struct control_client *c)
{
    return credentials_best(&c->credentials) == CREDENTIAL_NODE_TOKEN
               ? mem_printf("Authorization: Bearer %s", c->config.identity->node_token)
               : NULL;
}

int ask_put_together(struct control_client *c, struct job *job, struct ask *ask)
{
    const struct job_type *type = job_types[job->kind];
    AUTO_FREE char *path = type->path(c);
    int r;

    ask->url = mem_printf("%s%s", c->config.urls[job->url_index], path);
    ask->spec = (struct http_request_spec){
        .method = type->method, .url = ask->url, .timeout_ms = type->timeout_ms, .data = job};
    r = fill_authorization(c, job, ask);
    if (r == 0 && type->fill)
        r = type->fill(c, job, ask);
    ask->spec.body = ask->body;
    ask->spec.headers = ask->line_count > 0 ? (const char *const *)ask->lines : NULL;
    return r;
}
