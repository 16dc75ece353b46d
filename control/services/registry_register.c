/* The plans of the registry for who registers: who is it, and what does that change? The rules are
 * in registry.h. */
#include <stdio.h>
#include <string.h>

#include "control/services/registry_tables.h"
#include "lib/base/error.h"

/* A registration on its way through the rules. */
struct joining {
    struct registry *r;
    const struct api_register_request *request;
    const struct registry_visit *visit;
    struct moment now;
    struct node *holder; /* of the address; NULL: nobody */
    struct registry_change **ret_change;
    struct registry_grant *grant;
};

/* Who waits for a node to be down must not wait for longer than its silence takes. */
static enum registry_outcome conflict(const struct joining *j, struct node *node)
{
    char ip[IP4_TEXT_SIZE];

    node->contested_ms = j->now.boot_ms;
    (void)err_fail(EEXIST, "host_ip: %s is the address of %s (node %s), which is up",
                   ip4_format(node->facts.api.host_ip, ip), node->facts.api.hostname,
                   node->facts.api.node_id);
    return REGISTRY_CONFLICT;
}

/* ---- what a registration changes ----------------------------------------------------------- */

static void take_over(const struct joining *j, struct node_facts *facts)
{
    const struct api_register_request *request = j->request;

    (void)snprintf(facts->api.hostname, sizeof facts->api.hostname, "%s", request->hostname);
    facts->api.host_ip = request->host_ip;
    if (request->cpu_cores >= 0)
        facts->api.cpu_cores = request->cpu_cores;
    if (request->ram_mb >= 0)
        facts->api.ram_mb = request->ram_mb;
    facts->api.is_up = true;
    facts->api.last_heartbeat = j->now.unix_s;
    facts->api.is_beat_or_later = false;
    facts->has_left = false;
    facts->holds_address = true;
    if (j->visit->key_sha256[0])
        memcpy(facts->key_sha256, j->visit->key_sha256, sizeof facts->key_sha256);
}

/* The registering node's own proposal; it is nobody's yet, or its node would have been found. */
static void mint(const struct joining *j, struct node_facts *facts)
{
    const char *token = j->request->new_token ? j->request->new_token : j->visit->token;

    sha256_hex(token, strlen(token), facts->token_sha256);
    (void)snprintf(j->grant->token, sizeof j->grant->token, "%s", token);
}

/* A process that registers twice, because its message was doubled or the answer was lost, is still
 * the same: what it says in its heartbeats must not have become stale by that. */
static void begin_generation(const struct joining *j, struct node_facts *facts, bool is_minted)
{
    const char *instance_id = j->request->instance_id;
    bool is_same = instance_id && strcmp(instance_id, facts->instance_id) == 0;
    bool knows_generations = j->request->generation >= 0 || instance_id || is_minted;

    if (!is_same && knows_generations) {
        facts->generation++;
        (void)snprintf(facts->instance_id, sizeof facts->instance_id, "%s",
                       instance_id ? instance_id : "");
        (void)snprintf(facts->home_id, sizeof facts->home_id, "%s",
                       j->request->home_id ? j->request->home_id : "");
    }
    j->grant->generation = facts->generation;
}

/* What is heard is this process, not the one before it, which it is not to wait for again. */
static void hear(const struct joining *j, struct node *node)
{
    registry_hear(j->r, node, j->now);
    if (j->request->instance_id)
        (void)snprintf(node->heir_id, sizeof node->heir_id, "%s", j->request->instance_id);
}

/* Where nobody is told apart, names are not worth more than addresses. */
static enum registry_outcome check_name(const struct joining *j, const struct node *self)
{
    return j->visit->is_guarded
               ? registry_check_name(j->r, self, j->request->hostname, j->ret_change)
               : REGISTRY_READY;
}

/* A node that is known comes (back), maybe from another address, where loser was. */
static enum registry_outcome plan_rejoin(const struct joining *j, struct node *node,
                                         struct node *loser, bool gets_token)
{
    struct node_facts next = node->facts;
    enum registry_outcome outcome = check_name(j, node);

