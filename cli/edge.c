/* Calls to the three daemons. */
#include "cli/edge.h"

#include <stdbool.h>
#include <string.h>

#include "cli/credentials.h"
#include "lib/base/error.h"
#include "lib/http/client.h"
#include "lib/rpc/client.h"

#define CALL_TIMEOUT_MS 10000
/* Leaving detaches every endpoint of the node. */
#define LEAVE_TIMEOUT_MS 60000
#define ANSWER_MAX_BYTES (64 * 1024 * 1024)

/* Says what to do about the latest failure. */
static int fail_with_advice(int r, const char *what, const char *advice)
{
    return err_fail(-r, "%s: %s; %s", what, err_text(), advice);
}

/* What a person can do about an answer of this status; NULL: the server's words must do. */
static const char *advice_for(unsigned int status)
{
    switch (status) {
    case 401:
        return "; show who you are by --token-file, or by --tls-cert and --tls-key (root of the "
               "control plane's host needs nothing)";
    case 403:
        return "; an admin may ('quiltctl token create --role admin' makes one)";
    case 426:
        return "; give its URL as https://";
    default:
        return "";
    }
}

/* What a server said about a failure: the detail of a problem document (RFC 9457), or the body. */
static int fail_with_reply(const struct http_reply *reply, const char *base, const char *what)
{
    AUTO_JSON json_t *problem = NULL;
    const char *detail;
    int errnum = reply->status == 404 ? ENOENT : EREMOTEIO;

    if (json_parse(reply->body, reply->body_len, &problem) < 0 ||
        (json_get_string(problem, "detail", &detail) < 0 &&
         json_get_string(problem, "title", &detail) < 0))
        detail = "no reason given";
    return err_fail(errnum, "%s: %s (HTTP %u from %s)%s", what, detail, reply->status, base,
                    advice_for(reply->status));
}

static bool is_success(const struct http_reply *reply)
{
    return reply->status >= 200 && reply->status <= 299;
}

static int take_reply(const struct http_reply *reply, const char *base, const char *what,
                      json_t **ret_body)
{
    if (!is_success(reply))
        return fail_with_reply(reply, base, what);
    if (!ret_body)
        return 0;
    if (json_parse(reply->body, reply->body_len, ret_body) < 0)
        return err_fail(EREMOTEIO, "%s: the answer is %s; is %s the right URL?", what, err_text(),
                        base);
    return 0;
}

/* What is asked of a daemon. */
struct question {
    const char *method;
    const char *path;
    const char *const *headers; /* NULL: none */
    const char *json;           /* NULL: no body */
};

static int fetch(const char *base, const struct question *q,
                 const struct http_client_config *config, struct http_reply *ret_reply)
{
    bool has_slash = base[0] != '\0' && base[strlen(base) - 1] == '/';
    AUTO_FREE char *url = mem_printf("%s%s", base, q->path + has_slash);
    const struct http_request_spec spec = {
        .method = q->method,
        .url = url,
        .headers = q->headers,
        .body = q->json,
        .timeout_ms = strcmp(q->path, "/leave") == 0 ? LEAVE_TIMEOUT_MS : CALL_TIMEOUT_MS,
        .body_max = ANSWER_MAX_BYTES};

    return http_fetch(config, &spec, ret_reply);
}

/* As who we are. */
static int fetch_from_control(const struct cli *cli, const char *base, const struct question *q,
                              struct http_reply *ret_reply)
{
    struct credentials credentials;
    struct question signed_question = *q;
    const char *headers[] = {NULL, NULL};
    int r = credentials_find(cli, base, &credentials);

    if (r < 0)
        return r;
    headers[0] = credentials.bearer;
    signed_question.headers = headers;
    r = fetch(base, &signed_question, &credentials.config, ret_reply);
    credentials_deinit(&credentials);
    return r;
}

int edge_agent(const struct cli *cli, const char *method, const char *path, const char *token,
               const char *what, json_t **ret_body)
{
    AUTO_FREE char *bearer = token ? mem_printf("Authorization: Bearer %s", token) : NULL;
    const char *const headers[] = {bearer, NULL};
    const struct question question = {.method = method, .path = path, .headers = headers};
    const struct http_client_config plain = {0};
    struct http_reply reply = {0};
    int r;

    r = fetch(cli->agent, &question, &plain, &reply);
    if (r < 0)
        return fail_with_advice(r, what,
                                "is quilt-mesh-agent running? --agent URL names another place");
    r = take_reply(&reply, cli->agent, what, ret_body);
    http_reply_deinit(&reply);
    return r;
}

