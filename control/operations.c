/* From a wish to its answer. */
#include "control/operations.h"

#include <stdio.h>
#include <string.h>

#include "control/api/answer.h"
#include "control/control.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/list.h"
#include "lib/base/log.h"

/* So many are stored within half a second by a disk that is well. */
#define WISHES_MAX 2048
#define PUT_OFF_MAX_S 3

struct operation {
    const struct operation_type *type;
    struct control *control;
    bool is_wish;                 /* somebody's, and not our own */
    struct http_request *request; /* NULL: nobody waits for the answer */
    json_t *body;                 /* owned; what register borrows from */
    struct api_register_request wish;
    struct registry_visit visit;
    char token_id[TOKEN_ID_SIZE]; /* that it would become a node with; "": none */
    struct tls_public_key *key;   /* to be certified; owned; NULL: none */
    struct registry_grant grant;
    char node_id[UUID_TEXT_SIZE];
    struct api_reservation reservation;
    struct registry_change *planned; /* by somebody else; for those that begin with one */
    struct operation *waiting;       /* for this one's change */
    struct operation *prev, *next;
};

/* What is to be done, how it is answered when it is done, and what the log says. */
struct operation_type {
    enum registry_outcome (*plan)(struct operation *op, struct moment now,
                                  struct registry_change **ret_change);
    void (*answer)(struct operation *op); /* NULL: nothing to answer */
    const char *log_text;
};

static void run(struct operation *op);
static void on_outcome(struct store_change *set, void *data);

static struct operation *operation_new(const struct operation_type *type, struct control *control)
{
    struct operation *op = NEW(struct operation);

    op->type = type;
    op->control = control;
    return op;
}

static void operation_free(struct operation *op)
{
    op->control->wishes -= op->is_wish;
    json_decref(op->body);
    tls_public_key_free(op->key);
    free(op);
}

/* The server ends before the answer. */
static void on_gone(void *data)
{
    struct operation *op = data;

    op->request = NULL;
}

/* ---- kinds --------------------------------------------------------------------------------- */

/* The token lets in as many as it may, and one after another where they are counted. */
static enum registry_outcome ask_token(struct operation *op, struct moment now,
                                       struct token **ret_token,
                                       struct registry_change **ret_change)
{
    struct token *token = tokens_find(&op->control->tokens, op->token_id);

    op->visit.is_admitted = false; /* whatever it was before it waited */
    if (!token || token->is_going)
        return REGISTRY_READY;
    if (token->use) {
        *ret_change = token->use;
        return REGISTRY_WAIT;
    }
    op->visit.is_admitted =
        tokens_check(&op->control->tokens, op->token_id, token->facts.secret_sha256, now.unix_s,
                     ret_token) == TOKENS_GOOD;
    return REGISTRY_READY;
}

/* A token that is known and does not let anybody in: why not, rather than that one is needed. */
static void explain_token(const struct operation *op, struct moment now)
{
    struct token *token = tokens_find(&op->control->tokens, op->token_id), *unused = NULL;

    if (token)
        (void)tokens_check(&op->control->tokens, op->token_id, token->facts.secret_sha256,
                           now.unix_s, &unused);
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
    if (outcome == REGISTRY_UNADMITTED)
        explain_token(op, now);
    return outcome;
}

static enum registry_outcome plan_revoke(struct operation *op, struct moment now,
                                         struct registry_change **ret_change)
{
    return registry_plan_revoke(&op->control->registry, op->node_id, now, ret_change);
}

static enum registry_outcome plan_deregister(struct operation *op, struct moment now,
                                             struct registry_change **ret_change)
{
    return registry_plan_deregister(&op->control->registry, op->node_id, now, ret_change);
}

static enum registry_outcome plan_delete(struct operation *op, struct moment now,
                                         struct registry_change **ret_change)
{
    return registry_plan_delete(&op->control->registry, op->node_id, now, ret_change);
}

static enum registry_outcome plan_reserve(struct operation *op, struct moment now,
                                          struct registry_change **ret_change)
{
    return registry_plan_reserve(&op->control->registry, &op->reservation, now, ret_change);
}

static enum registry_outcome plan_unreserve(struct operation *op, struct moment now,
                                            struct registry_change **ret_change)
{
    return registry_plan_unreserve(&op->control->registry, op->reservation.host, now, ret_change);
}

