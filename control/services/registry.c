/* The tables of the registry: loading them, and what a committed or aborted change does to them. */
#include "control/services/registry.h"

#include <assert.h>
#include <string.h>

#include "control/services/registry_tables.h"
#include "lib/base/error.h"
#include "lib/base/list.h"

/* A release that could not be stored is tried again after this. */
#define RELEASE_RETRY_MS 1000
#define LEASE_BYTES 96 /* that a lease gets by with, as JSON */

void registry_init(struct registry *r, const struct cluster *cluster, int64_t node_timeout_ms)
{
    *r = (struct registry){.quarantine_ms = 2 * node_timeout_ms};
    memcpy(r->cluster_id, cluster->cluster_id, sizeof r->cluster_id);
    pool_init(&r->pool, cluster->cidr, cluster->node_prefix_len);
    monitor_init(&r->monitor, node_timeout_ms);
}

void registry_deinit(struct registry *r)
{
    struct registry_change *change, *next_change;
    struct reservation *reservation, *next_reservation;
    struct node *node, *next;

    HASH_CLEAR(by_token, r->minting);
    HASH_CLEAR(by_address, r->claims);
    DL_FOREACH_SAFE2(r->changes, change, next_change, next_change)
    {
        if (change->type == REGISTRY_ADD)
            node_free(change->node);
        store_change_deinit(&change->set);
        free(change);
    }
    HASH_CLEAR(by_host, r->by_host);
    DL_FOREACH_SAFE(r->reservations, reservation, next_reservation)
    free(reservation);
    HASH_CLEAR(by_token, r->by_token);
    HASH_CLEAR(by_address, r->by_address);
    HASH_CLEAR(by_id, r->by_id);
    DL_FOREACH_SAFE(r->first, node, next)
    node_free(node);
    pool_deinit(&r->pool);
    *r = (struct registry){0};
}

struct node *registry_find(const struct registry *r, const char *node_id)
{
    struct node *node;

    HASH_FIND(by_id, r->by_id, node_id, strlen(node_id), node);
    return node;
}

struct node *registry_find_holder(const struct registry *r, uint32_t address)
{
    struct node *node;

    HASH_FIND(by_address, r->by_address, &address, sizeof address, node);
    return node;
}

struct registry_change *registry_find_claim(const struct registry *r, uint32_t address)
{
    struct registry_change *change;

    HASH_FIND(by_address, r->claims, &address, sizeof address, change);
    return change;
}

struct node *registry_find_token(const struct registry *r, const char *token_sha256)
{
    struct node *node;

    HASH_FIND(by_token, r->by_token, token_sha256, strlen(token_sha256), node);
    return node;
}

struct registry_change *registry_find_minting(const struct registry *r, const char *token_sha256)
{
    struct registry_change *change;

    HASH_FIND(by_token, r->minting, token_sha256, strlen(token_sha256), change);
    return change;
}

struct registry_change *registry_find_change_of_subnet(const struct registry *r, uint32_t index)
{
    struct registry_change *change;

    DL_FOREACH2(r->changes, change, next_change)
    {
        if (change->subnet_index == index)
            return change;
    }
    return NULL;
}

char *registry_lease_json(const char *node_id, bool is_quarantined)
{
    struct strbuf out = {0};

    strbuf_reserve(&out, LEASE_BYTES);
    strbuf_adds(&out, "{\"node_id\":\"");
    strbuf_adds(&out, node_id);
    strbuf_adds(&out,
                is_quarantined ? "\",\"state\":\"quarantined\"}" : "\",\"state\":\"assigned\"}");
    return strbuf_take(&out);
}

void registry_add_nodes(const struct registry *r, struct strbuf *out)
{
    const struct node *node;

    strbuf_adds(out, "\"nodes\":[");
    DL_FOREACH(r->first, node)
    {
        if (node != r->first)
            strbuf_adds(out, ",");
        node_to_list_json(node, out);
    }
    strbuf_adds(out, "],");
}

