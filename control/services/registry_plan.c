/* The plans of the registry for leaving, deleting, being down and up; for registering see
 * registry_register.c. */
#include <string.h>

#include "control/services/registry_tables.h"
#include "lib/base/list.h"

/* So many times as long as it must last, a quarantine may last. */
#define QUARANTINE_MAX_FACTOR 60

struct registry_change *registry_change_new(enum registry_change_type type, struct node *node,
                                            struct moment now)
{
    struct registry_change *change = NEW(struct registry_change);

    change->type = type;
    change->node = node;
    change->planned_at = now;
    change->set.at_unix_s = now.unix_s;
    if (node)
        change->subnet_index = node->subnet_index;
    return change;
}

const char *registry_subnet_text(const struct registry *r, uint32_t index,
                                 char ret_text[static IP4_PREFIX_TEXT_SIZE])
{
    return ip4_prefix_format(pool_subnet(&r->pool, index), ret_text);
}

static void write_node(struct registry_change *change, const struct node *node,
                       const struct node_facts *next)
{
    char address[IP4_TEXT_SIZE];

    store_add_update(&change->set, NODE_KIND, node->facts.api.node_id, node->revision,
                     next->holds_address ? ip4_format(next->api.host_ip, address) : NULL,
                     node_facts_to_json(next));
}

/* First the address is given up, then it is taken: never two at once, not even inside a commit. */
static void write_loss(struct registry_change *change, struct node *loser)
{
    struct node_facts next;

    if (!loser)
        return;
    change->loser = loser;
    next = loser->facts;
    next.holds_address = false;
    write_node(change, loser, &next);
}

enum registry_outcome registry_plan_update(struct registry *r, struct node *node,
                                           const struct node_facts *next, struct node *loser,
                                           struct moment now, struct registry_change **ret_change)
{
    struct registry_change *change = registry_change_new(REGISTRY_UPDATE, node, now);

    change->next = *next;
    if (next->api.host_ip != node->facts.api.host_ip || !node->facts.holds_address)
        change->address = next->api.host_ip;
    if (strcmp(next->token_sha256, node->facts.token_sha256) != 0)
        memcpy(change->token_sha256, next->token_sha256, sizeof change->token_sha256);
    write_loss(change, loser);
    write_node(change, node, next);
    registry_begin(r, change);
    *ret_change = change;
    return REGISTRY_CHANGE;
}

/* ---- leaving, down and up ------------------------------------------------------------------ */

static enum registry_outcome plan_status(struct registry *r, struct node *node, bool is_up,
                                         bool has_left, struct moment now,
                                         struct registry_change **ret_change)
{
    struct node_facts next = node->facts;

    if (node->change) {
        *ret_change = node->change;
        return REGISTRY_WAIT;
    }
    if (next.api.is_up == is_up && next.has_left == has_left)
        return REGISTRY_READY;
    next.api.is_up = is_up;
    next.has_left = has_left;
    return registry_plan_update(r, node, &next, NULL, now, ret_change);
}

enum registry_outcome registry_plan_deregister(struct registry *r, const char *node_id,
                                               struct moment now,
                                               struct registry_change **ret_change)
{
    struct node *node = registry_find(r, node_id);

    return node ? plan_status(r, node, false, true, now, ret_change) : REGISTRY_UNKNOWN;
}

/* A digest that is no other node's and of which nobody knows what it would be of: zeros, and the
 * digits of the node's id. */
static void forget_token(struct node_facts *facts)
{
    char *out = facts->token_sha256 + (SHA256_HEX_SIZE - 1) / 2;

    memset(facts->token_sha256, '0', SHA256_HEX_SIZE - 1);
    for (const char *p = facts->api.node_id; *p; p++)
        if (*p != '-')
            *out++ = *p;
}

enum registry_outcome registry_plan_revoke(struct registry *r, const char *node_id,
                                           struct moment now, struct registry_change **ret_change)
{
    struct node *node = registry_find(r, node_id);
    struct node_facts next;

