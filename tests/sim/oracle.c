/* What must never be, checked after every step.
 *
 * The truth is what is durable: each change set that the disk has taken is read here. Against it
 * are held what the control plane answers, what it has in memory, and what the agents have in their
 * kernels; and the control plane's judgements are held against what it has really heard.
 */
#include <string.h>

#include "control/store/memory.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/list.h"
#include "tests/sim/sim.h"

#define TIMEOUT_US (30 * SIM_S)
#define QUARANTINE_US (60 * SIM_S)
#define DOWN_LIMIT_US (5 * SIM_S)
/* The clocks count in milliseconds. */
#define ROUNDING_US (2 * SIM_MS)
/* A stop that is shorter than what the control plane notices as its own lag (2 s) and the wait for
 * its tick (1 s) is counted as silence. */
#define STALL_UNNOTICED_US (3 * SIM_S)
#define STALL_MARGIN_US (1 * SIM_S)

struct truth {
    char id[UUID_TEXT_SIZE];
    struct node_facts facts;
    int64_t heard_us;  /* answered with 200 to a heartbeat or a registration */
    int64_t up_us;     /* since when it is up */
    int64_t asked_us;  /* its latest request came in */
    int64_t judged_us; /* it was found to be silent */
    UT_hash_handle hh;
};

struct lease {
    char owner[UUID_TEXT_SIZE]; /* "": nobody */
    int64_t freed_us;
    bool was_used;
};

/* A subnet on a host, as it was once stored. */
struct pair {
    uint32_t key[2]; /* network, host IP */
    UT_hash_handle hh;
};

struct stall {
    int64_t from_us, until_us;
    struct stall *next;
};

struct oracle {
    struct truth *nodes;
    struct pair *pairs;
    struct lease *leases;
    uint64_t seen_revision;
    int64_t started_us; /* the control plane's latest start */
    int64_t calm_us;    /* since then nothing has kept it from marking a silent node down */
    struct stall *stalls;
    uint64_t status_changes;
    bool is_silence_expected;
    struct sim_event *second;
};

static void on_second(void *data);

static struct truth *find(const char *id)
{
    struct truth *t;

    HASH_FIND_STR(sim.oracle->nodes, id, t);
    return t;
}

static struct lease *lease_of(struct ip4_prefix subnet)
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
    struct lease *lease = lease_of(facts->api.subnet);
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

static void note_node(const char *id, const char *body, bool is_new)
{
    struct truth *t = find(id);
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
    take_lease(&facts);
    oracle_note_pair(facts.api.subnet.addr, facts.api.host_ip);
    t->facts = facts;
}

static void note_deletion(const char *id)
{
    struct truth *t = find(id);
    struct lease *lease;

    if (!t) {
        sim_violate("%s is deleted but is not there", id);
        return;
    }
    lease = lease_of(t->facts.api.subnet);
    lease->owner[0] = '\0';
    lease->freed_us = sim.now_us;
    HASH_DEL(sim.oracle->nodes, t);
    free(t);
}