void registry_add_origin(const struct registry *r, struct strbuf *out)
{
    strbuf_addf(out, "\"cluster_id\":\"%s\",\"revision\":%llu", r->cluster_id,
                (unsigned long long)r->revision);
}

void registry_list_to_json(const struct registry *r, struct strbuf *out)
{
    strbuf_adds(out, "{");
    registry_add_nodes(r, out);
    registry_add_origin(r, out);
    strbuf_adds(out, "}");
}

/* ---- tables -------------------------------------------------------------------------------- */

static void hold_address(struct registry *r, struct node *node)
{
    if (node->facts.holds_address)
        HASH_ADD(by_address, r->by_address, facts.api.host_ip, sizeof(uint32_t), node);
}

static void drop_address(struct registry *r, struct node *node)
{
    if (node->facts.holds_address)
        HASH_DELETE(by_address, r->by_address, node);
}

static void link_node(struct registry *r, struct node *node)
{
    HASH_ADD(by_id, r->by_id, facts.api.node_id, UUID_TEXT_SIZE - 1, node);
    HASH_ADD(by_token, r->by_token, facts.token_sha256, SHA256_HEX_SIZE - 1, node);
    hold_address(r, node);
    DL_APPEND(r->first, node);
    r->count++;
    r->up_count += node->facts.api.is_up;
}

void registry_set_unknown(struct registry *r, struct node *node, bool is_unknown)
{
    if (node->is_unknown == is_unknown)
        return;
    node->is_unknown = is_unknown;
    if (is_unknown)
        r->unknown_count++;
    else
        r->unknown_count--;
    r->edition++;
}

void registry_hear(struct registry *r, struct node *node, struct moment now)
{
    monitor_beat(&r->monitor, &node->watch, now.boot_ms);
    node->heard_ms = now.boot_ms;
    node->suitor.is_twin = node->suitor.instance_id[0];
    node->heir_id[0] = '\0';
    registry_set_unknown(r, node, false);
}

void registry_mark_unknown(struct registry *r, struct moment now)
{
    struct monitor_entry *entry;

    DL_FOREACH(r->monitor.watched, entry)
    {
        if (!monitor_is_silent(&r->monitor, entry, now.boot_ms))
            return;
        registry_set_unknown(r, CONTAINER_OF(entry, struct node, watch), true);
    }
}

static void unlink_node(struct registry *r, struct node *node)
{
    registry_set_unknown(r, node, false);
    monitor_forget(&r->monitor, &node->watch);
    drop_address(r, node);
    HASH_DELETE(by_token, r->by_token, node);
    HASH_DELETE(by_id, r->by_id, node);
    DL_DELETE(r->first, node);
    r->count--;
    r->up_count -= node->facts.api.is_up;
}

static void change_facts(struct registry *r, struct node *node, const struct node_facts *facts)
{
    drop_address(r, node);
    HASH_DELETE(by_token, r->by_token, node);
    r->up_count -= node->facts.api.is_up;
    node_set_facts(node, facts);
    r->up_count += node->facts.api.is_up;
    HASH_ADD(by_token, r->by_token, facts.token_sha256, SHA256_HEX_SIZE - 1, node);
    hold_address(r, node);
}

/* ---- changes ------------------------------------------------------------------------------- */

void registry_begin(struct registry *r, struct registry_change *change)
{
    DL_APPEND2(r->changes, change, prev, next_change);
    if (change->address)
        HASH_ADD(by_address, r->claims, address, sizeof change->address, change);
    if (change->token_sha256[0])
        HASH_ADD(by_token, r->minting, token_sha256, SHA256_HEX_SIZE - 1, change);
    if (change->node)
        change->node->change = change;
    if (change->loser)
        change->loser->change = change;
    if (change->reservation)
        change->reservation->change = change;
}