    if (!node)
        return REGISTRY_UNKNOWN;
    if (node->change) {
        *ret_change = node->change;
        return REGISTRY_WAIT;
    }
    next = node->facts;
    forget_token(&next);
    next.key_sha256[0] = '\0';
    next.api.is_up = false;
    next.has_left = true;
    return registry_plan_update(r, node, &next, NULL, now, ret_change);
}

enum registry_outcome registry_plan_down(struct registry *r, struct node *node, struct moment now,
                                         struct registry_change **ret_change)
{
    return plan_status(r, node, false, node->facts.has_left, now, ret_change);
}

static bool must_register(const struct node *node)
{
    return node->facts.has_left || !node->facts.holds_address;
}

enum registry_outcome registry_note_report(struct node *node, const struct api_heartbeat *report)
{
    if (report->generation >= 0 && report->generation < node->facts.generation)
        return REGISTRY_STALE;
    node->report = *report;
    return REGISTRY_READY;
}

enum registry_outcome registry_heartbeat(struct registry *r, struct node *node, struct moment now,
                                         struct registry_change **ret_change)
{
    if (must_register(node))
        return REGISTRY_LEFT;
    r->edition += node_set_heartbeat(node, now.unix_s);
    if (node->facts.api.is_up)
        registry_hear(r, node, now);
    if (node->facts.api.is_up || node->change)
        return REGISTRY_READY;
    return plan_status(r, node, true, false, now, ret_change);
}

enum registry_outcome registry_plan_up_again(struct registry *r, struct node *node,
                                             const struct registry_change *down, struct moment now,
                                             struct registry_change **ret_change)
{
    if (node->facts.api.is_up || must_register(node) || node->change ||
        node->heard_ms < down->planned_at.boot_ms)
        return REGISTRY_READY;
    return plan_status(r, node, true, false, now, ret_change);
}

enum registry_outcome registry_plan_delete(struct registry *r, const char *node_id,
                                           struct moment now, struct registry_change **ret_change)
{
    struct node *node = registry_find(r, node_id);
    char text[IP4_PREFIX_TEXT_SIZE];
    struct registry_change *change;

    if (!node)
        return REGISTRY_UNKNOWN;
    if (node->change) {
        *ret_change = node->change;
        return REGISTRY_WAIT;
    }
    change = registry_change_new(REGISTRY_DELETE, node, now);
    store_add_delete(&change->set, NODE_KIND, node_id, node->revision);
    store_add_update(&change->set, LEASE_KIND, registry_subnet_text(r, node->subnet_index, text),
                     r->pool.revisions[node->subnet_index], NULL,
                     registry_lease_json(node_id, true));
    registry_begin(r, change);
    *ret_change = change;
    return REGISTRY_CHANGE;
}

/* Subnets wait in the order of their deletions: what holds up the first would hold up the rest. */
static bool has_quarantine_ended(const struct registry *r, struct moment now)
{
    const struct node *node;
    int64_t until_ms;
    uint32_t index;

    if (!pool_peek_due(&r->pool, now.boot_ms, &index, &until_ms))
        return false;
    if (now.boot_ms - until_ms >= (QUARANTINE_MAX_FACTOR - 1) * r->quarantine_ms)
        return true;
    DL_FOREACH(r->first, node)
    {
        int64_t applied = node->report.revision_applied;

        if (node->facts.api.is_up && applied >= 0 && (uint64_t)applied < r->pool.revisions[index])
            return false;
    }
    return true;
}

enum registry_outcome registry_plan_release(struct registry *r, struct moment now,
                                            struct registry_change **ret_change)
{
    char text[IP4_PREFIX_TEXT_SIZE];
    struct registry_change *change;
    uint32_t index;

    if (!has_quarantine_ended(r, now) || !pool_take_due(&r->pool, now.boot_ms, &index))
        return REGISTRY_READY;
    change = registry_change_new(REGISTRY_RELEASE, NULL, now);
    change->subnet_index = index;
    store_add_delete(&change->set, LEASE_KIND, registry_subnet_text(r, index, text),
                     r->pool.revisions[index]);
    registry_begin(r, change);
    *ret_change = change;
    return REGISTRY_CHANGE;
}
