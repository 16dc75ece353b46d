/* The registry: who is who, who gets which subnet, and that nothing which failed leaves a trace.
 * Each test is a little history against a store in memory. */
#include <stdio.h>
#include <string.h>

#include "control/services/registry.h"
#include "control/store/memory.h"
#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define TIMEOUT_MS 30000
/* printf token-1 | sha256sum */
#define TOKEN_1_SHA256 "3f08aace122ee2368432c1ca23a049bc640bafbf00fdf33a52429f38ba12dbf9"

struct mesh {
    struct cluster cluster;
    struct registry registry;
    struct store *store;
    struct moment now;
    unsigned int minted; /* identities made so far */
    struct registry_grant grant;
};

static int setup_with(void **state, const char *cidr)
{
    struct mesh *m = NEW(struct mesh);
    struct cluster_options options = {.node_prefix_len = 24};

    assert_int_equal(ip4_prefix_parse(cidr, &options.cidr), 0);
    assert_int_equal(cluster_found(&options, "11111111-2222-4333-8444-555555555555", &m->cluster),
                     0);
    registry_init(&m->registry, &m->cluster, TIMEOUT_MS);
    m->store = store_memory_new();
    m->now = (struct moment){.boot_ms = 1000000, .unix_s = 1700000000};
    *state = m;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, "10.42.0.0/16");
}

/* Subnets 10.42.1.0/24 and 10.42.2.0/24 only. */
static int setup_small(void **state)
{
    return setup_with(state, "10.42.0.0/22");
}

static int teardown(void **state)
{
    struct mesh *m = *state;

    registry_deinit(&m->registry);
    store_free(m->store);
    free(m);
    return 0;
}

/* ---- words of the histories ----------------------------------------------------------------- */

static void pass(struct mesh *m, int64_t ms)
{
    m->now.boot_ms += ms;
    m->now.unix_s += ms / 1000;
}

/* The n-th identity: uuid 00000000-0000-4000-8000-00000000000n, token "token-n". */
static struct registry_fresh fresh_identity(struct mesh *m)
{
    struct registry_fresh fresh;

    m->minted++;
    (void)snprintf(fresh.node_id, sizeof fresh.node_id, "00000000-0000-4000-8000-%012u", m->minted);
    (void)snprintf(fresh.token, sizeof fresh.token, "token-%u", m->minted);
    return fresh;
}

/* Stores and commits a change, or aborts it when the store is full; the store's outcome. */
static int finish(struct mesh *m, struct registry_change *change)
{
    int outcome;

    change->set.item.next = NULL;
    assert_int_equal(store_commit(m->store, &change->set), 0);
    outcome = change->set.outcome;
    if (outcome == STORE_DONE)
        registry_commit(&m->registry, change, m->now);
    else
        registry_abort(&m->registry, change, m->now);
    registry_change_free(change);
    return outcome;
}

static enum registry_outcome done(struct mesh *m, enum registry_outcome outcome,
                                  struct registry_change *change)
{
    if (outcome == REGISTRY_CHANGE)
        assert_int_equal(finish(m, change), STORE_DONE);
    return outcome;
}

static enum registry_outcome plan(struct mesh *m, const char *hostname, const char *ip,
                                  const char *node_id, const char *token,
                                  struct registry_change **ret_change)
{
    struct api_register_request request = {.hostname = hostname,
                                           .cpu_cores = -1,
                                           .ram_mb = -1,
                                           .node_id = node_id,
                                           .node_token = token};
    struct registry_fresh fresh = fresh_identity(m);

    assert_int_equal(ip4_parse(ip, &request.host_ip), 0);
    return registry_plan_register(&m->registry, &request, &fresh, m->now, ret_change, &m->grant);
}

/* Registers without an identity; m->grant has the answer. */
static enum registry_outcome join(struct mesh *m, const char *hostname, const char *ip)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome = plan(m, hostname, ip, NULL, NULL, &change);

    return done(m, outcome, change);
}

