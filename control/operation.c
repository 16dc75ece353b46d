/* The way of every change. */
#include "control/operation.h"

#include "control/api/answer.h"
#include "control/operations.h"
#include "lib/base/error.h"
#include "lib/base/list.h"
#include "lib/base/log.h"

/* So many are stored within half a second by a disk that is well. */
#define WISHES_MAX 2048
#define PUT_OFF_MAX_S 3

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

/* ---- planned ------------------------------------------------------------------------------- */

static void answer(struct operation *op, enum registry_outcome outcome)
{
    if (!op->request)
        return;
    if (outcome == REGISTRY_READY)
        op->type->answer(op);
    else if (outcome == REGISTRY_STALE)
        answer_overtaken(op->request, op->control);
    else if (outcome == REGISTRY_TWIN)
        answer_twin(op->request, op->grant.wait_ms);
    else
        answer_failure(op->request, outcome);
    op->request = NULL;
}

static void finish(struct operation *op, enum registry_outcome outcome)
{
    answer(op, outcome);
    operation_free(op);
}

void operation_run(struct operation *op)
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
    case REGISTRY_TWIN:
    case REGISTRY_FOREIGN:
    case REGISTRY_UNADMITTED:
    case REGISTRY_MISPLACED:
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

void operation_run_planned(struct control *c, const struct operation_type *type,
                           struct registry_change *change)
{
    struct operation *op = operation_new(type, c);

    op->planned = change;
    operation_run(op);
}

/* ---- decided ------------------------------------------------------------------------------- */

static void take_effect(struct operation *op, struct registry_change *change)
{
    struct control *c = op->control;

    registry_commit(&c->registry, change, control_now());
    log_change(op, change);
    publish(c, change);
    if (op->type->follow)
        op->type->follow(op, change);
    answer(op, REGISTRY_READY);
}

static void come_to_nothing(struct operation *op, struct registry_change *change)
{
    registry_abort(&op->control->registry, change, control_now());
    if (op->request)
        answer_storage_full(op->request, op->control);
    op->request = NULL;
}

static void run_waiting(struct operation *waiting)
{
    struct operation *op, *next;

    DL_FOREACH_SAFE(waiting, op, next)
    {
        DL_DELETE(waiting, op);
        operation_run(op);
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
    control_note_room(c, set->outcome);
    if (op->type->decided)
        op->type->decided(op, change);
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
    c->metrics.put_off++;
    answer_add_retry_after(request, 1000 * (1 + (int64_t)(random_u64() % PUT_OFF_MAX_S)));
    http_reply_problem(request, 503, "%d changes are under way already; try again", WISHES_MAX);
}

struct operation *operation_new_wish(const struct operation_type *type, struct control *c,
                                     struct http_request *request)
{
    struct operation *op;

    if (answer_if_stopping(request, c))
        return NULL;
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
