/* The kinds of changes, and who wishes them. Registrations have a file of their own. */
#include "control/operations.h"

#include <stdio.h>

#include "control/api/answer.h"
#include "control/operation.h"
#include "control/services/registry_probes.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

/* ---- the kinds ------------------------------------------------------------------------------- */

static enum registry_outcome no_room_for_bar(void)
{
    (void)err_fail(ENOSPC,
                   "%d addresses of nodes that were revoked or removed are kept out already, for "
                   "older access tokens would let them in again: 'quiltctl token ls' lists those, "
                   "'quiltctl token rm' ends them",
                   BARRED_MAX);
    return REGISTRY_EXHAUSTED;
}

typedef enum registry_outcome (*plan_of_node)(struct registry *registry, const char *node_id,
                                              struct moment now,
                                              struct registry_change **ret_change);

/* The node goes, and what let it in does not let it in again. One that has lost its address has no
 * place to come back to. */
static enum registry_outcome plan_out(struct operation *op, plan_of_node plan, struct moment now,
                                      struct registry_change **ret_change)
{
    struct control *c = op->control;
    const struct node *node = registry_find(&c->registry, op->node_id);
    bool has_bar =
        node && node->facts.holds_address && tokens_oldest_joining(&c->tokens, 0) != UINT64_MAX;
    uint64_t oldest = tokens_oldest_joining(&c->tokens, now.unix_s);
    uint32_t address = node ? node->facts.api.host_ip : 0;
    enum registry_outcome outcome;

    *ret_change = has_bar ? barred_busy(&c->barred, address) : NULL;
    if (*ret_change)
        return REGISTRY_WAIT;
    if (has_bar && !barred_has_room(&c->barred, address, oldest))
        return no_room_for_bar();
    outcome = plan(&c->registry, op->node_id, now, ret_change);
    if (outcome == REGISTRY_CHANGE && has_bar)
        barred_write(&c->barred, &(*ret_change)->set, address, oldest, *ret_change);
    return outcome;
}

static void note_bar(struct operation *op, const struct registry_change *change)
{
    barred_decided(&op->control->barred, change, change->set.revision);
}

static enum registry_outcome plan_revoke(struct operation *op, struct moment now,
                                         struct registry_change **ret_change)
{
    return plan_out(op, registry_plan_revoke, now, ret_change);
}

static enum registry_outcome plan_deregister(struct operation *op, struct moment now,
                                             struct registry_change **ret_change)
{
    return registry_plan_deregister(&op->control->registry, op->node_id, now, ret_change);
}

static enum registry_outcome plan_delete(struct operation *op, struct moment now,
                                         struct registry_change **ret_change)
{
    return plan_out(op, registry_plan_delete, now, ret_change);
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

static const struct operation_type op_up = {.plan = plan_given, .log_text = "node up"};
static const struct operation_type op_release = {.plan = plan_given, .log_text = "quarantine over"};

static void bring_up_again(struct control *c, const struct registry_change *down)
{
    struct registry_change *up = NULL;

    if (registry_plan_up_again(&c->registry, down->node, down, control_now(), &up) ==
        REGISTRY_CHANGE)
        operation_run_planned(c, &op_up, up);
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

static void cut_streams(struct operation *op, const struct registry_change *change)
{
    watchers_cut(&op->control->watchers, op->node_id);
}

static void follow_down(struct operation *op, const struct registry_change *change)
{
    note_down(op->control, change->node);
    bring_up_again(op->control, change);
}

static const struct operation_type op_deregister = {
    .plan = plan_deregister, .answer = answer_deregister, .log_text = "node left"};
static const struct operation_type op_revoke = {.plan = plan_revoke,
                                                .decided = note_bar,
                                                .follow = cut_streams,
                                                .answer = answer_deregister,
                                                .log_text = "node revoked"};
static const struct operation_type op_delete = {.plan = plan_delete,
                                                .decided = note_bar,
                                                .follow = cut_streams,
                                                .answer = answer_nothing,
                                                .log_text = "node deleted"};
static const struct operation_type op_reserve = {
    .plan = plan_reserve, .answer = answer_reserve, .log_text = "subnet reserved"};
static const struct operation_type op_unreserve = {
    .plan = plan_unreserve, .answer = answer_nothing, .log_text = "reservation taken back"};
static const struct operation_type op_down = {
    .plan = plan_given, .follow = follow_down, .log_text = "node down"};

static void start_with_id(const struct operation_type *type, struct control *c,
                          struct http_request *request, const char *node_id)
{
    struct operation *op = operation_new_wish(type, c, request);

    if (!op)
        return;
    (void)snprintf(op->node_id, sizeof op->node_id, "%s", node_id);
    operation_run(op);
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
    struct operation *op = operation_new_wish(&op_reserve, c, request);

    if (!op)
        return;
    op->reservation = *wish;
    operation_run(op);
}

void operations_unreserve(struct control *c, struct http_request *request, const char *host)
{
    struct operation *op = operation_new_wish(&op_unreserve, c, request);

    if (!op)
        return;
    (void)snprintf(op->reservation.host, sizeof op->reservation.host, "%s", host);
    operation_run(op);
}

static void hear_witness(struct control *c, struct node *node, const struct heard_beat *beat)
{
    registry_note_probes(&c->registry, node, beat->probes, beat->probe_count, control_now());
    for (size_t i = 0; i < beat->probe_count; i++) {
        if (beat->probes[i].state != API_PROBE_LOST || loop_timer_is_armed(c->suspicion))
            continue;
        loop_timer_set_in(c->suspicion, SUSPICION_MS);
    }
}

void operations_heartbeat(struct control *c, struct http_request *request, const char *node_id,
                          const struct heard_beat *beat)
{
    struct node *node = registry_find(&c->registry, node_id);
    struct registry_change *up = NULL;
    enum registry_outcome outcome =
        node ? registry_note_report(node, &beat->report) : REGISTRY_UNKNOWN;

    if (outcome == REGISTRY_READY)
        outcome = registry_heartbeat(&c->registry, node, control_now(), &up);
    if (outcome > REGISTRY_CHANGE) {
        answer_failure(request, outcome);
        return;
    }
    c->metrics.heartbeats++;
    hear_witness(c, node, beat);
    if (outcome == REGISTRY_CHANGE)
        operation_run_planned(c, &op_up, up);
    answer_heartbeat(request, c, node);
}

bool operations_mark_down(struct control *c, struct node *node)
{
    struct registry_change *down = NULL;

    if (registry_plan_down(&c->registry, node, control_now(), &down) != REGISTRY_CHANGE)
        return false;
    operation_run_planned(c, &op_down, down);
    return true;
}

void operations_release_due(struct control *c)
{
    struct registry_change *release = NULL;

    while (registry_plan_release(&c->registry, control_now(), &release) == REGISTRY_CHANGE)
        operation_run_planned(c, &op_release, release);
}