static enum registry_outcome join_as(struct mesh *m, const struct registry_grant *who,
                                     const char *hostname, const char *ip)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome = plan(m, hostname, ip, who->node_id, who->token, &change);

    return done(m, outcome, change);
}

static enum registry_outcome beat(struct mesh *m, const char *node_id)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome = registry_heartbeat(&m->registry, node_id, m->now, &change);

    return done(m, outcome, change);
}

static enum registry_outcome leave(struct mesh *m, const char *node_id)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome =
        registry_plan_deregister(&m->registry, node_id, m->now, &change);

    return done(m, outcome, change);
}

static enum registry_outcome delete_node(struct mesh *m, const char *node_id)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome = registry_plan_delete(&m->registry, node_id, m->now, &change);

    return done(m, outcome, change);
}

static enum registry_outcome mark_down(struct mesh *m, const char *node_id)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome =
        registry_plan_down(&m->registry, registry_find(&m->registry, node_id), m->now, &change);

    return done(m, outcome, change);
}

static int load_record(const struct store_record *record, void *data)
{
    struct mesh *m = data;

    return registry_load(&m->registry, record, m->now);
}

/* As a restart of the control plane does. */
static void restart(struct mesh *m)
{
    uint64_t revision = 0;

    registry_deinit(&m->registry);
    registry_init(&m->registry, &m->cluster, TIMEOUT_MS);
    assert_int_equal(store_load(m->store, load_record, m, &revision), 0);
    assert_int_equal(registry_loaded(&m->registry, revision), 0);
}

static void assert_subnet(const struct mesh *m, const char *expected)
{
    char text[IP4_PREFIX_TEXT_SIZE];

    assert_string_equal(ip4_prefix_format(m->grant.subnet, text), expected);
}

static const struct api_node *look(const struct mesh *m, const char *node_id)
{
    const struct node *node = registry_find(&m->registry, node_id);

    assert_non_null(node);
    return &node->facts.api;
}

static void assert_says(const char *words)
{
    if (!strstr(err_text(), words))
        fail_msg("'%s' does not say '%s'", err_text(), words);
}

/* ---- identity ------------------------------------------------------------------------------- */

static void a_new_node_gets_identity_token_and_the_first_subnet(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, "00000000-0000-4000-8000-000000000001");
    assert_string_equal(m->grant.token, "token-1");
    assert_subnet(m, "10.42.1.0/24");
    assert_true(look(m, m->grant.node_id)->is_up);
    assert_int_equal(look(m, m->grant.node_id)->registered_at, 1700000000);
    assert_int_equal(m->registry.up_count, 1);
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.2.0/24");
}

static void the_token_is_not_stored_only_its_digest(void **state)
{
    struct mesh *m = *state;
    const char *body;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    body = store_memory_body(m->store, "node", m->grant.node_id);
    assert_non_null(body);
    assert_null(strstr(body, "token-1"));
    assert_non_null(strstr(body, "\"token_sha256\":\"" TOKEN_1_SHA256 "\""));
}

static void a_live_node_that_registers_again_is_itself(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_READY);
        assert_string_equal(m->grant.node_id, "00000000-0000-4000-8000-000000000001");
        assert_string_equal(m->grant.token, "");
        assert_subnet(m, "10.42.1.0/24");
    }
    assert_int_equal(m->registry.count, 1);
}

static void a_live_node_is_not_robbed_of_its_address(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "thief", "192.168.1.1"), REGISTRY_CONFLICT);
    assert_says("192.168.1.1 is the address of node1");
    assert_int_equal(m->registry.count, 1);
    assert_string_equal(look(m, "00000000-0000-4000-8000-000000000001")->hostname, "node1");
}

