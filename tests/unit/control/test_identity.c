/* Who is who: each rule of identity as a little history. */
#include <stdio.h>
#include <string.h>

#include "control/store/memory.h"
#include "tests/unit/control/mesh.h"

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

static void a_node_that_registers_from_another_address_has_been_heard(void **state)
{
    struct mesh *m = *state;
    struct registry_grant who;

    assert_int_equal(join(m, "node1", "192.168.1.10"), REGISTRY_CHANGE);
    who = m->grant;
    pass(m, 29000);
    assert_int_equal(join_as(m, &who, "node1", "192.168.1.20"), REGISTRY_CHANGE);
    pass(m, 29000);
    assert_int_equal(monitor_count_silent(&m->registry.monitor, m->now.boot_ms - 15000), 0);
    assert_int_equal(monitor_count_silent(&m->registry.monitor, m->now.boot_ms), 1);
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
    assert_int_equal(join_as(m, &forged, "node1", "192.168.1.9"), REGISTRY_CONFLICT);
    assert_int_equal(m->registry.count, 1);
}

static void a_node_whose_address_had_a_guest_gets_back_in_when_the_guest_is_down(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    one = m->grant;
    assert_int_equal(mark_down(m, one.node_id), REGISTRY_CHANGE);
    assert_int_equal(join(m, "guest", "192.168.1.1"), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, one.node_id);
    assert_int_equal(join_as(m, &one, "node1", "192.168.1.1"), REGISTRY_CONFLICT);
    assert_int_equal(mark_down(m, one.node_id), REGISTRY_CHANGE);
    assert_int_equal(join_as(m, &one, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, one.node_id);
    assert_string_not_equal(m->grant.token, "");
    assert_string_not_equal(m->grant.token, one.token);
    assert_string_equal(look(m, one.node_id)->hostname, "node1");
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
    struct api_register_request request = {.hostname = "node1",
                                           .host_ip = 0xc0a80101,
                                           .cpu_cores = 8,
                                           .ram_mb = 16384,
                                           .generation = -1};
    struct registry_visit visit = fresh_visit(m);
    struct registry_change *change = NULL;

    assert_int_equal(
        registry_plan_register(&m->registry, &request, &visit, m->now, &change, &m->grant),
        REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_DONE);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_READY); /* says nothing of them */
    assert_int_equal(look(m, visit.node_id)->cpu_cores, 8);
    request.cpu_cores = 16;
    assert_int_equal(
        registry_plan_register(&m->registry, &request, &visit, m->now, &change, &m->grant),
        REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_DONE);
    assert_int_equal(look(m, visit.node_id)->cpu_cores, 16);
    assert_int_equal(look(m, visit.node_id)->ram_mb, 16384);
}

/* Who registers with nothing but a wish for a subnet. */
static void join_wishing(struct mesh *m, const char *ip, const char *subnet)
{
    struct api_register_request request = {
        .hostname = "node", .cpu_cores = -1, .ram_mb = -1, .generation = -1};
    struct registry_visit visit = fresh_visit(m);
    struct registry_change *change = NULL;

    assert_int_equal(ip4_parse(ip, &request.host_ip), 0);
    assert_int_equal(ip4_prefix_parse(subnet, &request.subnet), 0);
    assert_int_equal(
        registry_plan_register(&m->registry, &request, &visit, m->now, &change, &m->grant),
        REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_DONE);
}

static void a_new_node_gets_the_subnet_it_wishes_for_if_that_is_free(void **state)
{
    struct mesh *m = *state;
    struct registry_grant seventh;

    join_wishing(m, "192.168.1.7", "10.42.7.0/24");
    assert_subnet(m, "10.42.7.0/24");
    seventh = m->grant;
    join_wishing(m, "192.168.1.8", "10.42.7.0/24"); /* taken */
    assert_subnet(m, "10.42.1.0/24");
    assert_int_equal(delete_node(m, seventh.node_id), REGISTRY_CHANGE);
    join_wishing(m, "192.168.1.7", "10.42.7.0/24"); /* in quarantine */
    assert_subnet(m, "10.42.2.0/24");
}

static void a_wish_for_what_nobody_may_have_gets_the_lowest(void **state)
{
    static const char *const wishes[] = {"10.42.0.0/24", "10.42.255.0/24", "10.43.7.0/24",
                                         "10.42.8.0/25", "10.42.8.0/23"};
    static const char *const granted[] = {"10.42.1.0/24", "10.42.2.0/24", "10.42.3.0/24",
                                          "10.42.4.0/24", "10.42.5.0/24"};

    for (unsigned int i = 0; i < ARRAY_LEN(wishes); i++) {
        char ip[IP4_TEXT_SIZE];

        join_wishing(*state, ip4_format(0xc0a80101 + i, ip), wishes[i]);
        assert_subnet(*state, granted[i]);
    }
}

static enum registry_outcome join_knowing(struct mesh *m, const char *cluster_id, uint64_t revision)
{
    struct api_register_request request = {.hostname = "node",
                                           .host_ip = 0xc0a80109,
                                           .cpu_cores = -1,
                                           .ram_mb = -1,
                                           .known.revision = revision,
                                           .generation = -1};
    struct registry_visit visit = fresh_visit(m);
    struct registry_change *change = NULL;
    enum registry_outcome outcome;

    memcpy(request.known.cluster_id, cluster_id, strlen(cluster_id) + 1);
    outcome = registry_plan_register(&m->registry, &request, &visit, m->now, &change, &m->grant);
    if (outcome == REGISTRY_CHANGE)
        assert_int_equal(finish(m, change), STORE_DONE);
    return outcome;
}