/* What it was about is free for others. */
static void end(struct registry *r, struct registry_change *change)
{
    if (change->reservation)
        change->reservation->change = NULL;
    if (change->loser)
        change->loser->change = NULL;
    if (change->node)
        change->node->change = NULL;
    if (change->address)
        HASH_DELETE(by_address, r->claims, change);
    if (change->token_sha256[0])
        HASH_DELETE(by_token, r->minting, change);
    DL_DELETE2(r->changes, change, prev, next_change);
}

static void take_address_from_loser(struct registry *r, struct registry_change *change)
{
    struct node_facts facts;

    if (!change->loser)
        return;
    facts = change->loser->facts;
    facts.holds_address = false;
    change_facts(r, change->loser, &facts);
    change->loser->revision = change->set.revision;
}

/* A node that comes up is heard now; one that was up all the time keeps its latest beat. */
static void watch(struct registry *r, struct node *node, bool was_up, struct moment now)
{
    if (!node->facts.api.is_up) {
        monitor_forget(&r->monitor, &node->watch);
        registry_set_unknown(r, node, false);
    } else if (!was_up) {
        registry_hear(r, node, now);
    }
}

static void commit_add(struct registry *r, struct registry_change *change, struct moment now)
{
    struct node *node = change->node;

    take_address_from_loser(r, change);
    node->revision = change->set.revision;
    r->pool.revisions[change->subnet_index] = change->set.revision;
    link_node(r, node);
    watch(r, node, false, now);
}

static void commit_update(struct registry *r, struct registry_change *change, struct moment now)
{
    struct node *node = change->node;
    bool was_up = node->facts.api.is_up;

    take_address_from_loser(r, change);
    change_facts(r, node, &change->next);
    node->revision = change->set.revision;
    watch(r, node, was_up, now);
}

static void commit_delete(struct registry *r, struct registry_change *change, struct moment now)
{
    struct node *node;

    unlink_node(r, change->node);
    DL_FOREACH(r->first, node)
    book_forget(&node->book, change->subnet_index);
    r->pool.revisions[change->subnet_index] = change->set.revision;
    pool_quarantine(&r->pool, change->subnet_index, now.boot_ms + r->quarantine_ms);
}

void registry_commit(struct registry *r, struct registry_change *change, struct moment now)
{
    end(r, change);
    r->edition++;
    r->revision = change->set.revision;
    switch (change->type) {
    case REGISTRY_ADD:
        commit_add(r, change, now);
        break;
    case REGISTRY_UPDATE:
        commit_update(r, change, now);
        break;
    case REGISTRY_DELETE:
        commit_delete(r, change, now);
        break;
    case REGISTRY_RELEASE:
        pool_give_back(&r->pool, change->subnet_index);
        break;
    case REGISTRY_RESERVE:
        change->reservation->revision = change->set.revision;
        break;
    case REGISTRY_UNRESERVE:
        registry_let_go(r, change->reservation);
        break;
    }
}

static void abort_reservation(struct registry *r, struct registry_change *change)
{
    struct reservation *reservation = TAKE_PTR(change->reservation);

    if (change->type != REGISTRY_RESERVE)
        return;
    registry_let_go(r, reservation);
    free(reservation);
}

void registry_abort(struct registry *r, struct registry_change *change, struct moment now)
{
    end(r, change);
    if (change->type == REGISTRY_ADD) {
        pool_give_back(&r->pool, change->subnet_index);
        node_free(change->node);
    }
    change->node = NULL; /* what it was about is gone, or lives on without it */
    if (change->type == REGISTRY_RELEASE)
        pool_requeue(&r->pool, change->subnet_index, now.boot_ms + RELEASE_RETRY_MS);
    if (change->reservation)
        abort_reservation(r, change);
}

void registry_change_free(struct registry_change *change)
{
    if (change->type == REGISTRY_DELETE)
        node_free(change->node);
    if (change->type == REGISTRY_UNRESERVE)
        free(change->reservation);
    store_change_deinit(&change->set);
    free(change);
}

