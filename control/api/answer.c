/* The edge from outcomes to HTTP. */
#include "control/api/answer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/control.h"
#include "lib/base/error.h"

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
    [REGISTRY_FOREIGN] = {409, NULL, API_CODE_OTHER_CLUSTER},
};
static_assert(ARRAY_LEN(failures) == REGISTRY_FOREIGN + 1, "a status an outcome");

void answer_failure(struct http_request *request, enum registry_outcome outcome)
{
    const char *words = failures[outcome].words;

    http_reply_problem_coded(request, failures[outcome].status, failures[outcome].code,
                             words ? words : err_text());
}

void answer_storage_full(struct http_request *request)
{
    http_reply_problem(request, 507, "storage full: the control plane cannot store the change");
}

void answer_grant(struct http_request *request, const struct control *c,
                  const struct registry_grant *grant)
{
    struct api_register_reply reply = {
        .subnet = grant->subnet,
        .cluster = cluster_to_api(&c->cluster, c->config.node_timeout_ms),
        .origin.revision = c->registry.revision,
    };
    AUTO_FREE char *json = NULL;

    memcpy(reply.origin.cluster_id, c->cluster.cluster_id, sizeof reply.origin.cluster_id);
    memcpy(reply.node_id, grant->node_id, sizeof reply.node_id);
    memcpy(reply.node_token, grant->token, sizeof reply.node_token);
    json = api_register_reply_to_json(&reply);
    http_reply_header(request, "Cache-Control", "no-store"); /* the token is a secret */
    http_reply_json(request, 200, json);
}

void answer_node(struct http_request *request, const struct control *c, const char *node_id)
{
    const struct node *node = registry_find(&c->registry, node_id);

    if (node)
        http_reply_json(request, 200, node->json);
    else
        answer_failure(request, REGISTRY_UNKNOWN);
}

void answer_heartbeat(struct http_request *request, const struct control *c)
{
    char json[64];

    (void)snprintf(json, sizeof json, "{\"status\":\"ok\",\"revision\":%" PRIu64 "}",
                   c->registry.revision);
    http_reply_json(request, 200, json);
}
