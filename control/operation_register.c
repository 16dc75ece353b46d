/* Becoming a node, or being one again: what a registration needs beside the way of every change. */
#include <string.h>

#include "control/api/answer.h"
#include "control/api/tokens.h"
#include "control/operation.h"
#include "control/operations.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

/* Whether the token lets somebody in at the address that he names; if not, with a text. */
static bool admits(const struct operation *op, const struct token *token, struct moment now)
{
    const struct control *c = op->control;
    struct token *unused = NULL;
    char ip[IP4_TEXT_SIZE];

    if (tokens_check(&c->tokens, op->token_id, token->facts.secret_sha256, now.unix_s, &unused) !=
        TOKENS_GOOD)
        return false;
    if (!barred_keeps_out(&c->barred, op->wish.host_ip, token->made_revision))
        return true;
    (void)err_fail(EACCES,
                   "the token %s was made before the node at %s was revoked or removed, and lets "
                   "nobody in from there any more; make one with 'quiltctl token create'",
                   op->token_id, ip4_format(op->wish.host_ip, ip));
    return false;
}

/* The token lets in as many as it may, and one after another where they are counted. */
static enum registry_outcome ask_token(struct operation *op, struct moment now,
                                       struct token **ret_token,
                                       struct registry_change **ret_change)
{
    struct token *token = tokens_find(&op->control->tokens, op->token_id);

    op->visit.is_admitted = false; /* whatever it was before it waited */
    if (!token || token->removals)
        return REGISTRY_READY;
    if (token->use) {
        *ret_change = token->use;
        return REGISTRY_WAIT;
    }
    op->visit.is_admitted = admits(op, token, now);
    if (op->visit.is_admitted)
        *ret_token = token;
    return REGISTRY_READY;
}

/* A token that is known and does not let anybody in: why not, rather than that one is needed. */
static void explain_token(const struct operation *op, struct moment now)
{
    const struct token *token = tokens_find(&op->control->tokens, op->token_id);

    if (token)
        (void)admits(op, token, now);
}

/* An operator has to find out which of the two it is to be. */
static void note_twin(const struct operation *op)
{
    struct node *node = registry_find(&op->control->registry, op->grant.node_id);
    char here[IP4_TEXT_SIZE], there[IP4_TEXT_SIZE];

    op->control->metrics.twins++;
    if (!node || !node->suitor.is_twin || node->suitor.is_told)
        return;
    node->suitor.is_told = true;
    log_warn("two agents run as one node, the second is refused",
             LOG_S("node_id", node->facts.api.node_id), LOG_S("hostname", node->facts.api.hostname),
             LOG_S("host_ip", ip4_format(node->facts.api.host_ip, here)),
             LOG_S("other_hostname", op->wish.hostname),
             LOG_S("other_host_ip", ip4_format(op->wish.host_ip, there)));
}

/* Once: many may ask. That there are subnets again is told by the clock. */
static void note_exhaustion(struct control *c)
{
    if (c->is_exhausted || c->registry.pool.counts[POOL_FREE] > 0)
        return;
    c->is_exhausted = true;
    log_warn("new nodes are refused: there is no subnet for them", LOG_ERR());
}

static enum registry_outcome plan_register(struct operation *op, struct moment now,
                                           struct registry_change **ret_change)
{
    struct token *token = NULL;
    enum registry_outcome outcome = ask_token(op, now, &token, ret_change);

    if (outcome == REGISTRY_WAIT)
        return outcome;
    outcome = registry_plan_register(&op->control->registry, &op->wish, &op->visit, now, ret_change,
                                     &op->grant);
    if (outcome == REGISTRY_CHANGE && op->grant.was_admitted && token)
        tokens_write_use(&(*ret_change)->set, token, *ret_change);
    if (outcome == REGISTRY_EXHAUSTED)
        note_exhaustion(op->control);
    if (outcome == REGISTRY_UNADMITTED)
        explain_token(op, now);
    if (outcome == REGISTRY_TWIN)
        note_twin(op);
    return outcome;
}

/* set.revision is 0 when the change was not stored. */
static void note_token_use(struct operation *op, const struct registry_change *change)
{
    struct token *token = tokens_find(&op->control->tokens, op->token_id);

    if (!token || token->use != change)
        return;
    tokens_used(token, change->set.revision);
    tokens_api_unused(token);
}

static void follow_register(struct operation *op, const struct registry_change *change)
{
    op->control->metrics.registrations++;
}

static void answer_register(struct operation *op)
{
    answer_grant(op->request, op->control, &op->grant, op->key);
}

static const struct operation_type op_register = {
    .plan = plan_register,
    .decided = note_token_use,
    .follow = follow_register,
    .answer = answer_register,
    .log_text = "node registered",
};

/* What is known of who asks, beside what he says. */
static void note_visitor(struct operation *op, const struct http_request *request)
{
    const struct visitor *v = &op->control->visitor;
    struct registry_visit *visit = &op->visit;
    struct sha256 key;

    visit->is_guarded = v->caller.role != ACCESS_OPEN;
    visit->client = http_request_client(request);
    visit->is_address_vouched_for =
        http_request_is_local(request) ||
        networks_contain(&op->control->config.node_networks, op->wish.host_ip);
    if (v->node)
        memcpy(visit->proven_id, v->node->facts.api.node_id, sizeof visit->proven_id);
    memcpy(visit->proof, v->proof, sizeof visit->proof);
    if (v->token)
        memcpy(op->token_id, v->token->facts.id, sizeof op->token_id);
    if (!op->key)
        return;
    key = tls_public_key_spki(op->key);
    sha256_format(&key, visit->key_sha256);
}

void operations_register(struct control *c, struct http_request *request,
                         struct registering *registering)
{
    struct operation *op = operation_new_wish(&op_register, c, request);

    if (!op)
        return;
    op->body = TAKE_PTR(registering->body);
    op->key = TAKE_PTR(registering->key);
    op->wish = registering->wish;
    note_visitor(op, request);
    /* Ids in order lie side by side in the store, so a group of new nodes touches few pages. */
    random_uuid_at(clock_unix_ms(), op->visit.node_id);
    random_hex(op->visit.token, (NODE_TOKEN_TEXT_SIZE - 1) / 2);
    operation_run(op);
}