static enum registry_outcome plan_given(struct operation *op, struct moment now,
                                        struct registry_change **ret_change)
{
    *ret_change = op->planned;
    return REGISTRY_CHANGE;
}

static void answer_register(struct operation *op)
{
    answer_grant(op->request, op->control, &op->grant, op->key);
}

static void answer_deregister(struct operation *op)
{
    answer_node(op->request, op->control, op->node_id);
}

static void answer_reserve(struct operation *op)
{
    answer_reservation(op->request, op->control, op->reservation.host);
}

static void answer_nothing(struct operation *op)
{
    http_reply_empty(op->request, 204);
}

static const struct operation_type op_register = {plan_register, answer_register,
                                                  "node registered"};
static const struct operation_type op_deregister = {plan_deregister, answer_deregister,
                                                    "node left"};
static const struct operation_type op_revoke = {plan_revoke, answer_deregister, "node revoked"};
static const struct operation_type op_delete = {plan_delete, answer_nothing, "node deleted"};
static const struct operation_type op_reserve = {plan_reserve, answer_reserve, "subnet reserved"};
static const struct operation_type op_unreserve = {plan_unreserve, answer_nothing,
                                                   "reservation taken back"};
static const struct operation_type op_down = {plan_given, NULL, "node down"};
static const struct operation_type op_up = {plan_given, NULL, "node up"};
static const struct operation_type op_release = {plan_given, NULL, "quarantine over"};

/* ---- the way ------------------------------------------------------------------------------- */

static void answer(struct operation *op, enum registry_outcome outcome)
{
    if (!op->request)
        return;
    if (outcome == REGISTRY_READY)
        op->type->answer(op);
    else
        answer_failure(op->request, outcome);
    op->request = NULL;
}

static void finish(struct operation *op, enum registry_outcome outcome)
{
    answer(op, outcome);
    operation_free(op);
}

static void run(struct operation *op)
{
    struct registry_change *change = NULL;
    struct operation *owner;
    enum registry_outcome outcome = op->type->plan(op, control_now(), &change);

    switch (outcome) {
    case REGISTRY_CHANGE:
        change->owner = op;
        change->set.on_outcome = on_outcome;
        writer_submit(op->control->writer, &change->set);
        return;
    case REGISTRY_WAIT:
        owner = change->owner;
        DL_APPEND(owner->waiting, op);
        return;
    case REGISTRY_READY:
    case REGISTRY_UNKNOWN:
    case REGISTRY_LEFT:
    case REGISTRY_CONFLICT:
    case REGISTRY_EXHAUSTED:
    case REGISTRY_STALE:
    case REGISTRY_FOREIGN:
    case REGISTRY_UNADMITTED:
    case REGISTRY_INVALID:
    case REGISTRY_UNRESERVED:
        finish(op, outcome);
    }
}

static void log_change(const struct operation *op, const struct registry_change *change)
{
    char ip[IP4_TEXT_SIZE], subnet[IP4_PREFIX_TEXT_SIZE];
    const struct api_node *node = change->node ? &change->node->facts.api : NULL;

    (void)ip4_prefix_format(pool_subnet(&op->control->registry.pool, change->subnet_index), subnet);
    if (node)
        log_info(op->type->log_text, LOG_S("node_id", node->node_id),
                 LOG_S("hostname", node->hostname), LOG_S("host_ip", ip4_format(node->host_ip, ip)),
                 LOG_S("subnet", subnet), LOG_U("revision", change->set.revision));
    else if (change->reservation)
        log_info(op->type->log_text, LOG_S("host", change->reservation->facts.host),
                 LOG_S("subnet", subnet), LOG_U("revision", change->set.revision));
    else
        log_info(op->type->log_text, LOG_S("subnet", subnet));
}

static void publish(struct control *c, const struct registry_change *change)
{
    switch (change->type) {
    case REGISTRY_ADD:
    case REGISTRY_UPDATE:
        events_add_node(&c->events, change->set.revision, change->node);
        break;
    case REGISTRY_DELETE:
        events_add_deletion(&c->events, change->set.revision, change->node->facts.api.node_id);
        break;
    case REGISTRY_RESERVE:
        events_add_reservation(&c->events, change->set.revision, &change->reservation->facts);
        break;
    case REGISTRY_UNRESERVE:
        events_add_unreservation(&c->events, change->set.revision, &change->reservation->facts);
        break;
    case REGISTRY_RELEASE:
        return;
    }
    watchers_wake(&c->watchers);
}