/* ---- loading ------------------------------------------------------------------------------- */

int registry_damaged(const struct store_record *record, const char *what)
{
    (void)err_fail(EIO, "stored %s %s: %s", record->kind, record->id, what);
    return STORE_DAMAGED;
}

static int load_node(struct registry *r, const struct store_record *record, struct moment now)
{
    struct node_facts facts = {0};
    struct node *node;
    uint32_t index;

    if (node_facts_from_json(record->body, &facts) < 0)
        return registry_damaged(record, err_text());
    if (strcmp(facts.api.node_id, record->id) != 0)
        return registry_damaged(record, "is about another node");
    if (!pool_index(&r->pool, facts.api.subnet, &index))
        return registry_damaged(record, "its subnet is none of the cluster's");
    if (facts.holds_address && registry_find_holder(r, facts.api.host_ip))
        return registry_damaged(record, "its address is held by another node");
    if (registry_find_token(r, facts.token_sha256))
        return registry_damaged(record, "its token is another node's, too");
    if (facts.api.is_up && (facts.has_left || !facts.holds_address))
        return registry_damaged(record, "is up, but has left or has no address");
    r->monitor.looked_ms = now.boot_ms;
    facts.api.is_beat_or_later |= facts.api.is_up;
    node = node_new(&facts);
    node->revision = record->revision;
    node->subnet_index = index;
    link_node(r, node);
    watch(r, node, false, now);
    registry_set_unknown(r, node, node->facts.api.is_up);
    return 0;
}

static int load_lease(struct registry *r, const struct store_record *record, struct moment now)
{
    AUTO_JSON json_t *body = NULL;
    struct ip4_prefix subnet;
    const char *state = NULL;
    uint32_t index;

    if (ip4_prefix_parse(record->id, &subnet) < 0 || !pool_index(&r->pool, subnet, &index))
        return registry_damaged(record, "is none of the cluster's subnets");
    if (json_parse(record->body, strlen(record->body), &body) < 0 ||
        json_get_string(body, "state", &state) < 0)
        return registry_damaged(record, err_text());
    if (!pool_take(&r->pool, index) && !pool_take_reserved(&r->pool, index))
        return registry_damaged(record, "is there twice");
    r->pool.revisions[index] = record->revision;
    if (strcmp(state, "quarantined") == 0)
        pool_quarantine(&r->pool, index, now.boot_ms + r->quarantine_ms);
    return 0;
}

int registry_load(struct registry *r, const struct store_record *record, struct moment now)
{
    if (strcmp(record->kind, NODE_KIND) == 0)
        return load_node(r, record, now);
    if (strcmp(record->kind, LEASE_KIND) == 0)
        return load_lease(r, record, now);
    if (strcmp(record->kind, RESERVATION_KIND) == 0)
        return registry_load_reservation(r, record);
    return 0;
}

/* Every node has its own leased subnet, and every leased subnet its node. */
int registry_loaded(struct registry *r, uint64_t revision)
{
    AUTO_FREE bool *is_seen = mem_zalloc(r->pool.count * sizeof *is_seen);
    const struct node *node;

    r->revision = revision;
    DL_FOREACH(r->first, node)
    {
        bool is_leased = r->pool.states[node->subnet_index] == POOL_USED;

        if (!is_leased || is_seen[node->subnet_index]) {
            (void)err_fail(EIO, "stored node %s: its subnet is %s", node->facts.api.node_id,
                           is_leased ? "another node's, too" : "not leased");
            return STORE_DAMAGED;
        }
        is_seen[node->subnet_index] = true;
    }
    if (r->pool.counts[POOL_USED] == r->count)
        return 0;
    (void)err_fail(EIO, "%u subnets are leased, but there are %zu nodes", r->pool.counts[POOL_USED],
                   r->count);
    return STORE_DAMAGED;
}