static void who_comes_to_a_down_nodes_address_is_that_node_with_a_new_token(void **state)
{
    struct mesh *m = *state;
    struct registry_grant old, renewed;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    old = m->grant;
    assert_int_equal(mark_down(m, old.node_id), REGISTRY_CHANGE);
    assert_int_equal(join(m, "renamed", "192.168.1.1"), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, old.node_id);
    assert_subnet(m, "10.42.1.0/24");
    assert_string_equal(m->grant.token, "token-2");
    renewed = m->grant;
    assert_string_equal(look(m, old.node_id)->hostname, "renamed");
    assert_true(look(m, old.node_id)->is_up);
    assert_int_equal(join_as(m, &old, "renamed", "192.168.1.1"), REGISTRY_CONFLICT);
    assert_int_equal(join_as(m, &renewed, "renamed", "192.168.1.1"), REGISTRY_READY);
}

static void a_token_brings_its_node_along_to_another_address(void **state)
{
    struct mesh *m = *state;
    struct registry_grant who;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    who = m->grant;
    assert_int_equal(join_as(m, &who, "node1b", "192.168.7.7"), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, who.node_id);
    assert_string_equal(m->grant.token, "");
    assert_int_equal(look(m, who.node_id)->host_ip, 0xc0a80707);
    assert_string_equal(look(m, who.node_id)->hostname, "node1b");
    assert_int_equal(join(m, "other", "192.168.1.1"), REGISTRY_CHANGE); /* the old one is free */
    assert_subnet(m, "10.42.2.0/24");
}

static void a_wrong_token_is_nobody(void **state)
{
    struct mesh *m = *state;
    struct registry_grant forged;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    forged = m->grant;
    (void)snprintf(forged.token, sizeof forged.token, "guess");
    assert_int_equal(join_as(m, &forged, "node1", "192.168.1.1"), REGISTRY_CONFLICT);
    assert_says("node_token");
    assert_int_equal(join_as(m, &forged, "node1", "192.168.1.9"), REGISTRY_CONFLICT);
    assert_int_equal(mark_down(m, forged.node_id), REGISTRY_CHANGE);
    assert_int_equal(join_as(m, &forged, "node1", "192.168.1.1"), REGISTRY_CONFLICT);
    assert_int_equal(m->registry.count, 1);
}

static void an_identity_without_its_token_proves_nothing(void **state)
{
    struct mesh *m = *state;
    struct registry_change *change = NULL;
    struct registry_grant who;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    who = m->grant;
    assert_int_equal(plan(m, "node9", "192.168.1.9", who.node_id, NULL, &change), REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_DONE);
    assert_string_not_equal(m->grant.node_id, who.node_id);
    assert_int_equal(look(m, who.node_id)->host_ip, 0xc0a80101);
}