    if (outcome == REGISTRY_READY)
        outcome = registry_check_suitor(j->r, node, j->request, j->now, &j->grant->wait_ms);
    memcpy(j->grant->node_id, node->facts.api.node_id, sizeof j->grant->node_id);
    if (outcome != REGISTRY_READY)
        return outcome;
    j->grant->subnet = node->facts.api.subnet;
    take_over(j, &next);
    if (gets_token)
        mint(j, &next);
    begin_generation(j, &next, gets_token);
    if (node->facts.api.is_up) /* a sign of life, whatever becomes of the rest */
        hear(j, node);
    if (node_facts_equal(&next, &node->facts)) {
        j->r->edition += node_set_heartbeat(node, j->now.unix_s);
        return REGISTRY_READY;
    }
    return registry_plan_update(j->r, node, &next, loser, j->now, j->ret_change);
}

/* ---- a new node ---------------------------------------------------------------------------- */

static enum registry_outcome exhausted(const struct registry *r)
{
    (void)err_fail(
        ENOSPC,
        "no subnet left: %u in use, %u in quarantine, %u reserved; %zu are of nodes that "
        "are down ('quiltctl node rm' gives a subnet back, after some time of quarantine)",
        r->pool.counts[POOL_USED], r->pool.counts[POOL_QUARANTINED], r->pool.counts[POOL_RESERVED],
        r->count - r->up_count);
    return REGISTRY_EXHAUSTED;
}

static enum registry_outcome still_resting(const struct registry *r, const struct reservation *held)
{
    char subnet[IP4_PREFIX_TEXT_SIZE];

    (void)err_fail(EAGAIN,
                   "%s is reserved for %s, but rests in quarantine until every node has let go of "
                   "it; try again",
                   registry_subnet_text(r, held->subnet_index, subnet), held->facts.host);
    return REGISTRY_EXHAUSTED;
}

static struct node *make_node(const struct joining *j, uint32_t index)
{
    struct node_facts facts = {.api = {.cpu_cores = -1, .ram_mb = -1}};
    struct node *node;

    memcpy(j->grant->node_id, j->visit->node_id, sizeof j->grant->node_id);
    j->grant->subnet = pool_subnet(&j->r->pool, index);
    memcpy(facts.api.node_id, j->visit->node_id, sizeof facts.api.node_id);
    facts.api.subnet = j->grant->subnet;
    facts.api.registered_at = j->now.unix_s;
    take_over(j, &facts);
    mint(j, &facts);
    begin_generation(j, &facts, true);
    node = node_new(&facts);
    node->subnet_index = index;
    return node;
}

/* The subnet that is reserved for it, unless another node of that name has it; or that it wishes
 * for, if anybody could have it now, so that the nodes of a cluster whose database was lost find
 * themselves where they were; else the lowest. */
static bool take_subnet(const struct joining *j, const struct reservation *held,
                        uint32_t *ret_index)
{
    struct pool *pool = &j->r->pool;

    if (held && pool_take_reserved(pool, held->subnet_index)) {
        *ret_index = held->subnet_index;
        return true;
    }
    if (pool_index(pool, j->request->subnet, ret_index) && pool_take(pool, *ret_index))
        return true;
    return pool_take_lowest(pool, ret_index);
}

static enum registry_outcome plan_with_subnet(const struct joining *j, uint32_t index)
{
    char subnet[IP4_PREFIX_TEXT_SIZE], address[IP4_TEXT_SIZE];
    const char *node_id = j->visit->node_id;
    struct node *node = make_node(j, index);
    struct registry_change *change;

    change = registry_change_new(REGISTRY_ADD, node, j->now);
    change->address = j->request->host_ip;
    memcpy(change->token_sha256, node->facts.token_sha256, sizeof change->token_sha256);
    store_add_create(&change->set, LEASE_KIND, registry_subnet_text(j->r, index, subnet), node_id,
                     registry_lease_json(node_id, false));
    store_add_create(&change->set, NODE_KIND, node_id, ip4_format(j->request->host_ip, address),
                     node_facts_to_json(&node->facts));
    registry_begin(j->r, change);
    *j->ret_change = change;
    return REGISTRY_CHANGE;
}

/* Whatever is under way about what is reserved for it. */
static struct registry_change *find_busy_reservation(const struct joining *j,
                                                     const struct reservation *held)
{
    if (!held)
        return NULL;
    return held->change ? held->change : registry_find_change_of_subnet(j->r, held->subnet_index);
}

