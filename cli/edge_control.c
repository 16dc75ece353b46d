/* Calls to the control plane: where it is, what is shown to it, and what to do when it refuses. */
#include <assert.h>
#include <string.h>

#include "cli/credentials.h"
#include "cli/edge_internal.h"
#include "cli/local.h"
#include "lib/base/error.h"
#include "lib/base/ip4.h"

#define USUAL_PORT "8080"
/* A backup may be long, and come from afar. */
#define BYTES_TIMEOUT_MS (10 * 60 * 1000)

struct answer {
    struct http_reply reply;
    struct credentials shown;
};

static void answer_deinit(struct answer *answer)
{
    http_reply_deinit(&answer->reply);
    credentials_deinit(&answer->shown);
}

#define AUTO_ANSWER CLEANUP(answer_deinit)
#define NO_ANSWER ((struct answer){.shown = CREDENTIALS_NONE})

/* ---- where it is ----------------------------------------------------------------------------- */

static void add_url(struct cli *cli, const char *url)
{
    cli->control_planes.items[cli->control_planes.count++] = mem_strdup(url); /* for good */
}

/* By the name that it tells, whether that is known here or not, else by its addresses. */
static void add_local_urls(struct cli *cli)
{
    AUTO_FREE char *told = local_url(cli);
    uint32_t addrs[LOCAL_ADDRS_MAX];
    size_t count = local_addrs(cli, addrs);
    char text[IP4_TEXT_SIZE];

    static_assert(LOCAL_ADDRS_MAX < ARRAY_LEN(cli->control_planes.items), "they fit");
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *url = mem_printf("https://%s:" USUAL_PORT, ip4_format(addrs[i], text));

        add_url(cli, told ? told : url);
        if (told)
            cli->control_addrs.items[cli->control_addrs.count++] = mem_strdup(text); /* for good */
    }
}

/* Where this node's agent has its control plane, or where this host's own would be. */
static void find_control_plane(struct cli *cli)
{
    AUTO_JSON json_t *status = NULL;
    const char *url = NULL;

    if (edge_agent(cli, "GET", "/status", NULL, "ask the agent", &status) == 0 &&
        json_get_string(json_object_get(status, "control_plane"), "url", &url) == 0)
        add_url(cli, url);
    else
        add_local_urls(cli);
    if (cli->control_planes.count > 0)
        return;
    cli->is_control_guessed = true;
    add_url(cli, "http://127.0.0.1:" USUAL_PORT);
}

/* ---- what went wrong ------------------------------------------------------------------------- */

bool edge_is_away(int r)
{
    static const int away[] = {ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH};

    for (size_t i = 0; i < ARRAY_LEN(away); i++)
        if (r == -away[i])
            return true;
    return false;
}

static int fail_foreign(const struct cli *cli, const char *what, const struct answer *answer)
{
    bool has_told_right_ca = answer->shown.pinned_fd >= 0; /* and shows another's certificate */

    if (has_told_right_ca)
        return err_fail(EKEYREJECTED,
                        "%s: %s shows a certificate that is not from the CA that %s pins: it is "
                        "not the control plane; it was shown nothing",
                        what, cli->control_plane, answer->shown.words);
    return edge_fail(-EKEYREJECTED, what,
                     "is that the right control plane? --tls-ca FILE names its CA, and a token of "
                     "its cluster (--token-file FILE) knows it");
}

static int fail_to_reach(const struct cli *cli, int r, const char *what,
                         const struct answer *answer)
{
    if (r == -EKEYREJECTED)
        return fail_foreign(cli, what, answer);
    if (edge_is_away(r))
        return edge_fail(
            r, what,
            "is quilt-mesh-control running there? --control-plane URL names another place");
    return err_wrap(r, "%s", what);
}

/* What has an id that is not known: the verb that lists those that are. NULL: another path. */
static const char *lister_of(const char *path)
{
    static const struct {
        const char *path, *lister;
    } rows[] = {{"/api/tokens/", "token ls"}, {"/api/reservations/", "reservation ls"}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strncmp(path, rows[i].path, strlen(rows[i].path)) == 0)
            return rows[i].lister;
    return NULL;
}

/* What a person can do about an answer of this status. "": the server's words must do. Caller
 * frees. */