/* A change that somebody has planned for nobody in particular. */
static void start_planned(struct control *c, const struct operation_type *type,
                          struct registry_change *change)
{
    struct operation *op = operation_new(type, c);

    op->planned = change;
    run(op);
}

static void bring_up_again(struct control *c, const struct registry_change *down)
{
    struct registry_change *up = NULL;

    if (registry_plan_up_again(&c->registry, down->node, down, control_now(), &up) ==
        REGISTRY_CHANGE)
        start_planned(c, &op_up, up);
}

/* set.revision is 0 when the change was not stored. */
static void note_token_use(struct operation *op, const struct registry_change *change)
{
    struct token *token = tokens_find(&op->control->tokens, op->token_id);

    if (token && token->use == change)
        tokens_used(token, change->set.revision);
}

/* It is not held back for that: each time it has been silent for a whole timeout, and is heard now.
 */
static void note_down(struct control *c, struct node *node)
{
    c->metrics.downs++;
    if (node_note_down(node, clock_boot_ms()))
        log_warn("a node keeps falling silent: look at its host, and at the way to it",
                 LOG_S("node_id", node->facts.api.node_id),
                 LOG_S("hostname", node->facts.api.hostname));
}

static void take_effect(struct operation *op, struct registry_change *change)
{
    struct control *c = op->control;

    note_token_use(op, change);
    registry_commit(&c->registry, change, control_now());
    log_change(op, change);
    publish(c, change);
    if (op->type == &op_revoke || op->type == &op_delete)
        watchers_cut(&c->watchers, op->node_id);
    c->metrics.registrations += op->type == &op_register;
    answer(op, REGISTRY_READY);
    if (op->type != &op_down)
        return;
    note_down(c, change->node);
    bring_up_again(c, change);
}

static void come_to_nothing(struct operation *op, struct registry_change *change)
{
    note_token_use(op, change);
    registry_abort(&op->control->registry, change, control_now());
    if (op->request)
        answer_storage_full(op->request);
    op->request = NULL;
}

static void tell_fullness(struct control *c, bool is_full)
{
    if (c->is_full == is_full)
        return;
    c->is_full = is_full;
    if (is_full)
        log_warn("the store is full: changes are refused", LOG_S("db_path", c->config.db_path));
    else
        log_info("the store has room again", LOG_S("db_path", c->config.db_path));
}

static void run_waiting(struct operation *waiting)
{
    struct operation *op, *next;

    DL_FOREACH_SAFE(waiting, op, next)
    {
        DL_DELETE(waiting, op);
        run(op);
    }
}

static void on_outcome(struct store_change *set, void *data)
{
    struct control *c = data;
    struct registry_change *change = CONTAINER_OF(set, struct registry_change, set);
    struct operation *op = change->owner;
    struct operation *waiting;

    if (set->outcome == STORE_CONFLICT) {
        /* Nobody else writes to the store, so this cannot be; memory is not to be trusted. */
        log_error("the store contradicts what is in memory", LOG_S("id", set->ops[0].id));
        loop_exit(c->daemon.loop, EXIT_FAILURE);
        return;
    }
    tell_fullness(c, set->outcome == STORE_FULL);
    if (set->outcome == STORE_DONE)
        take_effect(op, change);
    else
        come_to_nothing(op, change);
    waiting = op->waiting;
    registry_change_free(change);
    operation_free(op);
    run_waiting(waiting);
}

/* ---- wishes -------------------------------------------------------------------------------- */

/* More would wait for longer than their clients do. When they come again they are no crowd any
 * more. Our own changes, which are one a node at most, are not held back. */
static void put_off(struct control *c, struct http_request *request)
{
    char seconds[8];

    c->metrics.put_off++;
    (void)snprintf(seconds, sizeof seconds, "%u", 1 + (unsigned int)(random_u64() % PUT_OFF_MAX_S));
    http_reply_header(request, "Retry-After", seconds);
    http_reply_problem(request, 503, "%d changes are under way already; try again", WISHES_MAX);
}