static enum registry_outcome plan_new(const struct joining *j)
{
    const struct reservation *held =
        registry_reservation_for(j->r, j->request->host_ip, j->request->hostname);
    struct registry_change *busy = find_busy_reservation(j, held);
    enum registry_outcome outcome = check_name(j, NULL);
    uint32_t index;

    if (outcome != REGISTRY_READY)
        return outcome;
    if (busy) {
        *j->ret_change = busy;
        return REGISTRY_WAIT;
    }
    if (held && j->r->pool.states[held->subnet_index] == POOL_QUARANTINED)
        return still_resting(j->r, held);
    return take_subnet(j, held, &index) ? plan_with_subnet(j, index) : exhausted(j->r);
}

/* ---- who is it? ---------------------------------------------------------------------------- */

static bool token_is_right(const struct node *node, const char *token)
{
    char digest[SHA256_HEX_SIZE];

    sha256_hex(token, strlen(token), digest);
    return secret_equal(digest, node->facts.token_sha256);
}

static enum registry_outcome unadmitted(void)
{
    (void)err_fail(EACCES, "a new node needs an access token ('quiltctl token create')");
    return REGISTRY_UNADMITTED;
}

static bool is_from_address(const struct joining *j)
{
    return j->visit->client == j->request->host_ip;
}

/* Peers send to the address that a node names, and take what comes from there. So it has to be one
 * that answers there, as whoever comes from it does. */
static bool has_address(const struct joining *j)
{
    return !j->visit->is_guarded || j->visit->is_address_vouched_for || is_from_address(j);
}

static enum registry_outcome misplaced(const struct joining *j)
{
    char named[IP4_TEXT_SIZE], seen[IP4_TEXT_SIZE];

    (void)err_fail(EACCES,
                   "host_ip: %s is not the address this comes from, %s; if the host really has it, "
                   "start the control plane with --node-networks and a network that it is in",
                   ip4_format(j->request->host_ip, named), ip4_format(j->visit->client, seen));
    return REGISTRY_MISPLACED;
}

/* Whoever is believed to be the node for its address alone. Guarded, the address has to be its own,
 * and somebody must have let it in. */
static bool may_take_address(const struct joining *j)
{
    const struct registry_visit *v = j->visit;

    j->grant->was_admitted = v->is_guarded;
    return !v->is_guarded || (v->is_admitted && is_from_address(j));
}

/* Of a node that is down, which still has its token and its key and may come back. */
static enum registry_outcome not_from_there(const struct node *holder)
{
    const struct api_node *api = &holder->facts.api;
    char ip[IP4_TEXT_SIZE];

    (void)err_fail(EEXIST,
                   "host_ip: %s is the address of %s (node %s), which is down, and this does not "
                   "come from there; if that node is gone for good: quiltctl node rm %s",
                   ip4_format(api->host_ip, ip), api->hostname, api->node_id, api->node_id);
    return REGISTRY_CONFLICT;
}

static enum registry_outcome plan_proven(const struct joining *j, struct node *node)
{
    struct node *loser = j->holder == node ? NULL : j->holder;

    if (loser && loser->facts.api.is_up)
        return conflict(j, loser);
    if (loser && j->visit->is_guarded && !is_from_address(j))
        return not_from_there(loser);
    if (j->request->host_ip != node->facts.api.host_ip && !has_address(j))
        return misplaced(j);
    return plan_rejoin(j, node, loser, false);
}

/* Whoever came to the address while the node was away got a new token; the node itself, which has
 * the old one, must not stay shut out when that guest is silent in turn. */
static enum registry_outcome plan_unproven(const struct joining *j, struct node *claimed)
{
    if (j->holder == claimed && !claimed->facts.api.is_up && may_take_address(j))
        return plan_rejoin(j, claimed, NULL, true);
    claimed->contested_ms = j->now.boot_ms;
    if (j->visit->is_guarded && !j->visit->is_admitted)
        return unadmitted();
    (void)err_fail(EPERM, "node_token: is not the token of node %s", j->request->node_id);
    return REGISTRY_CONFLICT;
}

static enum registry_outcome plan_stranger(const struct joining *j)
{
    if (j->visit->is_guarded && !j->visit->is_admitted)
        return unadmitted();
    if (!has_address(j))
        return misplaced(j);
    j->grant->was_admitted = j->visit->is_guarded;
    return plan_new(j);
}