static char *advice_for(unsigned int status, const char *base, const char *path, const char *shown)
{
    bool is_plain = !http_url_is_tls(base);

    if (status == 404 && lister_of(path))
        return mem_printf("; 'quiltctl %s' shows what there is", lister_of(path));
    if (status == 404)
        return mem_strdup("; is that the URL of a control plane?");
    if (status == 426 && is_plain)
        return mem_printf("; give it as https%s", base + strlen("http"));
    if (status == 401 && !shown)
        return mem_strdup(
            "; nothing was shown to it: be root on the control plane's host (--tls-dir "
            "DIR, where it has one) or on a node, or give --token-file FILE");
    if (status == 401)
        return mem_printf("; it was shown %s", shown);
    if (status == 403 && !is_plain)
        return mem_printf(
            "; it was shown %s; be root on the control plane's host, who is an admin (--tls-dir "
            "DIR, where it has one), or give a token of such a role (--token-file FILE): quiltctl "
            "token create "
            "--role ROLE makes one there",
            shown ? shown : "nothing");
    return mem_strdup("");
}

static int fail_refused(const struct cli *cli, const char *path, const char *what,
                        const struct answer *answer)
{
    AUTO_FREE char *advice =
        advice_for(answer->reply.status, cli->control_plane, path, answer->shown.words);
    int r = reply_fail(&answer->reply, cli->control_plane, what);

    return err_fail(-r, "%s%s", err_text(), advice);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int ask_as(const struct cli *cli, const struct question *question, const char *base,
                  struct answer *answer)
{
    const struct credentials *shown = &answer->shown;
    const struct http_client_config config = {
        .ca_file = shown->ca_file, .cert_file = shown->cert_file, .key_file = shown->key_file};
    const char *const headers[] = {shown->bearer, NULL};
    struct question with_headers = *question;

    with_headers.headers = headers;
    with_headers.connect_to = cli->control_addr;
    return question_ask(&with_headers, base, &config, &answer->reply);
}

/* With the next credentials, for as long as it is one of another CA than they know. */
static int ask_at(struct cli *cli, const struct question *question, const char *base,
                  struct answer *answer)
{
    int r = 0;

    for (size_t attempt = 0;; attempt++) {
        struct credentials next;
        int found = credentials_find(cli, base, attempt, &next);

        if (found != 0)
            return found < 0 ? found : r;
        credentials_deinit(&answer->shown);
        answer->shown = next;
        r = ask_as(cli, question, base, answer);
        if (r != -EKEYREJECTED)
            return r;
    }
}

/* One that was asked and broke off, or took too long, may have done it: only what changes nothing
 * is asked of another, too. */
static bool may_ask_another(const struct question *question, int r, const struct answer *answer)
{
    return edge_is_away(r) && (!answer->reply.was_asked || strcmp(question->method, "GET") == 0);
}

/* The first that answers, whatever its answer is. */
static int ask(struct cli *cli, const struct question *question, const char *what,
               struct answer *answer)
{
    int r = -ECONNREFUSED;

    if (cli->control_planes.count == 0)
        find_control_plane(cli);
    for (size_t i = 0; may_ask_another(question, r, answer) && i < cli->control_planes.count; i++) {
        cli->control_plane = cli->control_planes.items[i];
        cli->control_addr = i < cli->control_addrs.count ? cli->control_addrs.items[i] : NULL;
        r = ask_at(cli, question, cli->control_plane, answer);
    }
    if (r < 0)
        return fail_to_reach(cli, r, what, answer);
    return reply_is_success(&answer->reply) ? 0 : fail_refused(cli, question->path, what, answer);
}

int edge_control_bytes(struct cli *cli, const char *path, const char *what, char **ret_bytes,
                       size_t *ret_n)
{
    const struct question question = {
        .method = "GET", .path = path, .timeout_ms = BYTES_TIMEOUT_MS};
    AUTO_ANSWER struct answer answer = NO_ANSWER;
    int r = ask(cli, &question, what, &answer);

    if (r < 0)
        return r;
    *ret_n = answer.reply.body_len;
    *ret_bytes = TAKE_PTR(answer.reply.body);
    return 0;
}

int edge_control_send(struct cli *cli, const char *method, const char *path, const char *json,
                      const char *what, json_t **ret_body)
{
    const struct question question = {
        .method = method, .path = path, .json = json, .timeout_ms = cli->patience_ms};
    AUTO_ANSWER struct answer answer = NO_ANSWER;
    int r = ask(cli, &question, what, &answer);

    return r < 0 ? r : reply_take(&answer.reply, cli->control_plane, what, ret_body);
}

int edge_control(struct cli *cli, const char *method, const char *path, const char *what,
                 json_t **ret_body)
{
    return edge_control_send(cli, method, path, NULL, what, ret_body);
}

int edge_control_list(struct cli *cli, const char *path, const char *member, const char *what,
                      json_t **ret_body)
{
    AUTO_JSON json_t *body = NULL;
    int r = edge_control(cli, "GET", path, what, &body);

    if (r == 0 && !json_is_array(json_object_get(body, member)))
        r = err_fail(EREMOTEIO, "%s: the answer has no list; is this the right URL?", what);
    if (r == 0)
        *ret_body = TAKE_PTR(body);
    return r;
}
