/* What must never be, checked after every step.
 *
 * The truth is what is durable: each change set that the disk has taken is read here. Against it
 * are held what the control plane answers, what it has in memory, and what the agents have in their
 * kernels; and the control plane's judgements are held against what it has really heard.
 */
#include <string.h>

#include "control/store/memory.h"
#include "lib/base/error.h"
#include "lib/base/list.h"
#include "tests/sim/oracle_tables.h"

#define QUARANTINE_US (60 * SIM_S)

struct truth *oracle_find(const char *id)
{
    struct truth *t;

    HASH_FIND_STR(sim.oracle->nodes, id, t);
    return t;
}

struct lease *oracle_lease_of(struct ip4_prefix subnet)
{
    const struct ip4_prefix cidr = sim.control_config.cluster.cidr;

    return &sim.oracle->leases[(subnet.addr - cidr.addr) >> (32 - subnet.len)];
}

/* ---- what is durable ----------------------------------------------------------------------- */

void oracle_note_pair(uint32_t network, uint32_t host_ip)
{
    struct pair *pair, key = {.key = {network, host_ip}};

    HASH_FIND(hh, sim.oracle->pairs, key.key, sizeof key.key, pair);
    if (pair)
        return;
    pair = NEW(struct pair);
    *pair = key;
    HASH_ADD(hh, sim.oracle->pairs, key, sizeof pair->key, pair);
}

static void take_lease(const struct node_facts *facts)
{
    struct lease *lease = oracle_lease_of(facts->api.subnet);
    char text[IP4_PREFIX_TEXT_SIZE];

    (void)ip4_prefix_format(facts->api.subnet, text);
    if (lease->owner[0] && strcmp(lease->owner, facts->api.node_id) != 0)
        sim_violate("subnet %s is given to %s but is %s's", text, facts->api.node_id, lease->owner);
    if (!lease->owner[0] && lease->was_used &&
        sim.now_us - lease->freed_us < QUARANTINE_US - ROUNDING_US)
        sim_violate("subnet %s is given out %.1f s after its node was deleted", text,
                    (double)(sim.now_us - lease->freed_us) / 1e6);
    memcpy(lease->owner, facts->api.node_id, sizeof lease->owner);
    lease->was_used = true;
}

static void note_status_change(struct truth *t, const struct node_facts *next)
{
    struct oracle *o = sim.oracle;

    sim_trace("%s (%s) is stored as %s", t->id, next->api.hostname,
              next->api.is_up  ? "up"
              : next->has_left ? "left"
                               : "down");
    o->status_changes++;
    if (o->is_silence_expected)
        sim_violate("%s (%s) became %s while nothing had happened to it", t->id, next->api.hostname,
                    next->api.is_up ? "up" : "down");
    if (next->api.is_up && t->asked_us < t->judged_us)
        sim_violate("%s (%s) is up again and has not been heard", t->id, next->api.hostname);
}

static void note_node(const char *id, const char *body, bool is_new, uint64_t revision)
{
    struct truth *t = oracle_find(id);
    struct node_facts facts;

    if (node_facts_from_json(body, &facts) < 0) {
        sim_violate("what is stored of %s cannot be read: %s", id, err_text());
        return;
    }
    if (is_new != !t) {
        sim_violate("%s is %s", id, t ? "created twice" : "changed but was never created");
        return;
    }
    if (is_new) {
        t = NEW(struct truth);
        memcpy(t->id, facts.api.node_id, sizeof t->id);
        HASH_ADD_STR(sim.oracle->nodes, id, t);
        t->heard_us = t->asked_us = t->up_us = sim.now_us;
        t->judged_us = -1;
    } else if (!ip4_prefix_equal(facts.api.subnet, t->facts.api.subnet)) {
        sim_violate("the subnet of %s has changed", id);
    } else if (facts.api.is_up != t->facts.api.is_up) {
        note_status_change(t, &facts);
        t->up_us = sim.now_us;
    }
    if (is_new)
        oracle_reservations_check(&facts.api);
    take_lease(&facts);
    oracle_identity_stored(&facts, revision);
    oracle_note_pair(facts.api.subnet.addr, facts.api.host_ip);
    t->facts = facts;
}

