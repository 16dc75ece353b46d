/* The edge from outcomes to HTTP. */
#include "control/api/answer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/control.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/http/problem.h"

/* Of a request's body; no request needs a tenth of them. While a body is parsed nobody else is
 * served, so a long one that is all values must not cost what it could. */
#define VALUES_MAX 4096

static const struct {
    unsigned int status;
    const char *words; /* NULL: those of err_text() */
    const char *code;  /* NULL: none */
} failures[] = {
    [REGISTRY_READY] = {500, "no failure"},
    [REGISTRY_CHANGE] = {500, "no failure"},
    [REGISTRY_WAIT] = {500, "no failure"},
    [REGISTRY_UNKNOWN] = {404, "there is no node of this id"},
    [REGISTRY_LEFT] = {410, "the node has left; it must register again"},
    [REGISTRY_CONFLICT] = {409, NULL},
    [REGISTRY_EXHAUSTED] = {507, NULL},
    [REGISTRY_STALE] = {409, "another agent has registered as this node since; register again",
                        API_CODE_STALE_GENERATION},
    [REGISTRY_TWIN] = {409, NULL, API_CODE_IDENTITY_CONFLICT},
    [REGISTRY_FOREIGN] = {409, NULL, API_CODE_OTHER_CLUSTER},
    [REGISTRY_UNADMITTED] = {403, NULL},
    [REGISTRY_MISPLACED] = {403, NULL, API_CODE_OTHER_ADDRESS},
    [REGISTRY_INVALID] = {422, NULL},
    [REGISTRY_UNRESERVED] = {404, "no subnet is reserved for this host"},
};
static_assert(ARRAY_LEN(failures) == REGISTRY_UNRESERVED + 1, "a status an outcome");

void answer_failure(struct http_request *request, enum registry_outcome outcome)
{
    const char *words = failures[outcome].words;

    http_reply_problem_coded(request, failures[outcome].status, failures[outcome].code,
                             words ? words : err_text());
}

void answer_overtaken(struct http_request *request, const struct control *c)
{
    AUTO_FREE char *problem =
        problem_to_json(failures[REGISTRY_STALE].status, failures[REGISTRY_STALE].code,
                        failures[REGISTRY_STALE].words);
    struct api_origin own = {.revision = c->registry.revision};
    AUTO_STRBUF struct strbuf out = {0};

    memcpy(own.cluster_id, c->cluster.cluster_id, sizeof own.cluster_id);
    strbuf_add(&out, problem, strlen(problem) - 1); /* the closing brace comes behind */
    api_origin_add(&out, &own);
    strbuf_adds(&out, "}");
    http_reply_problem_json(request, failures[REGISTRY_STALE].status, out.data);
}

void answer_twin(struct http_request *request, int64_t wait_ms)
{
    if (wait_ms > 0)
        answer_add_retry_after(request, wait_ms);
    answer_failure(request, REGISTRY_TWIN);
}

void answer_add_retry_after(struct http_request *request, int64_t wait_ms)
{
    char seconds[24];

    (void)snprintf(seconds, sizeof seconds, "%" PRId64, (wait_ms + 999) / 1000);
    http_reply_header(request, "Retry-After", seconds);
}

bool answer_if_stopping(struct http_request *request, const struct control *c)
{
    if (c->is_stopping)
        http_reply_problem(request, 503, "the control plane is stopping");
    return c->is_stopping;
}

void answer_storage_full(struct http_request *request, const struct control *c)
{
    http_reply_problem(request, 507,
                       "storage full: the control plane cannot store the change in %s",
                       c->config.db_path);
}

/* The node's address in the certificate is what the registration has just stored. */
static char *certificate_for(const struct control *c, const char *node_id,
                             const struct tls_public_key *key)
{
    const struct node *node = registry_find(&c->registry, node_id);
    char *pem = NULL;

    if (!c->pki || !key || !node)
        return NULL;
    if (pki_issue_node(c->pki, key, node_id, node->facts.api.host_ip, &pem) < 0)
        log_error("no certificate could be made for a node", LOG_S("node_id", node_id), LOG_ERR());
    return pem;
}

