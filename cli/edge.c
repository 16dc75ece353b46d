/* Calls to the daemons of this host, and what calls over HTTP have in common. */
#include "cli/edge.h"

#include <string.h>

#include "cli/credentials.h"
#include "cli/edge_internal.h"
#include "lib/base/error.h"
#include "lib/base/secret.h"
#include "lib/rpc/client.h"

#define CALL_TIMEOUT_MS 10000
#define ANSWER_MAX_BYTES (64 * 1024 * 1024)

int edge_fail(int r, const char *what, const char *advice)
{
    return err_fail(-r, "%s: %s; %s", what, err_text(), advice);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

int question_ask(const struct question *q, const char *base,
                 const struct http_client_config *config, struct http_reply *ret_reply)
{
    bool has_slash = base[0] != '\0' && base[strlen(base) - 1] == '/';
    AUTO_FREE char *url = mem_printf("%s%s", base, q->path + has_slash);
    const struct http_request_spec spec = {.method = q->method,
                                           .url = url,
                                           .connect_to = q->connect_to,
                                           .headers = q->headers,
                                           .body = q->json,
                                           .timeout_ms =
                                               q->timeout_ms > 0 ? q->timeout_ms : CALL_TIMEOUT_MS,
                                           .body_max = ANSWER_MAX_BYTES};

    return http_fetch(config, &spec, ret_reply);
}

int reply_fail(const struct http_reply *reply, const char *base, const char *what)
{
    AUTO_JSON json_t *problem = NULL;
    const char *detail;
    int errnum = reply->status == 404 ? ENOENT : EREMOTEIO;

    if (json_parse(reply->body, reply->body_len, &problem) < 0 ||
        (json_get_string(problem, "detail", &detail) < 0 &&
         json_get_string(problem, "title", &detail) < 0))
        detail = "no reason given";
    return err_fail(errnum, "%s: %s (HTTP %u from %s)", what, detail, reply->status, base);
}

int reply_take(const struct http_reply *reply, const char *base, const char *what,
               json_t **ret_body)
{
    if (!reply_is_success(reply))
        return reply_fail(reply, base, what);
    if (!ret_body)
        return 0;
    if (json_parse(reply->body, reply->body_len, ret_body) < 0)
        return err_fail(EREMOTEIO, "%s: the answer is %s; is %s the right URL?", what, err_text(),
                        base);
    return 0;
}

/* ---- the agent ------------------------------------------------------------------------------- */

int edge_agent(const struct cli *cli, const char *method, const char *path, const char *token,
               const char *what, json_t **ret_body)
{
    AUTO_SECRET char *bearer = token ? mem_printf("Authorization: Bearer %s", token) : NULL;
    const char *const headers[] = {bearer, NULL};
    const struct question question = {
        .method = method, .path = path, .headers = headers, .timeout_ms = cli->patience_ms};
    struct http_reply reply = {0};
    int r;

    r = question_ask(&question, cli->agent, NULL, &reply);
    if (r < 0)
        return edge_fail(r, what, "is quilt-mesh-agent running? --agent URL names another place");
    r = reply_take(&reply, cli->agent, what, ret_body);
    http_reply_deinit(&reply);
    return r;
}

/* ---- the runtime ----------------------------------------------------------------------------- */

int edge_runtime(const struct cli *cli, const char *method, const ProtobufCMessage *request,
                 const ProtobufCMessageDescriptor *reply_type, const char *what,
                 ProtobufCMessage **ret_reply)
{
    AUTO_CREDENTIALS struct credentials shown = CREDENTIALS_NONE;
    AUTO_FREE char *path = mem_printf("/quilt.QuiltRuntime/%s", method);
    struct rpc_client_tls tls = {0};
    int r = rpc_target_is_tls(cli->runtime) ? credentials_for_runtime(cli, &shown) : 0;

    tls.files = (struct tls_keyring_files){shown.cert_file, shown.key_file, shown.ca_file};
    if (r == 0)
        r = rpc_call_once(cli->runtime, &tls, path, request, reply_type,
                          cli->patience_ms > 0 ? cli->patience_ms : CALL_TIMEOUT_MS, ret_reply);
    if (r == -ECONNREFUSED || r == -ETIMEDOUT)
        return edge_fail(r, what,
                         "is quilt-runtime running? Only nodes have one; --runtime URL names "
                         "another place");
    if (r == -EACCES && !rpc_target_is_tls(cli->runtime))
        return edge_fail(r, what, "be root on this node");
    if (r == -EOPNOTSUPP)
        return edge_fail(r, what, "this quilt-runtime is older than quiltctl");
    return r < 0 ? err_wrap(r, "%s", what) : 0;
}

int edge_refused(const char *what, const char *error)
{
    return err_fail(EREMOTEIO, "%s: %s", what, error && *error ? error : "no reason given");
}