static void note_deletion(const char *id)
{
    struct truth *t = oracle_find(id);
    struct lease *lease;

    if (!t) {
        sim_violate("%s is deleted but is not there", id);
        return;
    }
    lease = oracle_lease_of(t->facts.api.subnet);
    lease->owner[0] = '\0';
    lease->freed_us = sim.now_us;
    HASH_DEL(sim.oracle->nodes, t);
    free(t);
    oracle_identity_deleted(id);
}

void oracle_stored(const struct store_change *change)
{
    for (size_t i = 0; change->outcome == STORE_DONE && i < change->op_count; i++) {
        const struct store_op *op = &change->ops[i];

        if (strcmp(op->kind, RESERVATION_KIND) == 0)
            oracle_reservation_stored(op);
        if (strcmp(op->kind, NODE_KIND) != 0)
            continue;
        if (op->verb == STORE_DELETE)
            note_deletion(op->id);
        else
            note_node(op->id, op->body, op->verb == STORE_CREATE, change->revision);
    }
}

/* ---- what is answered ---------------------------------------------------------------------- */

/* The id in /api/nodes/ID/verb, or "". */
static const char *id_of(const char *target, char ret_id[static UUID_TEXT_SIZE])
{
    const char *from = target + strlen("/api/nodes/");

    ret_id[0] = '\0';
    if (strlen(target) > strlen("/api/nodes/") + UUID_TEXT_SIZE - 2) {
        memcpy(ret_id, from, UUID_TEXT_SIZE - 1);
        ret_id[UUID_TEXT_SIZE - 1] = '\0';
    }
    return ret_id;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Who shows a node's id and token, or has proposed the token that a node has, is that node. */
static void check_identity_kept(const struct api_register_request *wish,
                                const struct api_register_reply *reply)
{
    const char *node_id = reply->node_id;
    const struct truth *asked =
        wish->node_id && wish->node_token ? oracle_find(wish->node_id) : NULL;
    const char *owner =
        wish->new_token ? oracle_token_owner(wish->new_token, reply->origin.revision) : "";

    if (asked && strcmp(asked->id, node_id) != 0 && strcmp(owner, node_id) != 0)
        sim_violate("%s registered with its token and became %s", asked->id, node_id);
    if (owner[0] && !asked && strcmp(owner, node_id) != 0)
        sim_violate("%s has the token that became %s", owner, node_id);
}

static void check_registration(const char *request, const char *body)
{
    AUTO_JSON json_t *value = NULL;
    AUTO_JSON json_t *asked = NULL;
    struct api_register_request wish;
    struct api_register_reply reply;
    struct truth *t;

    if (json_parse(body, strlen(body), &value) < 0 ||
        api_register_reply_from_json(value, &reply) < 0 ||
        json_parse(request, strlen(request), &asked) < 0 ||
        api_register_request_from_json(asked, &wish) < 0) {
        sim_violate("a registration and its answer cannot be read: %s", err_text());
        return;
    }
    t = oracle_find(reply.node_id);
    if (!t || !t->facts.api.is_up || !ip4_prefix_equal(t->facts.api.subnet, reply.subnet)) {
        sim_violate("the registration of %s was answered and is not stored", reply.node_id);
        return;
    }
    t->heard_us = t->asked_us; /* the answer may have waited for the disk */
    check_identity_kept(&wish, &reply);
    oracle_identity_answered(wish.instance_id, &reply);
}

static void note_wish(const char *request)
{
    AUTO_JSON json_t *value = NULL;
    struct api_register_request wish;
    struct truth *t, *next;
    const char *owner;

    if (json_parse(request, strlen(request), &value) < 0 ||
        api_register_request_from_json(value, &wish) < 0)
        return;
    owner = wish.new_token ? oracle_token_owner(wish.new_token, UINT64_MAX) : "";
    HASH_ITER (hh, sim.oracle->nodes, t, next) {
        if (t->facts.api.host_ip == wish.host_ip || strcmp(owner, t->id) == 0 ||
            (wish.node_id && strcmp(wish.node_id, t->id) == 0))
            t->asked_us = sim.now_us;
    }
}

void oracle_handled(const char *method, const char *target, const char *request)
{
    char id[UUID_TEXT_SIZE];
    struct truth *t = oracle_find(id_of(target, id));

    sim_trace("handles %s %s", method, target);
    if (ends_in(target, "/heartbeat") && t)
        t->asked_us = sim.now_us;
    if (ends_in(target, "/register"))
        note_wish(request);
}

void oracle_answered(const char *method, const char *target, const char *request,
                     unsigned int status, const char *body)
{
    char id[UUID_TEXT_SIZE];
    struct truth *t = oracle_find(id_of(target, id));

    if (ends_in(target, "/register") && status == 200)
        check_registration(request, body);
    else if (ends_in(target, "/heartbeat") && status == 200 && t)
        t->heard_us = sim.now_us;
    else if (ends_in(target, "/deregister") && status == 200 && (!t || !t->facts.has_left))
        sim_violate("the leaving of %s was answered and is not stored", id);
    else if (strcmp(method, "DELETE") == 0 && status == 204 && t)
        sim_violate("the deletion of %s was answered and is not stored", id);
}

/* ---- what is in memory --------------------------------------------------------------------- */

static void check_memory(const struct node *node)
{
    const struct truth *t = oracle_find(node->facts.api.node_id);

    if (node->change)
        return;
    if (!t)
        sim_violate("%s is shown and is not stored", node->facts.api.node_id);
    else if (t->facts.api.is_up != node->facts.api.is_up ||
             t->facts.has_left != node->facts.has_left ||
             t->facts.api.host_ip != node->facts.api.host_ip ||
             !ip4_prefix_equal(t->facts.api.subnet, node->facts.api.subnet))
        sim_violate("%s is shown in another way than it is stored", node->facts.api.node_id);
}

static void check_registry(void)
{
    const struct registry *r = &sim.control.registry;
    const struct node *node;

    sim.oracle->seen_revision = r->revision;
    DL_FOREACH(r->first, node)
    check_memory(node);
    if (!r->changes && r->count != HASH_COUNT(sim.oracle->nodes))
        sim_violate("%zu nodes are shown, %u are stored", r->count, HASH_COUNT(sim.oracle->nodes));
}

static void follow_exits(void)
{
    for (size_t i = 0; i < sim.host_count; i++) {
        struct process *p = &sim.hosts[i].process;

        if (!p->is_running || !p->wants_exit)
            continue;
        if (i > 0)
            agent_end(&sim.hosts[i], false);
        else
            control_end(p->exit_code != 0);
    }
}

void oracle_step(void)
{
    const struct process *p = &sim_control_host()->process;

    follow_exits();
    if (p->is_running && sim.control.registry.revision != sim.oracle->seen_revision)
        check_registry();
}

/* ---- for the nemesis ----------------------------------------------------------------------- */

const char *oracle_node_id(size_t index, bool *ret_is_up)
{
    struct truth *t, *next;

    HASH_ITER (hh, sim.oracle->nodes, t, next) {
        if (index-- > 0)
            continue;
        *ret_is_up = t->facts.api.is_up;
        return t->id;
    }
    return NULL;
}

size_t oracle_node_count(void)
{
    return HASH_COUNT(sim.oracle->nodes);
}

/* ---- life ---------------------------------------------------------------------------------- */

void oracle_init(void)
{
    const struct cluster_options *cluster = &sim.control_config.cluster;
    struct oracle *o = NEW(struct oracle);

    sim.oracle = o;
    o->leases = mem_zalloc(sizeof *o->leases << (cluster->node_prefix_len - cluster->cidr.len));
    oracle_watch_liveness();
}

void oracle_deinit(void)
{
    struct oracle *o = sim.oracle;
    struct truth *t, *next;
    struct pair *pair, *next_pair;
    struct stall *stall, *next_stall;

    HASH_ITER (hh, o->nodes, t, next) {
        HASH_DEL(o->nodes, t);
        free(t);
    }
    HASH_ITER (hh, o->pairs, pair, next_pair) {
        HASH_DEL(o->pairs, pair);
        free(pair);
    }
    LL_FOREACH_SAFE(o->stalls, stall, next_stall)
    free(stall);
    oracle_identity_deinit();
    oracle_twin_deinit();
    oracle_reservations_deinit();
    free(o->leases);
    free(o);
}