static enum registry_outcome plan_down_address(const struct joining *j)
{
    if (j->visit->is_guarded && !j->visit->is_admitted)
        return unadmitted();
    if (may_take_address(j))
        return plan_rejoin(j, j->holder, NULL, true);
    return not_from_there(j->holder);
}

static enum registry_outcome plan_by_address(const struct joining *j)
{
    struct node *holder = j->holder;

    if (!holder)
        return plan_stranger(j);
    if (!holder->facts.api.is_up)
        return plan_down_address(j);
    if (j->visit->is_guarded || strcmp(holder->facts.api.hostname, j->request->hostname) != 0)
        return conflict(j, holder);
    return plan_rejoin(j, holder, NULL, false);
}

/* Before anything is changed: an agent that has reason to refuse this answer must not have got it.
 */
static bool is_foreign(const struct registry *r, const struct api_origin *known)
{
    struct api_origin own = {.revision = r->revision};

    memcpy(own.cluster_id, r->cluster_id, sizeof own.cluster_id);
    return api_origin_check(known, &own) < 0;
}

/* The node that it has proved to be, if what proved it has not been revoked since. */
static struct node *find_proven(const struct joining *j)
{
    const struct registry_visit *v = j->visit;
    struct node *node = v->proven_id[0] ? registry_find(j->r, v->proven_id) : NULL;

    if (!node || (!secret_equal(v->proof, node->facts.token_sha256) &&
                  !secret_equal(v->proof, node->facts.key_sha256)))
        return NULL;
    return node;
}

/* The token that it proposes is one that a node has got already: so that node's earlier answer was
 * lost. It is told now that the proposal was taken. */
static struct node *find_by_proposal(const struct joining *j,
                                     const char digest[static SHA256_HEX_SIZE])
{
    struct node *node = registry_find_token(j->r, digest);

    if (node)
        (void)snprintf(j->grant->token, sizeof j->grant->token, "%s", j->request->new_token);
    return node;
}

/* Whatever is under way about the one who asks, the address it asks from or the token it proposes.
 */
static struct registry_change *find_busy(const struct joining *j, const struct node *claimed,
                                         const char *digest)
{
    const struct node *same = registry_find_token(j->r, digest);
    struct registry_change *change = registry_find_claim(j->r, j->request->host_ip);

    if (claimed && claimed->change)
        return claimed->change;
    if (same && same->change)
        return same->change;
    if (j->holder && j->holder->change)
        return j->holder->change;
    return change ? change : registry_find_minting(j->r, digest);
}

static enum registry_outcome plan_for(const struct joining *j)
{
    const struct api_register_request *request = j->request;
    char digest[SHA256_HEX_SIZE] = ""; /* of no token */
    struct node *claimed = NULL, *proven;
    struct registry_change *busy;

    proven = find_proven(j);
    if (proven)
        claimed = proven;
    else if (request->node_id && request->node_token)
        claimed = registry_find(j->r, request->node_id);
    if (request->new_token)
        sha256_hex(request->new_token, strlen(request->new_token), digest);
    busy = find_busy(j, claimed, digest);
    if (busy) {
        *j->ret_change = busy;
        return REGISTRY_WAIT;
    }
    if (claimed && (proven || token_is_right(claimed, request->node_token)))
        return plan_proven(j, claimed);
    proven = find_by_proposal(j, digest);
    if (proven)
        return plan_proven(j, proven);
    return claimed ? plan_unproven(j, claimed) : plan_by_address(j);
}

enum registry_outcome registry_plan_register(struct registry *r,
                                             const struct api_register_request *request,
                                             const struct registry_visit *visit, struct moment now,
                                             struct registry_change **ret_change,
                                             struct registry_grant *ret_grant)
{
    const struct joining joining = {
        .r = r,
        .request = request,
        .visit = visit,
        .now = now,
        .holder = registry_find_holder(r, request->host_ip),
        .ret_change = ret_change,
        .grant = ret_grant,
    };

    if (is_foreign(r, &request->known))
        return REGISTRY_FOREIGN;
    *ret_grant = (struct registry_grant){0};
    return plan_for(&joining);
}