/* Where this node's agent has its control plane, or the place that is usual on one machine. */
static void find_control_plane(struct cli *cli)
{
    AUTO_JSON json_t *status = NULL;
    const char *url = NULL;

    if (edge_agent(cli, "GET", "/status", NULL, "ask the agent", &status) < 0 ||
        json_get_string(json_object_get(status, "control_plane"), "url", &url) < 0)
        url = credentials_are_admins(cli) ? "https://127.0.0.1:8080" : "http://127.0.0.1:8080";
    cli->control_planes.items[0] = mem_strdup(url); /* kept for the life of the process */
    cli->control_planes.count = 1;
}

/* What is missing is told already, unless nobody is there at all. */
static int fail_to_reach_control(int r, const char *what)
{
    if (r == -EKEYREJECTED)
        return fail_with_advice(r, what,
                                "--tls-ca FILE names its CA, and a token of its cluster pins it");
    if (r == -EINVAL || r == -ENOENT || r == -EACCES)
        return err_wrap(r, "%s", what);
    return fail_with_advice(
        r, what, "is quilt-mesh-control running there? --control-plane URL names another place");
}

static int ask_control(struct cli *cli, const struct question *q, const char *what,
                       struct http_reply *ret_reply, const char **ret_base)
{
    int r = 0;

    if (cli->control_planes.count == 0)
        find_control_plane(cli);
    for (size_t i = 0; i < cli->control_planes.count; i++) {
        *ret_base = cli->control_planes.items[i];
        r = fetch_from_control(cli, *ret_base, q, ret_reply);
        if (r == 0)
            break;
    }
    return r < 0 ? fail_to_reach_control(r, what) : 0;
}

int edge_control_bytes(struct cli *cli, const char *path, const char *what, char **ret_bytes,
                       size_t *ret_n)
{
    const struct question question = {.method = "GET", .path = path};
    struct http_reply reply = {0};
    const char *base = NULL;
    int r = ask_control(cli, &question, what, &reply, &base);

    if (r < 0)
        return r;
    if (!is_success(&reply)) {
        r = fail_with_reply(&reply, base, what);
    } else {
        *ret_bytes = TAKE_PTR(reply.body);
        *ret_n = reply.body_len;
    }
    http_reply_deinit(&reply);
    return r;
}

int edge_control_send(struct cli *cli, const char *method, const char *path, const char *json,
                      const char *what, json_t **ret_body)
{
    const struct question question = {.method = method, .path = path, .json = json};
    struct http_reply reply = {0};
    const char *base = NULL;
    int r = ask_control(cli, &question, what, &reply, &base);

    if (r < 0)
        return r;
    r = take_reply(&reply, base, what, ret_body);
    http_reply_deinit(&reply);
    return r;
}

int edge_control(struct cli *cli, const char *method, const char *path, const char *what,
                 json_t **ret_body)
{
    return edge_control_send(cli, method, path, NULL, what, ret_body);
}

int edge_runtime(const struct cli *cli, const char *method, const ProtobufCMessage *request,
                 const ProtobufCMessageDescriptor *reply_type, const char *what,
                 ProtobufCMessage **ret_reply)
{
    AUTO_FREE char *path = mem_printf("/quilt.QuiltRuntime/%s", method);
    int r = rpc_call_once(cli->runtime, path, request, reply_type, CALL_TIMEOUT_MS, ret_reply);

    if (r == -ECONNREFUSED || r == -ETIMEDOUT)
        return fail_with_advice(r, what,
                                "is quilt-runtime running? --runtime URL names another place");
    if (r == -EOPNOTSUPP)
        return fail_with_advice(r, what, "this quilt-runtime is older than quiltctl");
    return r < 0 ? err_wrap(r, "%s", what) : 0;
}

int edge_refused(const char *what, const char *error)
{
    return err_fail(EREMOTEIO, "%s: %s", what, error && *error ? error : "no reason given");
}
