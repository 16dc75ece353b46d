/* The plans of the registry: what a request would change, and who is asking. */
#include <stdio.h>
#include <string.h>

#include "control/services/registry_tables.h"
#include "lib/base/error.h"
#include "lib/base/list.h"

/* So many times as long as it must last, a quarantine may last. */
#define QUARANTINE_MAX_FACTOR 60

static struct registry_change *change_new(enum registry_change_type type, struct node *node,
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

static const char *subnet_text(const struct registry *r, uint32_t index,
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

static enum registry_outcome plan_update(struct registry *r, struct node *node,
                                         const struct node_facts *next, struct node *loser,
                                         struct moment now, struct registry_change **ret_change)
{
    struct registry_change *change = change_new(REGISTRY_UPDATE, node, now);

    change->next = *next;
    if (next->api.host_ip != node->facts.api.host_ip || !node->facts.holds_address)
        change->address = next->api.host_ip;
    write_loss(change, loser);
    write_node(change, node, next);
    registry_begin(r, change);
    *ret_change = change;
    return REGISTRY_CHANGE;
}

/* ---- registering --------------------------------------------------------------------------- */

static enum registry_outcome conflict(const struct node *node)
{
    char ip[IP4_TEXT_SIZE];

    (void)err_fail(EEXIST, "host_ip: %s is the address of %s (node %s), which is up",
                   ip4_format(node->facts.api.host_ip, ip), node->facts.api.hostname,
                   node->facts.api.node_id);
    return REGISTRY_CONFLICT;
}

static bool token_is_right(const struct node *node, const char *token)
{
    char digest[SHA256_HEX_SIZE];

    sha256_hex(token, strlen(token), digest);
    return secret_equal(digest, node->facts.token_sha256);
}

static void take_over(struct node_facts *facts, const struct api_register_request *request,
                      struct moment now)
{
    (void)snprintf(facts->api.hostname, sizeof facts->api.hostname, "%s", request->hostname);
    facts->api.host_ip = request->host_ip;
    if (request->cpu_cores >= 0)
        facts->api.cpu_cores = request->cpu_cores;
    if (request->ram_mb >= 0)
        facts->api.ram_mb = request->ram_mb;
    facts->api.is_up = true;
    facts->api.last_heartbeat = now.unix_s;
    facts->has_left = false;
    facts->holds_address = true;
}

static void mint(struct node_facts *facts, const struct registry_fresh *fresh,
                 struct registry_grant *grant)
{
    sha256_hex(fresh->token, strlen(fresh->token), facts->token_sha256);
    memcpy(grant->token, fresh->token, sizeof grant->token);
}

/* A node that is known comes (back), maybe from another address. fresh is NULL when it keeps its
 * token. */
static enum registry_outcome plan_rejoin(struct registry *r, struct node *node, struct node *loser,
                                         const struct api_register_request *request,
                                         const struct registry_fresh *fresh, struct moment now,
                                         struct registry_change **ret_change,
                                         struct registry_grant *grant)
{
    struct node_facts next = node->facts;

    memcpy(grant->node_id, node->facts.api.node_id, sizeof grant->node_id);
    grant->subnet = node->facts.api.subnet;
    take_over(&next, request, now);
    if (fresh)
        mint(&next, fresh, grant);
    next.generation += request->generation >= 0 || fresh;
    grant->generation = next.generation;
    if (node->facts.api.is_up) /* a sign of life, whatever becomes of the rest */
        monitor_beat(&r->monitor, &node->watch, now.boot_ms);
    if (node_facts_equal(&next, &node->facts)) {
        r->edition += node_set_heartbeat(node, now.unix_s);
        return REGISTRY_READY;
    }
    return plan_update(r, node, &next, loser, now, ret_change);
}

static enum registry_outcome exhausted(const struct registry *r)
{
    (void)err_fail(ENOSPC, "no subnet left: %u in use, %u in quarantine", r->pool.counts[POOL_USED],
                   r->pool.counts[POOL_QUARANTINED]);
    return REGISTRY_EXHAUSTED;
}

static struct node *make_node(struct registry *r, uint32_t index,
                              const struct api_register_request *request,
                              const struct registry_fresh *fresh, struct moment now,
                              struct registry_grant *grant)
{
    struct node_facts facts = {.api = {.cpu_cores = -1, .ram_mb = -1}};
    struct node *node;

    memcpy(grant->node_id, fresh->node_id, sizeof grant->node_id);
    grant->subnet = pool_subnet(&r->pool, index);
    memcpy(facts.api.node_id, fresh->node_id, sizeof facts.api.node_id);
    facts.api.subnet = grant->subnet;
    facts.api.registered_at = now.unix_s;
    facts.generation = grant->generation = 1;
    take_over(&facts, request, now);
    mint(&facts, fresh, grant);
    node = node_new(&facts);
    node->subnet_index = index;
    return node;
}

/* The subnet that it wishes for, if anybody could have it now; else the lowest. So the nodes of a
 * cluster whose database was lost find themselves where they were. */
static bool take_subnet(struct registry *r, struct ip4_prefix wish, uint32_t *ret_index)
{
    if (pool_index(&r->pool, wish, ret_index) && pool_take(&r->pool, *ret_index))
        return true;
    return pool_take_lowest(&r->pool, ret_index);
}

static enum registry_outcome plan_new(struct registry *r,
                                      const struct api_register_request *request,
                                      const struct registry_fresh *fresh, struct moment now,
                                      struct registry_change **ret_change,
                                      struct registry_grant *grant)
{
    char subnet[IP4_PREFIX_TEXT_SIZE], address[IP4_TEXT_SIZE];
    struct registry_change *change;
    struct node *node;
    uint32_t index;

    if (!take_subnet(r, request->subnet, &index))
        return exhausted(r);
    node = make_node(r, index, request, fresh, now, grant);
    change = change_new(REGISTRY_ADD, node, now);
    change->address = request->host_ip;
    store_add_create(&change->set, LEASE_KIND, subnet_text(r, index, subnet), fresh->node_id,
                     registry_lease_json(fresh->node_id, false));
    store_add_create(&change->set, NODE_KIND, fresh->node_id, ip4_format(request->host_ip, address),
                     node_facts_to_json(&node->facts));
    registry_begin(r, change);
    *ret_change = change;
    return REGISTRY_CHANGE;
}

/* Whatever is under way about the one who asks or the address it asks from. */
static struct registry_change *find_busy(const struct registry *r, const struct node *claimed,
                                         const struct node *holder, uint32_t address)
{
    if (claimed && claimed->change)
        return claimed->change;
    if (holder && holder->change)
        return holder->change;
    return registry_find_claim(r, address);
}

static enum registry_outcome plan_with_token(struct registry *r, struct node *node,
                                             struct node *holder,
                                             const struct api_register_request *request,
                                             const struct registry_fresh *fresh, struct moment now,
                                             struct registry_change **ret_change,
                                             struct registry_grant *grant)
{
    struct node *loser = holder == node ? NULL : holder;

    /* Whoever came to the address while the node was away got a new token; the node itself, which
     * has the old one, must not stay shut out when that guest is silent in turn. */
    if (!token_is_right(node, request->node_token) && !loser && holder && !node->facts.api.is_up)
        return plan_rejoin(r, node, NULL, request, fresh, now, ret_change, grant);
    if (!token_is_right(node, request->node_token)) {
        (void)err_fail(EPERM, "node_token: is not the token of node %s", request->node_id);
        return REGISTRY_CONFLICT;
    }
    if (loser && loser->facts.api.is_up)
        return conflict(loser);
    return plan_rejoin(r, node, loser, request, NULL, now, ret_change, grant);
}

static enum registry_outcome plan_by_address(struct registry *r, struct node *holder,
                                             const struct api_register_request *request,
                                             const struct registry_fresh *fresh, struct moment now,
                                             struct registry_change **ret_change,
                                             struct registry_grant *grant)
{
    bool is_up;

    if (!holder)
        return plan_new(r, request, fresh, now, ret_change, grant);
    is_up = holder->facts.api.is_up;
    if (is_up && strcmp(holder->facts.api.hostname, request->hostname) != 0)
        return conflict(holder);
    return plan_rejoin(r, holder, NULL, request, is_up ? NULL : fresh, now, ret_change, grant);
}

/* Before anything is changed: an agent that has reason to refuse this answer must not have got it.
 */
static bool is_foreign(const struct registry *r, const struct api_origin *known)
{
    struct api_origin own = {.revision = r->revision};

    memcpy(own.cluster_id, r->cluster_id, sizeof own.cluster_id);
    return api_origin_check(known, &own) < 0;
}

enum registry_outcome registry_plan_register(struct registry *r,
                                             const struct api_register_request *request,
                                             const struct registry_fresh *fresh, struct moment now,
                                             struct registry_change **ret_change,
                                             struct registry_grant *ret_grant)
{
    struct node *holder = registry_find_holder(r, request->host_ip);
    struct node *claimed = NULL;
    struct registry_change *busy;

    if (is_foreign(r, &request->known))
        return REGISTRY_FOREIGN;
    if (request->node_id && request->node_token)
        claimed = registry_find(r, request->node_id);
    busy = find_busy(r, claimed, holder, request->host_ip);
    if (busy) {
        *ret_change = busy;
        return REGISTRY_WAIT;
    }
    *ret_grant = (struct registry_grant){0};
    if (claimed)
        return plan_with_token(r, claimed, holder, request, fresh, now, ret_change, ret_grant);
    return plan_by_address(r, holder, request, fresh, now, ret_change, ret_grant);
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
    return plan_update(r, node, &next, NULL, now, ret_change);
}

enum registry_outcome registry_plan_deregister(struct registry *r, const char *node_id,
                                               struct moment now,
                                               struct registry_change **ret_change)
{
    struct node *node = registry_find(r, node_id);

    return node ? plan_status(r, node, false, true, now, ret_change) : REGISTRY_UNKNOWN;
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

enum registry_outcome registry_note_report(struct registry *r, const char *node_id,
                                           const struct api_heartbeat *report)
{
    struct node *node = registry_find(r, node_id);

    if (!node)
        return REGISTRY_UNKNOWN;
    if (report->generation >= 0 && report->generation < node->facts.generation)
        return REGISTRY_STALE;
    node->report = *report;
    return REGISTRY_READY;
}

enum registry_outcome registry_heartbeat(struct registry *r, const char *node_id, struct moment now,
                                         struct registry_change **ret_change)
{
    struct node *node = registry_find(r, node_id);

    if (!node)
        return REGISTRY_UNKNOWN;
    if (must_register(node))
        return REGISTRY_LEFT;
    r->edition += node_set_heartbeat(node, now.unix_s);
    if (node->facts.api.is_up)
        monitor_beat(&r->monitor, &node->watch, now.boot_ms);
    if (node->facts.api.is_up || node->change)
        return REGISTRY_READY;
    return plan_status(r, node, true, false, now, ret_change);
}

enum registry_outcome registry_plan_up_again(struct registry *r, struct node *node,
                                             const struct registry_change *down, struct moment now,
                                             struct registry_change **ret_change)
{
    if (node->facts.api.is_up || must_register(node) || node->change ||
        node->watch.last_beat_ms < down->planned_at.boot_ms)
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
    change = change_new(REGISTRY_DELETE, node, now);
    store_add_delete(&change->set, NODE_KIND, node_id, node->revision);
    store_add_update(&change->set, LEASE_KIND, subnet_text(r, node->subnet_index, text),
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
    change = change_new(REGISTRY_RELEASE, NULL, now);
    change->subnet_index = index;
    store_add_delete(&change->set, LEASE_KIND, subnet_text(r, index, text),
                     r->pool.revisions[index]);
    registry_begin(r, change);
    *ret_change = change;
    return REGISTRY_CHANGE;
}