static void a_forgotten_identity_registers_as_a_new_node(void **state)
{
    struct mesh *m = *state;
    struct registry_grant who;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    who = m->grant;
    assert_int_equal(delete_node(m, who.node_id), REGISTRY_CHANGE);
    assert_int_equal(join_as(m, &who, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_string_not_equal(m->grant.node_id, who.node_id);
    assert_subnet(m, "10.42.2.0/24"); /* the old one is in quarantine */
}

static void a_node_with_token_does_not_rob_a_live_one_either(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    one = m->grant;
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    assert_int_equal(join_as(m, &one, "node1", "192.168.1.2"), REGISTRY_CONFLICT);
    assert_says("node2");
    assert_int_equal(look(m, one.node_id)->host_ip, 0xc0a80101);
}

/* The address changes hands: the one that was down keeps identity and subnet, but is not heard
 * until it has registered from an address of its own. */
static void a_down_node_loses_its_address_but_not_its_subnet(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one, two;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    one = m->grant;
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    two = m->grant;
    assert_int_equal(mark_down(m, one.node_id), REGISTRY_CHANGE);
    assert_int_equal(join_as(m, &two, "node2", "192.168.1.1"), REGISTRY_CHANGE);
    restart(m);
    assert_int_equal(beat(m, one.node_id), REGISTRY_LEFT);
    assert_int_equal(join_as(m, &one, "node1", "192.168.1.1"), REGISTRY_CONFLICT);
    assert_int_equal(mark_down(m, two.node_id), REGISTRY_CHANGE);
    assert_int_equal(join(m, "any", "192.168.1.1"), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, two.node_id); /* it registered there last */
    assert_int_equal(join_as(m, &one, "node1", "192.168.1.3"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.1.0/24");
    assert_int_equal(beat(m, one.node_id), REGISTRY_READY);
}

static void what_a_node_says_of_itself_is_taken_over_or_kept(void **state)
{
    struct mesh *m = *state;
    struct api_register_request request = {
        .hostname = "node1", .host_ip = 0xc0a80101, .cpu_cores = 8, .ram_mb = 16384};
    struct registry_fresh fresh = fresh_identity(m);
    struct registry_change *change = NULL;

    assert_int_equal(
        registry_plan_register(&m->registry, &request, &fresh, m->now, &change, &m->grant),
        REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_DONE);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_READY); /* says nothing of them */
    assert_int_equal(look(m, fresh.node_id)->cpu_cores, 8);
    request.cpu_cores = 16;
    assert_int_equal(
        registry_plan_register(&m->registry, &request, &fresh, m->now, &change, &m->grant),
        REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_DONE);
    assert_int_equal(look(m, fresh.node_id)->cpu_cores, 16);
    assert_int_equal(look(m, fresh.node_id)->ram_mb, 16384);
}

/* ---- leaving, deletion, quarantine ---------------------------------------------------------- */

static void a_node_that_left_is_not_heard_until_it_registers(void **state)
{
    struct mesh *m = *state;
    struct registry_grant who;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    who = m->grant;
    assert_int_equal(leave(m, who.node_id), REGISTRY_CHANGE);
    assert_false(look(m, who.node_id)->is_up);
    assert_int_equal(leave(m, who.node_id), REGISTRY_READY);
    restart(m);
    assert_int_equal(beat(m, who.node_id), REGISTRY_LEFT);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, who.node_id);
    assert_subnet(m, "10.42.1.0/24");
    assert_int_equal(beat(m, who.node_id), REGISTRY_READY);
}

static void leaving_with_a_token_works_the_same(void **state)
{
    struct mesh *m = *state;
    struct registry_grant who;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    who = m->grant;
    assert_int_equal(leave(m, who.node_id), REGISTRY_CHANGE);
    assert_int_equal(join_as(m, &who, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_true(look(m, who.node_id)->is_up);
}

static void unknown_nodes_are_unknown(void **state)
{
    struct mesh *m = *state;
    const char *id = "00000000-0000-4000-8000-000000000099";

    assert_int_equal(beat(m, id), REGISTRY_UNKNOWN);
    assert_int_equal(leave(m, id), REGISTRY_UNKNOWN);
    assert_int_equal(delete_node(m, id), REGISTRY_UNKNOWN);
    assert_int_equal(beat(m, ""), REGISTRY_UNKNOWN);
}

static void release_due(struct mesh *m)
{
    struct registry_change *change = NULL;

    while (registry_plan_release(&m->registry, m->now, &change) == REGISTRY_CHANGE)
        assert_int_equal(finish(m, change), STORE_DONE);
}

static void a_deleted_nodes_subnet_returns_after_the_quarantine(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(delete_node(m, m->grant.node_id), REGISTRY_CHANGE);
    assert_null(registry_find(&m->registry, m->grant.node_id));
    assert_non_null(strstr(store_memory_body(m->store, "lease", "10.42.1.0/24"), "quarantined"));
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.2.0/24");
    pass(m, 59999);
    release_due(m);
    assert_int_equal(join(m, "node3", "192.168.1.3"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.3.0/24");
    pass(m, 1);
    release_due(m);
    assert_null(store_memory_body(m->store, "lease", "10.42.1.0/24"));
    assert_int_equal(join(m, "node4", "192.168.1.4"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.1.0/24");
}

static void a_restart_begins_the_quarantine_anew(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(delete_node(m, m->grant.node_id), REGISTRY_CHANGE);
    pass(m, 50000);
    restart(m);
    pass(m, 59999);
    release_due(m);
    assert_int_equal(m->registry.pool.counts[POOL_QUARANTINED], 1);
    pass(m, 1);
    release_due(m);
    assert_int_equal(m->registry.pool.counts[POOL_QUARANTINED], 0);
}

static void a_full_cluster_says_so_with_counts(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node3", "192.168.1.3"), REGISTRY_EXHAUSTED);
    assert_says("2 in use, 0 in quarantine");
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_READY); /* needs none */
    assert_int_equal(delete_node(m, "00000000-0000-4000-8000-000000000001"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node3", "192.168.1.3"), REGISTRY_EXHAUSTED);
    assert_says("1 in use, 1 in quarantine");
}

/* ---- down and up ---------------------------------------------------------------------------- */

static void a_beat_of_a_down_node_brings_it_up(void **state)
{
    struct mesh *m = *state;
    const char *id = "00000000-0000-4000-8000-000000000001";

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(mark_down(m, id), REGISTRY_CHANGE);
    assert_int_equal(m->registry.up_count, 0);
    assert_int_equal(m->registry.monitor.count, 0);
    assert_int_equal(mark_down(m, id), REGISTRY_READY);
    pass(m, 5000);
    assert_int_equal(beat(m, id), REGISTRY_CHANGE);
    assert_true(look(m, id)->is_up);
    assert_int_equal(look(m, id)->last_heartbeat, 1700000005);
    assert_int_equal(m->registry.monitor.count, 1);
    assert_int_equal(beat(m, id), REGISTRY_READY);
}

static void beats_are_shown_at_once_and_cost_no_revision(void **state)
{
    struct mesh *m = *state;
    AUTO_STRBUF struct strbuf list = {0};

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    pass(m, 12000);
    assert_int_equal(beat(m, m->grant.node_id), REGISTRY_READY);
    assert_int_equal(m->registry.revision, 1);
    registry_list_to_json(&m->registry, &list);
    assert_string_equal(
        list.data,
        "{\"nodes\":[{\"node_id\":\"00000000-0000-4000-8000-000000000001\",\"hostname\":\"node1\","
        "\"host_ip\":\"192.168.1.1\",\"subnet\":\"10.42.1.0/24\",\"cpu_cores\":null,"
        "\"ram_mb\":null,\"status\":\"up\",\"registered_at\":1700000000,"
        "\"last_heartbeat\":1700000012}]}");
}

static void count_due(struct monitor_entry *entry, void *data)
{
    (*(int *)data)++;
}

static void after_a_restart_everybody_has_a_full_timeout(void **state)
{
    struct mesh *m = *state;
    int due = 0;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    pass(m, 3600000);
    restart(m);
    assert_int_equal(m->registry.up_count, 2);
    monitor_check(&m->registry.monitor, m->now.boot_ms + TIMEOUT_MS, count_due, &due);
    assert_int_equal(due, 0);
    monitor_check(&m->registry.monitor, m->now.boot_ms + TIMEOUT_MS + 1, count_due, &due);
    assert_int_equal(due, 2);
}

static void a_beat_while_being_marked_down_brings_the_node_up_again(void **state)
{
    struct mesh *m = *state;
    struct registry_change *down = NULL, *up = NULL;
    struct node *node;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    node = registry_find(&m->registry, m->grant.node_id);
    pass(m, 31000);
    assert_int_equal(registry_plan_down(&m->registry, node, m->now, &down), REGISTRY_CHANGE);
    pass(m, 1);
    assert_int_equal(registry_heartbeat(&m->registry, m->grant.node_id, m->now, &up),
                     REGISTRY_READY);
    down->set.item.next = NULL;
    assert_int_equal(store_commit(m->store, &down->set), 0);
    registry_commit(&m->registry, down, m->now);
    assert_int_equal(registry_plan_up_again(&m->registry, node, down, m->now, &up),
                     REGISTRY_CHANGE);
    registry_change_free(down);
    assert_int_equal(finish(m, up), STORE_DONE);
    assert_true(node->facts.api.is_up);
}

static void a_silent_node_stays_down(void **state)
{
    struct mesh *m = *state;
    struct registry_change *down = NULL, *up = NULL;
    struct node *node;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    node = registry_find(&m->registry, m->grant.node_id);
    pass(m, 31000);
    assert_int_equal(registry_plan_down(&m->registry, node, m->now, &down), REGISTRY_CHANGE);
    down->set.item.next = NULL;
    assert_int_equal(store_commit(m->store, &down->set), 0);
    registry_commit(&m->registry, down, m->now);
    assert_int_equal(registry_plan_up_again(&m->registry, node, down, m->now, &up), REGISTRY_READY);
    registry_change_free(down);
}

/* ---- changes under way ---------------------------------------------------------------------- */

static void whoever_touches_a_change_under_way_waits_for_it(void **state)
{
    struct mesh *m = *state;
    struct registry_change *first = NULL, *found = NULL;
    struct registry_grant other;

    assert_int_equal(join(m, "node9", "192.168.1.9"), REGISTRY_CHANGE);
    other = m->grant;
    assert_int_equal(plan(m, "node1", "192.168.1.1", NULL, NULL, &first), REGISTRY_CHANGE);
    assert_int_equal(plan(m, "node1", "192.168.1.1", NULL, NULL, &found), REGISTRY_WAIT);
    assert_ptr_equal(found, first);
    found = NULL; /* a known node that wants the same address */
    assert_int_equal(plan(m, "node9", "192.168.1.1", other.node_id, other.token, &found),
                     REGISTRY_WAIT);
    assert_ptr_equal(found, first);
    assert_int_equal(m->registry.count, 1); /* nothing of it is to be seen yet */
    assert_int_equal(finish(m, first), STORE_DONE);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_READY);
}

static void a_node_that_moves_keeps_both_addresses_busy(void **state)
{
    struct mesh *m = *state;
    struct registry_change *move = NULL, *found = NULL;
    struct registry_grant who;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    who = m->grant;
    assert_int_equal(plan(m, "node1", "192.168.1.2", who.node_id, who.token, &move),
                     REGISTRY_CHANGE);
    assert_int_equal(plan(m, "x", "192.168.1.1", NULL, NULL, &found), REGISTRY_WAIT);
    assert_int_equal(plan(m, "x", "192.168.1.2", NULL, NULL, &found), REGISTRY_WAIT);
    assert_int_equal(registry_plan_delete(&m->registry, who.node_id, m->now, &found),
                     REGISTRY_WAIT);
    assert_int_equal(registry_plan_deregister(&m->registry, who.node_id, m->now, &found),
                     REGISTRY_WAIT);
    assert_ptr_equal(found, move);
    assert_int_equal(beat(m, who.node_id), REGISTRY_READY); /* beats never wait */
    assert_int_equal(finish(m, move), STORE_DONE);
}

static void a_registration_that_is_not_stored_never_was(void **state)
{
    struct mesh *m = *state;
    struct registry_change *change = NULL;

    store_memory_set_full(m->store, true);
    assert_int_equal(plan(m, "node1", "192.168.1.1", NULL, NULL, &change), REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_FULL);
    assert_int_equal(m->registry.count, 0);
    assert_int_equal(m->registry.revision, 0);
    assert_int_equal(m->registry.pool.counts[POOL_USED], 0);
    store_memory_set_full(m->store, false);
    assert_int_equal(join(m, "node2", "192.168.1.1"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.1.0/24");
}

static void other_changes_that_are_not_stored_never_were(void **state)
{
    struct mesh *m = *state;
    struct registry_change *change = NULL;
    struct registry_grant who;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    who = m->grant;
    store_memory_set_full(m->store, true);
    assert_int_equal(registry_plan_delete(&m->registry, who.node_id, m->now, &change),
                     REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_FULL);
    assert_int_equal(registry_plan_deregister(&m->registry, who.node_id, m->now, &change),
                     REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_FULL);
    assert_int_equal(plan(m, "node1", "192.168.1.5", who.node_id, who.token, &change),
                     REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_FULL);
    assert_true(look(m, who.node_id)->is_up);
    assert_int_equal(look(m, who.node_id)->host_ip, 0xc0a80101);
    assert_int_equal(beat(m, who.node_id), REGISTRY_READY);
    store_memory_set_full(m->store, false);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_READY);
}

static void a_release_that_is_not_stored_is_tried_again(void **state)
{
    struct mesh *m = *state;
    struct registry_change *change = NULL;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(delete_node(m, m->grant.node_id), REGISTRY_CHANGE);
    pass(m, 60000);
    store_memory_set_full(m->store, true);
    assert_int_equal(registry_plan_release(&m->registry, m->now, &change), REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_FULL);
    store_memory_set_full(m->store, false);
    assert_int_equal(registry_plan_release(&m->registry, m->now, &change), REGISTRY_READY);
    pass(m, 1000);
    release_due(m);
    assert_int_equal(m->registry.pool.counts[POOL_QUARANTINED], 0);
}

static void changes_under_way_are_freed_with_the_registry(void **state)
{
    struct mesh *m = *state;
    struct registry_change *change = NULL;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(registry_plan_delete(&m->registry, m->grant.node_id, m->now, &change),
                     REGISTRY_CHANGE);
    assert_int_equal(plan(m, "node2", "192.168.1.2", NULL, NULL, &change), REGISTRY_CHANGE);
    /* teardown frees; the leak checker of the sanitizer build is the judge */
}

/* ---- restart -------------------------------------------------------------------------------- */

static void a_restart_changes_nothing(void **state)
{
    struct mesh *m = *state;
    AUTO_STRBUF struct strbuf before = {0}, after = {0};
    struct registry_grant three;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node3", "192.168.1.3"), REGISTRY_CHANGE);
    three = m->grant;
    assert_int_equal(mark_down(m, "00000000-0000-4000-8000-000000000001"), REGISTRY_CHANGE);
    assert_int_equal(delete_node(m, "00000000-0000-4000-8000-000000000002"), REGISTRY_CHANGE);
    registry_list_to_json(&m->registry, &before);
    restart(m);
    registry_list_to_json(&m->registry, &after);
    assert_string_equal(before.data, after.data);
    assert_int_equal(m->registry.revision, 5);
    assert_int_equal(m->registry.up_count, 1);
    assert_int_equal(m->registry.pool.counts[POOL_QUARANTINED], 1);
    assert_int_equal(join_as(m, &three, "node3", "192.168.1.3"), REGISTRY_READY);
}

static void stored_state_that_contradicts_itself_is_refused(void **state)
{
#define NODE(id, ip, subnet)                                            \
    "{\"node_id\":\"00000000-0000-4000-8000-00000000000" id             \
    "\",\"hostname\":\"n\",\"host_ip\":\"" ip "\",\"subnet\":\"" subnet \
    "\",\"status\":\"up\",\"has_left\":false,"                          \
    "\"holds_address\":true,\"token_sha256\":\"" TOKEN_1_SHA256 "\"}"
#define ID(id) "00000000-0000-4000-8000-00000000000" id
    static const struct store_record good_lease = {"lease", "10.42.1.0/24",
                                                   "{\"state\":\"assigned\"}", 1, 1};
    static const struct store_record good_node = {"node", ID("1"),
                                                  NODE("1", "10.0.0.1", "10.42.1.0/24"), 1, 1};
    static const struct {
        struct store_record record;
        const char *words;
    } rows[] = {
        {{"lease", "10.42.1.0/24", "{\"state\":\"assigned\"}", 2, 2}, "there twice"},
        {{"lease", "10.42.0.0/24", "{\"state\":\"assigned\"}", 2, 2}, "none of the cluster's"},
        {{"lease", "10.42.2.0/24", "{\"state\":\"assigned\"}", 2, 2}, "2 subnets are leased"},
        {{"lease", "10.42.2.0/24", "[]", 2, 2}, "state: missing"},
        {{"node", ID("2"), "{", 2, 2}, "not valid JSON"},
        {{"node", ID("2"), NODE("3", "10.0.0.2", "10.42.1.0/24"), 2, 2}, "about another node"},
        {{"node", ID("2"), NODE("2", "10.0.0.1", "10.42.1.0/24"), 2, 2}, "held by another"},
        {{"node", ID("2"), NODE("2", "10.0.0.2", "10.42.1.0/24"), 2, 2}, "another node's, too"},
        {{"node", ID("2"), NODE("2", "10.0.0.2", "10.42.2.0/24"), 2, 2}, "not leased"},
        {{"node", ID("2"), NODE("2", "10.0.0.2", "10.43.1.0/24"), 2, 2}, "none of the cluster's"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mesh *m = *state;
        struct registry registry;
        int r;

        registry_init(&registry, &m->cluster, TIMEOUT_MS);
        assert_int_equal(registry_load(&registry, &good_lease, m->now), 0);
        assert_int_equal(registry_load(&registry, &good_node, m->now), 0);
        r = registry_load(&registry, &rows[i].record, m->now);
        if (r == 0)
            r = registry_loaded(&registry, 2);
        assert_int_equal(r, STORE_DAMAGED);
        assert_says(rows[i].words);
        registry_deinit(&registry);
    }
}

#define MESH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define SMALL(test) cmocka_unit_test_setup_teardown(test, setup_small, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESH(a_new_node_gets_identity_token_and_the_first_subnet),
        MESH(the_token_is_not_stored_only_its_digest),
        MESH(a_live_node_that_registers_again_is_itself),
        MESH(a_live_node_is_not_robbed_of_its_address),
        MESH(who_comes_to_a_down_nodes_address_is_that_node_with_a_new_token),
        MESH(a_token_brings_its_node_along_to_another_address),
        MESH(a_wrong_token_is_nobody),
        MESH(an_identity_without_its_token_proves_nothing),
        MESH(a_forgotten_identity_registers_as_a_new_node),
        MESH(a_node_with_token_does_not_rob_a_live_one_either),
        MESH(a_down_node_loses_its_address_but_not_its_subnet),
        MESH(what_a_node_says_of_itself_is_taken_over_or_kept),
        MESH(a_node_that_left_is_not_heard_until_it_registers),
        MESH(leaving_with_a_token_works_the_same),
        MESH(unknown_nodes_are_unknown),
        MESH(a_deleted_nodes_subnet_returns_after_the_quarantine),
        MESH(a_restart_begins_the_quarantine_anew),
        SMALL(a_full_cluster_says_so_with_counts),
        MESH(a_beat_of_a_down_node_brings_it_up),
        MESH(beats_are_shown_at_once_and_cost_no_revision),
        MESH(after_a_restart_everybody_has_a_full_timeout),
        MESH(a_beat_while_being_marked_down_brings_the_node_up_again),
        MESH(a_silent_node_stays_down),
        MESH(whoever_touches_a_change_under_way_waits_for_it),
        MESH(a_node_that_moves_keeps_both_addresses_busy),
        MESH(a_registration_that_is_not_stored_never_was),
        MESH(other_changes_that_are_not_stored_never_were),
        MESH(a_release_that_is_not_stored_is_tried_again),
        MESH(changes_under_way_are_freed_with_the_registry),
        MESH(a_restart_changes_nothing),
        MESH(stored_state_that_contradicts_itself_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