static void who_knows_another_cluster_or_more_of_this_one_changes_nothing(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(join_knowing(m, "11111111-2222-4333-8444-000000000000", 0), REGISTRY_FOREIGN);
    assert_says("is of cluster 11111111-2222-4333-8444-555555555555");
    assert_int_equal(join_knowing(m, "11111111-2222-4333-8444-555555555555", 1), REGISTRY_FOREIGN);
    assert_says("at revision 0, the node has seen revision 1");
    assert_int_equal(m->registry.count, 0);
    assert_int_equal(join_knowing(m, "11111111-2222-4333-8444-555555555555", 0), REGISTRY_CHANGE);
    assert_int_equal(join_knowing(m, "11111111-2222-4333-8444-555555555555", 1), REGISTRY_READY);
}

static enum registry_outcome report(struct mesh *m, const char *node_id, int64_t generation)
{
    struct node *node = registry_find(&m->registry, node_id);
    struct api_heartbeat said = api_heartbeat_empty();

    said.generation = generation;
    return node ? registry_note_report(node, &said) : REGISTRY_UNKNOWN;
}

static void register_knowing_generations(struct mesh *m)
{
    struct api_register_request request = {
        .hostname = "node1", .host_ip = 0xc0a80101, .cpu_cores = -1, .ram_mb = -1};
    struct registry_visit visit = fresh_visit(m);
    struct registry_change *change = NULL;

    assert_int_equal(
        registry_plan_register(&m->registry, &request, &visit, m->now, &change, &m->grant),
        REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_DONE);
}

static void each_registration_raises_the_generation_and_makes_the_earlier_ones_stale(void **state)
{
    struct mesh *m = *state;
    char id[UUID_TEXT_SIZE];

    for (int64_t i = 1; i <= 3; i++) {
        register_knowing_generations(m);
        assert_int_equal(m->grant.generation, i);
    }
    memcpy(id, m->grant.node_id, sizeof id);
    restart(m);
    assert_int_equal(report(m, id, 3), REGISTRY_READY);
    assert_int_equal(report(m, id, 2), REGISTRY_STALE);
    assert_int_equal(report(m, id, -1), REGISTRY_READY); /* a first-release client */
    assert_int_equal(report(m, "nobody", 3), REGISTRY_UNKNOWN);
    assert_int_equal(m->registry.count, 1);
}

static bool note_due(struct monitor_entry *entry, void *data)
{
    return *(bool *)data = true;
}

static void to_register_again_is_a_sign_of_life(void **state)
{
    struct mesh *m = *state;
    bool is_due = false;

    register_knowing_generations(m);
    pass(m, TIMEOUT_MS - 1000);
    register_knowing_generations(m);
    pass(m, TIMEOUT_MS - 1000);
    monitor_check(&m->registry.monitor, m->now.boot_ms, note_due, &is_due);
    assert_false(is_due);
    pass(m, 1001);
    monitor_check(&m->registry.monitor, m->now.boot_ms, note_due, &is_due);
    assert_true(is_due);
}

static void a_node_that_was_stored_before_generations_is_loaded(void **state)
{
    static const char text[] =
        "{\"node_id\":\"00000000-0000-4000-8000-000000000001\",\"hostname\":\"node1\","
        "\"host_ip\":\"192.168.1.1\",\"subnet\":\"10.42.1.0/24\",\"cpu_cores\":null,"
        "\"ram_mb\":null,\"status\":\"up\",\"registered_at\":1,\"last_heartbeat\":1,"
        "\"has_left\":false,\"holds_address\":true,\"token_sha256\":\"" TOKEN_1_SHA256 "\"}";
    struct node_facts facts = {.generation = 9};

    assert_int_equal(node_facts_from_json(text, &facts), 0);
    assert_int_equal(facts.generation, 0);
    assert_string_equal(facts.token_sha256, TOKEN_1_SHA256);
}

static void a_known_node_keeps_its_subnet_whatever_it_wishes_for(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(join(m, "node", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(mark_down(m, m->grant.node_id), REGISTRY_CHANGE);
    join_wishing(m, "192.168.1.1", "10.42.7.0/24");
    assert_subnet(m, "10.42.1.0/24");
    assert_int_equal(m->registry.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESH(a_new_node_gets_identity_token_and_the_first_subnet),
        MESH(the_token_is_not_stored_only_its_digest),
        MESH(a_live_node_that_registers_again_is_itself),
        MESH(a_live_node_is_not_robbed_of_its_address),
        MESH(who_comes_to_a_down_nodes_address_is_that_node_with_a_new_token),
        MESH(a_node_that_registers_from_another_address_has_been_heard),
        MESH(a_token_brings_its_node_along_to_another_address),
        MESH(a_wrong_token_is_nobody),
        MESH(a_node_whose_address_had_a_guest_gets_back_in_when_the_guest_is_down),
        MESH(an_identity_without_its_token_proves_nothing),
        MESH(a_forgotten_identity_registers_as_a_new_node),
        MESH(a_node_with_token_does_not_rob_a_live_one_either),
        MESH(a_down_node_loses_its_address_but_not_its_subnet),
        MESH(what_a_node_says_of_itself_is_taken_over_or_kept),
        MESH(a_new_node_gets_the_subnet_it_wishes_for_if_that_is_free),
        MESH(a_wish_for_what_nobody_may_have_gets_the_lowest),
        MESH(who_knows_another_cluster_or_more_of_this_one_changes_nothing),
        MESH(each_registration_raises_the_generation_and_makes_the_earlier_ones_stale),
        MESH(to_register_again_is_a_sign_of_life),
        cmocka_unit_test(a_node_that_was_stored_before_generations_is_loaded),
        MESH(a_known_node_keeps_its_subnet_whatever_it_wishes_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