/* An operation that somebody waits for; NULL: it was answered that it comes too late, or too soon.
 */
static struct operation *asked(const struct operation_type *type, struct control *c,
                               struct http_request *request)
{
    struct operation *op;

    if (c->is_stopping) {
        http_reply_problem(request, 503, "the control plane is stopping");
        return NULL;
    }
    if (c->wishes >= WISHES_MAX) {
        put_off(c, request);
        return NULL;
    }
    op = operation_new(type, c);
    op->is_wish = true;
    c->wishes++;
    op->request = request;
    http_request_on_gone(request, on_gone, op);
    return op;
}

/* What is known of who asks, beside what he says. */
static void note_visitor(struct operation *op, const struct http_request *request)
{
    const struct visitor *v = &op->control->visitor;
    struct registry_visit *visit = &op->visit;
    struct sha256 key;

    visit->is_guarded = v->caller.role != ACCESS_OPEN;
    visit->is_from_address = http_request_client(request) == op->wish.host_ip;
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
    struct operation *op = asked(&op_register, c, request);

    if (!op)
        return;
    op->body = TAKE_PTR(registering->body);
    op->key = TAKE_PTR(registering->key);
    op->wish = registering->wish;
    note_visitor(op, request);
    /* Ids in order lie side by side in the store, so a group of new nodes touches few pages. */
    random_uuid_at(clock_unix_ms(), op->visit.node_id);
    random_hex(op->visit.token, (NODE_TOKEN_TEXT_SIZE - 1) / 2);
    run(op);
}

static void start_with_id(const struct operation_type *type, struct control *c,
                          struct http_request *request, const char *node_id)
{
    struct operation *op = asked(type, c, request);

    if (!op)
        return;
    (void)snprintf(op->node_id, sizeof op->node_id, "%s", node_id);
    run(op);
}

void operations_deregister(struct control *c, struct http_request *request, const char *node_id)
{
    start_with_id(&op_deregister, c, request, node_id);
}

void operations_revoke(struct control *c, struct http_request *request, const char *node_id)
{
    start_with_id(&op_revoke, c, request, node_id);
}

void operations_delete(struct control *c, struct http_request *request, const char *node_id)
{
    start_with_id(&op_delete, c, request, node_id);
}

void operations_reserve(struct control *c, struct http_request *request,
                        const struct api_reservation *wish)
{
    struct operation *op = asked(&op_reserve, c, request);

    if (!op)
        return;
    op->reservation = *wish;
    run(op);
}

void operations_unreserve(struct control *c, struct http_request *request, const char *host)
{
    struct operation *op = asked(&op_unreserve, c, request);

    if (!op)
        return;
    (void)snprintf(op->reservation.host, sizeof op->reservation.host, "%s", host);
    run(op);
}

void operations_heartbeat(struct control *c, struct http_request *request, const char *node_id,
                          const struct api_heartbeat *report)
{
    struct registry_change *up = NULL;
    enum registry_outcome outcome = registry_note_report(&c->registry, node_id, report);

    if (outcome == REGISTRY_READY)
        outcome = registry_heartbeat(&c->registry, node_id, control_now(), &up);

    c->metrics.heartbeats += outcome <= REGISTRY_CHANGE;
    if (outcome == REGISTRY_CHANGE)
        start_planned(c, &op_up, up);
    if (outcome <= REGISTRY_CHANGE)
        answer_heartbeat(request, c, registry_find(&c->registry, node_id));
    else
        answer_failure(request, outcome);
}

bool operations_mark_down(struct control *c, struct node *node)
{
    struct registry_change *down = NULL;

    if (registry_plan_down(&c->registry, node, control_now(), &down) != REGISTRY_CHANGE)
        return false;
    start_planned(c, &op_down, down);
    return true;
}

void operations_release_due(struct control *c)
{
    struct registry_change *release = NULL;

    while (registry_plan_release(&c->registry, control_now(), &release) == REGISTRY_CHANGE)
        start_planned(c, &op_release, release);
}

void operations_free_all(struct registry *registry)
{
    struct registry_change *change;
    struct operation *op, *next;

    DL_FOREACH2(registry->changes, change, next_change)
    {
        struct operation *owner = change->owner;

        DL_FOREACH_SAFE(owner->waiting, op, next)
        operation_free(op);
        operation_free(owner);
    }
}