void answer_grant(struct http_request *request, const struct control *c,
                  const struct registry_grant *grant, const struct tls_public_key *key)
{
    AUTO_FREE char *certificate = certificate_for(c, grant->node_id, key);
    struct api_register_reply reply = {
        .subnet = grant->subnet,
        .cluster = cluster_to_api(&c->cluster, c->config.node_timeout_ms),
        .origin.revision = c->registry.revision,
        .generation = grant->generation,
        .certificate = certificate,
        .ca = c->pki ? c->pki->told_pem : NULL,
    };
    AUTO_FREE char *json = NULL;

    memcpy(reply.origin.cluster_id, c->cluster.cluster_id, sizeof reply.origin.cluster_id);
    memcpy(reply.node_id, grant->node_id, sizeof reply.node_id);
    memcpy(reply.node_token, grant->token, sizeof reply.node_token);
    json = api_register_reply_to_json(&reply);
    http_reply_header(request, "Cache-Control", "no-store"); /* the token is a secret */
    http_reply_json(request, 200, json);
}

json_t *answer_json_body(struct http_request *request)
{
    json_t *body = NULL;
    size_t n;
    const char *bytes = http_request_body(request, &n);

    if (json_parse_bounded(bytes, n, VALUES_MAX, &body) < 0)
        http_reply_problem(request, 400, "the body is %s", err_text());
    return body;
}

void answer_node(struct http_request *request, const struct control *c, const char *node_id)
{
    const struct node *node = registry_find(&c->registry, node_id);
    AUTO_STRBUF struct strbuf out = {0};

    if (!node) {
        answer_failure(request, REGISTRY_UNKNOWN);
        return;
    }
    node_to_json(node, &out);
    http_reply_json(request, 200, out.data);
}

void answer_reservation(struct http_request *request, const struct control *c, const char *host)
{
    const struct reservation *reservation = registry_find_reservation(&c->registry, host);
    AUTO_STRBUF struct strbuf out = {0};

    if (!reservation || reservation->revision == 0) {
        answer_failure(request, REGISTRY_UNRESERVED);
        return;
    }
    api_reservation_to_json(&reservation->facts, &out);
    http_reply_json(request, 200, out.data);
}

/* A certificate of another CA than the one that signs now: that one is being replaced. */
static bool is_renewal_due(struct control *c, const struct node *node)
{
    const struct sha256 none = {0};

    if (!c->pki || sha256_equal(&node->ca_spki, &none) ||
        sha256_equal(&node->ca_spki, &c->pki->signer_spki))
        return false;
    return ca_rotation_may_ask(&c->rotation, clock_unix_s());
}

static bool is_same(const struct beat_answer *answer, const struct api_heartbeat_reply *reply)
{
    return answer->body && answer->revision == reply->revision &&
           answer->server_time == reply->server_time &&
           answer->is_renewal_due == reply->is_renewal_due &&
           strcmp(answer->ca_sha256, reply->ca_sha256 ? reply->ca_sha256 : "") == 0;
}

static void make_beat_answer(struct beat_answer *answer, const struct api_heartbeat_reply *reply)
{
    struct strbuf text = {0};
    size_t n;

    http_body_unref(answer->body);
    *answer = (struct beat_answer){.revision = reply->revision,
                                   .server_time = reply->server_time,
                                   .is_renewal_due = reply->is_renewal_due};
    if (reply->ca_sha256)
        memcpy(answer->ca_sha256, reply->ca_sha256, sizeof answer->ca_sha256);
    api_heartbeat_reply_to_json(reply, &text);
    n = text.len;
    answer->body = http_body_take(strbuf_take(&text), n);
}

void answer_heartbeat(struct http_request *request, struct control *c, const struct node *node)
{
    const struct api_heartbeat_reply reply = {
        .revision = c->registry.revision,
        .server_time = clock_unix_s(),
        .cluster = cluster_to_api(&c->cluster, c->config.node_timeout_ms),
        .ca_sha256 = c->pki ? c->pki->told_sha256 : NULL,
        .is_renewal_due = is_renewal_due(c, node),
    };

    if (!is_same(&c->beat_answer, &reply))
        make_beat_answer(&c->beat_answer, &reply);
    http_reply_body(request, 200, "application/json", c->beat_answer.body);
}