void oracle_stored(const struct store_change *change)
{
    for (size_t i = 0; change->outcome == STORE_DONE && i < change->op_count; i++) {
        const struct store_op *op = &change->ops[i];

        if (strcmp(op->kind, NODE_KIND) != 0)
            continue;
        if (op->verb == STORE_DELETE)
            note_deletion(op->id);
        else
            note_node(op->id, op->body, op->verb == STORE_CREATE);
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

static void check_identity_kept(const char *request, const char *node_id)
{
    AUTO_JSON json_t *wish = NULL;
    const char *asked = NULL, *token = NULL;

    if (json_parse(request, strlen(request), &wish) < 0 ||
        json_get_string(wish, "node_id", &asked) < 0 ||
        json_get_string(wish, "node_token", &token) < 0)
        return;
    if (find(asked) && strcmp(asked, node_id) != 0)
        sim_violate("%s registered with its token and became %s", asked, node_id);
}

static void check_registration(const char *request, const char *body)
{
    AUTO_JSON json_t *value = NULL;
    struct api_register_reply reply;
    struct truth *t;

    if (json_parse(body, strlen(body), &value) < 0 ||
        api_register_reply_from_json(value, &reply) < 0) {
        sim_violate("the answer to a registration cannot be read: %s", err_text());
        return;
    }
    t = find(reply.node_id);
    if (!t || !t->facts.api.is_up || !ip4_prefix_equal(t->facts.api.subnet, reply.subnet)) {
        sim_violate("the registration of %s was answered and is not stored", reply.node_id);
        return;
    }
    t->heard_us = t->asked_us; /* the answer may have waited for the disk */
    check_identity_kept(request, reply.node_id);
}

static void note_wish(const char *request)
{
    AUTO_JSON json_t *value = NULL;
    struct api_register_request wish;
    struct truth *t, *next;

    if (json_parse(request, strlen(request), &value) < 0 ||
        api_register_request_from_json(value, &wish) < 0)
        return;
    HASH_ITER (hh, sim.oracle->nodes, t, next) {
        if (t->facts.api.host_ip == wish.host_ip ||
            (wish.node_id && strcmp(wish.node_id, t->id) == 0))
            t->asked_us = sim.now_us;
    }
}

void oracle_handled(const char *method, const char *target, const char *request)
{
    char id[UUID_TEXT_SIZE];
    struct truth *t = find(id_of(target, id));

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
    struct truth *t = find(id_of(target, id));

    if (ends_in(target, "/register") && status == 200)
        check_registration(request, body);
    else if (ends_in(target, "/heartbeat") && status == 200 && t)
        t->heard_us = sim.now_us;
    else if (ends_in(target, "/deregister") && status == 200 && (!t || !t->facts.has_left))
        sim_violate("the leaving of %s was answered and is not stored", id);
    else if (strcmp(method, "DELETE") == 0 && status == 204 && t)
        sim_violate("the deletion of %s was answered and is not stored", id);
}

/* ---- what is judged ------------------------------------------------------------------------ */

void oracle_control_started(void)
{
    struct oracle *o = sim.oracle;
    struct stall *stall;

    LL_FOREACH(o->stalls, stall)
    {
        if (stall->until_us > sim.now_us)
            stall->until_us = sim.now_us;
    }
    o->started_us = o->calm_us = sim.now_us;
    o->seen_revision = 0;
}

void oracle_control_stalled(int64_t for_us)
{
    struct stall *stall = NEW(struct stall);

    stall->from_us = sim.now_us;
    stall->until_us = sim.now_us + for_us;
    LL_PREPEND(sim.oracle->stalls, stall);
}

/* For how long the control plane could not have heard anything since then, as far as it can know.
 */
static int64_t deafness_us(int64_t since_us)
{
    const struct stall *stall;
    int64_t sum_us = 0;

    LL_FOREACH(sim.oracle->stalls, stall)
    {
        int64_t from_us = stall->from_us > since_us ? stall->from_us : since_us;

        if (stall->until_us - from_us > STALL_UNNOTICED_US && stall->until_us <= sim.now_us)
            sum_us += stall->until_us - from_us - STALL_MARGIN_US;
    }
    return sum_us;
}

static int64_t heard_us(const struct truth *t)
{
    const struct oracle *o = sim.oracle;
    int64_t heard = t->heard_us > o->started_us ? t->heard_us : o->started_us;

    return heard > t->up_us ? heard : t->up_us;
}

static int64_t silence_us(const struct truth *t, bool counts_refused)
{
    int64_t since_us = heard_us(t);

    if (counts_refused && t->asked_us > since_us)
        since_us = t->asked_us;

    return sim.now_us - since_us - deafness_us(since_us);
}

/* How many of the watched have been silent for so long. A request that was refused, for want of
 * room say, was heard all the same; whether it counts as a sign of life is the registry's to say.
 */
static size_t count_silent(int64_t longer_us, bool counts_refused)
{
    const struct node *node;
    size_t count = 0;

    DL_FOREACH(sim.control.registry.first, node)
    {
        const struct truth *t = node->watch.is_watched ? find(node->facts.api.node_id) : NULL;

        count += t && silence_us(t, counts_refused) > longer_us;
    }
    return count;
}

void oracle_judged_down(const struct node *node)
{
    const char *name = node->facts.api.hostname;
    struct truth *t = find(node->facts.api.node_id);
    size_t silent = count_silent(TIMEOUT_US / 2 + 2 * SIM_S, true);

    if (!t || !t->facts.api.is_up)
        return;
    if (silence_us(t, false) < TIMEOUT_US - ROUNDING_US)
        sim_violate("%s is to be down after %.3f s of silence", name,
                    (double)silence_us(t, false) / 1e6);
    if (silent > 2 && silent * 3 > sim.control.registry.monitor.count)
        sim_violate("%s is to be down while %zu of %zu are silent together", name, silent,
                    sim.control.registry.monitor.count);
    t->judged_us = sim.now_us;
}

/* ---- what is in memory --------------------------------------------------------------------- */

static void check_memory(const struct node *node)
{
    const struct truth *t = find(node->facts.api.node_id);

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

static bool is_control_awake(void)
{
    const struct process *p = &sim_control_host()->process;

    return p->is_running && p->stalled_until_us <= sim.now_us;
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

/* ---- what is missed: once a second --------------------------------------------------------- */

/* A node that has been silent for its whole time is marked, unless something has kept the control
 * plane from it. */
static void check_marked(void)
{
    const struct oracle *o = sim.oracle;
    const struct node *node;

    DL_FOREACH(sim.control.registry.first, node)
    {
        const struct truth *t = find(node->facts.api.node_id);
        int64_t due_us = 0;

        if (t)
            due_us = (t->asked_us > heard_us(t) ? t->asked_us : heard_us(t)) + TIMEOUT_US;
        if (!t || !t->facts.api.is_up)
            continue;
        if (sim.now_us - (due_us > o->calm_us ? due_us : o->calm_us) > DOWN_LIMIT_US)
            sim_violate("%s has been silent for %.1f s and is not down", node->facts.api.hostname,
                        (double)(sim.now_us - heard_us(t)) / 1e6);
    }
}

static bool may_doubt(void)
{
    size_t silent = count_silent(TIMEOUT_US / 2 - 2 * SIM_S, false);

    return silent > 2 && silent * 3 >= sim.control.registry.monitor.count;
}

static bool is_recently_stalled(void)
{
    const struct stall *stall = sim.oracle->stalls;

    return stall && sim.now_us - stall->until_us < TIMEOUT_US;
}

static void on_second(void *data)
{
    struct oracle *o = sim.oracle;

    o->second = sim_in(SIM_S, SIM_LATER, NULL, on_second, NULL);
    if (is_control_awake() && may_doubt())
        o->calm_us = sim.now_us + TIMEOUT_US / 2; /* once it ends */
    else if (!is_control_awake() || disk_is_full() || is_recently_stalled())
        o->calm_us = o->calm_us > sim.now_us ? o->calm_us : sim.now_us;
    else
        check_marked();
}

/* ---- kernels ------------------------------------------------------------------------------- */

static void check_target(const struct host *host, const struct overlay_change *change)
{
    const struct cluster_options *cluster = &sim.control_config.cluster;
    struct ip4_prefix subnet = {.addr = change->addr, .len = cluster->node_prefix_len};
    char text[IP4_TEXT_SIZE];

    (void)ip4_format(change->addr, text);
    if (change->object == OVERLAY_ROUTE && change->prefix_len != subnet.len)
        sim_violate("%s: a route to %s/%u", host->name, text, change->prefix_len);
    if (!ip4_prefix_covers(cluster->cidr, subnet))
        sim_violate("%s: %s, outside of the cluster", host->name, text);
    if (ip4_prefix_equal(subnet, host->agent.state.identity.subnet))
        sim_violate("%s: a way to its own subnet %s", host->name, text);
}

/* One that a list lacks is doubted, and gives way to one that it has. */
static size_t count_claimants(const struct host *host, uint32_t network)
{
    const struct peer *peer, *next;
    size_t count = 0;

    HASH_ITER (hh, host->agent.peers.by_id, peer, next)
        count += peer->node.is_up && !peer->is_missing && peer->node.subnet.addr == network &&
                 peer->node.host_ip != host->ip;
    return count;
}

static void check_remote(const struct host *host, const struct overlay_change *change)
{
    uint32_t key[2] = {(uint32_t)overlay_mac_key(change->mac), change->remote};
    char subnet[IP4_TEXT_SIZE], remote[IP4_TEXT_SIZE];
    struct pair *pair;

    (void)ip4_format(key[0], subnet);
    (void)ip4_format(key[1], remote);
    if (change->remote == host->ip)
        sim_violate("%s: packets for %s go to itself", host->name, subnet);
    if (count_claimants(host, key[0]) > 1)
        sim_violate("%s: one of two nodes that claim %s gets its packets", host->name, subnet);
    HASH_FIND(hh, sim.oracle->pairs, key, sizeof key, pair);
    if (!pair)
        sim_violate("%s: packets for %s go to %s, which never had it", host->name, subnet, remote);
}

/* The node that really has this network, if it is up and has been for a while. */
static const struct truth *steady_owner(uint32_t network)
{
    const struct cluster_options *cluster = &sim.control_config.cluster;
    struct ip4_prefix subnet = {.addr = network, .len = cluster->node_prefix_len};
    const struct truth *t;

    if (!ip4_prefix_covers(cluster->cidr, subnet))
        return NULL;
    t = find(lease_of(subnet)->owner);
    return t && t->facts.api.is_up && sim.now_us - t->up_us > 120 * SIM_S ? t : NULL;
}

void oracle_kernel_write(struct host *host, const struct overlay_change *change)
{
    bool is_removal = change->verb == OVERLAY_REMOVE;

    if (sim.oracle->is_silence_expected)
        sim_violate("%s: %s %s in its kernel while nothing had happened", host->name,
                    overlay_verb_name(change->verb), overlay_object_name(change->object));
    if (!is_removal && (change->object == OVERLAY_ROUTE || change->object == OVERLAY_NEIGH))
        check_target(host, change);
    if (!is_removal && change->object == OVERLAY_FDB)
        check_remote(host, change);
    if (is_removal && change->object == OVERLAY_ROUTE && sim.now_us < host->lie_until_us &&
        steady_owner(change->addr))
        sim_violate("%s: a list that lied has removed the route to %s", host->name,
                    steady_owner(change->addr)->facts.api.hostname);
}

void oracle_expect_silence(bool is_silent)
{
    sim_trace("silence is %sexpected", is_silent ? "" : "not ");
    sim.oracle->is_silence_expected = is_silent;
}

/* ---- whether all agree --------------------------------------------------------------------- */

static int by_subnet(const void *a, const void *b)
{
    uint32_t x = (*(struct node *const *)a)->facts.api.subnet.addr;
    uint32_t y = (*(struct node *const *)b)->facts.api.subnet.addr;

    return (x > y) - (x < y);
}

static char *check_peers(const struct host *host, struct node *const *up, size_t count)
{
    struct overlay_have have = host->kernel->have;
    size_t k = 0;

    overlay_have_sort(&have);
    if (have.route_count != count - 1 || have.neigh_count != count - 1 ||
        have.fdb_count != count - 1)
        return mem_printf("%s has %zu routes, %zu neighbours and %zu forwarding entries for %zu "
                          "peers",
                          host->name, have.route_count, have.neigh_count, have.fdb_count,
                          count - 1);
    for (size_t i = 0; i < count; i++) {
        const struct api_node *node = &up[i]->facts.api;

        if (strcmp(node->node_id, host->agent.state.identity.node_id) == 0)
            continue;
        if (have.routes[k].dst.addr != node->subnet.addr ||
            have.neighs[k].addr != node->subnet.addr || have.fdbs[k].remote != node->host_ip)
            return mem_printf("%s does not reach %s", host->name, node->hostname);
        k++;
    }
    return NULL;
}

static char *check_host(const struct host *host, struct node *const *up, size_t count)
{
    const struct api_register_reply *me = &host->agent.state.identity;
    const struct node *node;

    if (host->is_gone)
        return NULL;
    if (!host->process.is_running)
        return mem_printf("%s is not there", host->name);
    if (host->process.stalled_until_us > sim.now_us)
        return mem_printf("%s is stopped", host->name);
    if (host->keeps_id[0] && find(host->keeps_id) && strcmp(host->keeps_id, me->node_id) != 0)
        return mem_printf("%s was %s and is %s now", host->name, host->keeps_id, me->node_id);
    node = registry_find(&sim.control.registry, me->node_id);
    if (!node || !node->facts.api.is_up)
        return mem_printf("%s is %s", host->name, node ? "down" : "unknown");
    if (node->facts.api.host_ip != host->ip ||
        !ip4_prefix_equal(node->facts.api.subnet, me->subnet))
        return mem_printf("%s is known in another way", host->name);
    return check_peers(host, up, count);
}

static size_t living_agents(void)
{
    size_t count = 0;

    for (size_t i = 1; i < sim.host_count; i++)
        count += !sim.hosts[i].is_gone;
    return count;
}

bool oracle_is_converged(char **ret_why)
{
    const struct registry *r = &sim.control.registry;
    AUTO_FREE struct node **up = mem_array(r->count + 1, sizeof *up);
    size_t count = 0;
    struct node *node;
    char *why = NULL;

    DL_FOREACH(r->first, node)
    {
        if (node->facts.api.is_up)
            up[count++] = node;
    }
    if (count != living_agents()) {
        *ret_why = mem_printf("%zu nodes are up, %zu agents live", count, living_agents());
        return false;
    }
    if (count > 1)
        qsort(up, count, sizeof(struct node *), by_subnet);
    for (size_t i = 1; i < sim.host_count && !why; i++)
        why = check_host(&sim.hosts[i], up, count);
    *ret_why = why;
    return !why;
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
    o->second = sim_in(SIM_S, SIM_LATER, NULL, on_second, NULL);
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
    free(o->leases);
    free(o);
}
