/* A mesh without its rim, for histories. */
#include "tests/unit/control/mesh.h"

#include <stdio.h>
#include <string.h>

#include "control/store/memory.h"
#include "lib/base/error.h"

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

int mesh_setup(void **state)
{
    return setup_with(state, "10.42.0.0/16");
}

/* Subnets 10.42.1.0/24 and 10.42.2.0/24 only. */
int mesh_setup_small(void **state)
{
    return setup_with(state, "10.42.0.0/22");
}

int mesh_teardown(void **state)
{
    struct mesh *m = *state;

    registry_deinit(&m->registry);
    store_free(m->store);
    free(m);
    return 0;
}

void pass(struct mesh *m, int64_t ms)
{
    m->now.boot_ms += ms;
    m->now.unix_s += ms / 1000;
}

/* The n-th identity: uuid 00000000-0000-4000-8000-00000000000n, token "token-n". */
struct registry_visit fresh_visit(struct mesh *m)
{
    struct registry_visit visit = {0};

    m->minted++;
    (void)snprintf(visit.node_id, sizeof visit.node_id, "00000000-0000-4000-8000-%012u", m->minted);
    (void)snprintf(visit.token, sizeof visit.token, "token-%u", m->minted);
    return visit;
}

/* Stores and commits a change, or aborts it when the store is full; the store's outcome. */
int finish(struct mesh *m, struct registry_change *change)
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

enum registry_outcome plan(struct mesh *m, const char *hostname, const char *ip,
                           const char *node_id, const char *token,
                           struct registry_change **ret_change)
{
    struct api_register_request request = {.hostname = hostname,
                                           .cpu_cores = -1,
                                           .ram_mb = -1,
                                           .node_id = node_id,
                                           .node_token = token,
                                           .generation = -1};
    struct registry_visit visit = fresh_visit(m);

    assert_int_equal(ip4_parse(ip, &request.host_ip), 0);
    return registry_plan_register(&m->registry, &request, &visit, m->now, ret_change, &m->grant);
}

/* Registers without an identity; m->grant has the answer. */
enum registry_outcome join(struct mesh *m, const char *hostname, const char *ip)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome = plan(m, hostname, ip, NULL, NULL, &change);

    return done(m, outcome, change);
}

enum registry_outcome join_as(struct mesh *m, const struct registry_grant *who,
                              const char *hostname, const char *ip)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome = plan(m, hostname, ip, who->node_id, who->token, &change);

    return done(m, outcome, change);
}

enum registry_outcome beat(struct mesh *m, const char *node_id)
{
    struct registry_change *change = NULL;
    struct node *node = registry_find(&m->registry, node_id);
    enum registry_outcome outcome =
        node ? registry_heartbeat(&m->registry, node, m->now, &change) : REGISTRY_UNKNOWN;

    return done(m, outcome, change);
}

enum registry_outcome leave(struct mesh *m, const char *node_id)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome =
        registry_plan_deregister(&m->registry, node_id, m->now, &change);

    return done(m, outcome, change);
}

enum registry_outcome delete_node(struct mesh *m, const char *node_id)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome = registry_plan_delete(&m->registry, node_id, m->now, &change);

    return done(m, outcome, change);
}

enum registry_outcome mark_down(struct mesh *m, const char *node_id)
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
void restart(struct mesh *m)
{
    uint64_t revision = 0;

    registry_deinit(&m->registry);
    registry_init(&m->registry, &m->cluster, TIMEOUT_MS);
    assert_int_equal(store_load(m->store, load_record, m, &revision), 0);
    assert_int_equal(registry_loaded(&m->registry, revision), 0);
}

void assert_subnet(const struct mesh *m, const char *expected)
{
    char text[IP4_PREFIX_TEXT_SIZE];

    assert_string_equal(ip4_prefix_format(m->grant.subnet, text), expected);
}

const struct api_node *look(const struct mesh *m, const char *node_id)
{
    const struct node *node = registry_find(&m->registry, node_id);

    assert_non_null(node);
    return &node->facts.api;
}

void assert_says(const char *words)
{
    if (!strstr(err_text(), words))
        fail_msg("'%s' does not say '%s'", err_text(), words);
}
