/* Reservations: who gets the subnet, who does not, and what stands in the way of making one. */
#include <string.h>

#include "control/store/memory.h"
#include "tests/unit/control/mesh.h"

#define MESH_ID "11111111-2222-4333-8444-555555555555" /* of mesh.c */

static enum registry_outcome begin(struct mesh *m, const char *host, const char *subnet,
                                   struct registry_change **ret_change)
{
    struct api_reservation wish = {0};

    assert_int_equal(api_reservation_host(host, wish.host), 0);
    assert_int_equal(ip4_prefix_parse(subnet, &wish.subnet), 0);
    return registry_plan_reserve(&m->registry, &wish, m->now, ret_change);
}

static enum registry_outcome reserve(struct mesh *m, const char *host, const char *subnet)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome = begin(m, host, subnet, &change);

    if (outcome == REGISTRY_CHANGE)
        assert_int_equal(finish(m, change), STORE_DONE);
    return outcome;
}

static enum registry_outcome unreserve(struct mesh *m, const char *host)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome = registry_plan_unreserve(&m->registry, host, m->now, &change);

    if (outcome == REGISTRY_CHANGE)
        assert_int_equal(finish(m, change), STORE_DONE);
    return outcome;
}

static void assert_listed(const struct mesh *m, const char *expected)
{
    AUTO_STRBUF struct strbuf out = {0};

    registry_reservations_to_json(&m->registry, &out);
    assert_string_equal(out.data, expected);
}

static void a_new_node_of_the_name_gets_its_subnet_and_nobody_else(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(reserve(m, "Node7", "10.42.1.0/24"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.2.0/24");
    assert_int_equal(join(m, "NODE7", "192.168.1.7"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.1.0/24");
    assert_int_equal(join(m, "node7", "192.168.1.8"), REGISTRY_CHANGE); /* another of that name */
    assert_subnet(m, "10.42.3.0/24");
}

static void an_address_can_have_a_reservation_and_counts_before_the_name(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(reserve(m, "192.168.1.7", "10.42.9.0/24"), REGISTRY_CHANGE);
    assert_int_equal(reserve(m, "node7", "10.42.8.0/24"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node7", "192.168.1.7"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.9.0/24");
    assert_int_equal(join(m, "node7", "192.168.1.8"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.8.0/24");
}

static void when_that_of_the_address_is_taken_that_of_the_name_counts(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one;

    assert_int_equal(reserve(m, "192.168.1.7", "10.42.9.0/24"), REGISTRY_CHANGE);
    assert_int_equal(reserve(m, "node8", "10.42.8.0/24"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node1", "192.168.1.7"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.9.0/24");
    one = m->grant;
    assert_int_equal(join_as(m, &one, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node8", "192.168.1.7"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.8.0/24");
    assert_int_equal(join(m, "node9", "192.168.1.9"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.1.0/24");
}

static void a_wish_does_not_get_what_is_reserved_for_another(void **state)
{
    struct mesh *m = *state;
    struct api_register_request request = {
        .hostname = "node1", .host_ip = 0xc0a80101, .cpu_cores = -1, .ram_mb = -1};
    struct registry_visit visit = fresh_visit(m);
    struct registry_change *change = NULL;

    assert_int_equal(reserve(m, "node7", "10.42.7.0/24"), REGISTRY_CHANGE);
    assert_int_equal(ip4_prefix_parse("10.42.7.0/24", &request.subnet), 0);
    assert_int_equal(
        registry_plan_register(&m->registry, &request, &visit, m->now, &change, &m->grant),
        REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_DONE);
    assert_subnet(m, "10.42.1.0/24");
}

static void reservations_survive_a_restart(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(reserve(m, "node7", "10.42.1.0/24"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node7", "192.168.1.7"), REGISTRY_CHANGE);
    assert_int_equal(reserve(m, "node8", "10.42.2.0/24"), REGISTRY_CHANGE);
    restart(m);
    assert_listed(m, "{\"reservations\":[{\"host\":\"node7\",\"subnet\":\"10.42.1.0/24\","
                     "\"created_at\":1700000000},{\"host\":\"node8\",\"subnet\":\"10.42.2.0/24\","
                     "\"created_at\":1700000000}],\"cluster_id\":\"" MESH_ID "\",\"revision\":3}");
    assert_int_equal(m->registry.pool.counts[POOL_RESERVED], 1);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.3.0/24");
    assert_int_equal(join(m, "node8", "192.168.1.8"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.2.0/24");
}

static void what_is_taken_back_is_for_everybody(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(reserve(m, "node7", "10.42.1.0/24"), REGISTRY_CHANGE);
    assert_int_equal(unreserve(m, "node7"), REGISTRY_CHANGE);
    assert_int_equal(unreserve(m, "node7"), REGISTRY_UNRESERVED);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.1.0/24");
    restart(m);
    assert_listed(m, "{\"reservations\":[],\"cluster_id\":\"" MESH_ID "\",\"revision\":3}");
}

static void what_cannot_be_reserved_is_told(void **state)
{
    static const struct {
        const char *host, *subnet;
        enum registry_outcome outcome;
        const char *words;
    } rows[] = {
        {"node9", "10.43.1.0/24", REGISTRY_INVALID, "is no /24 of the cluster's network"},
        {"node9", "10.42.1.0/25", REGISTRY_INVALID, "is no /24 of the cluster's network"},
        {"node9", "10.42.0.0/24", REGISTRY_INVALID, "is never handed out"},
        {"node9", "10.42.255.0/24", REGISTRY_INVALID, "is never handed out"},
        {"node9", "10.42.1.0/24", REGISTRY_CONFLICT, "subnet: 10.42.1.0/24 is in use by node1"},
        {"node9", "10.42.8.0/24", REGISTRY_CONFLICT, "is reserved for node8"},
        {"node8", "10.42.9.0/24", REGISTRY_CONFLICT, "host: node8 has 10.42.8.0/24 reserved"},
        {"node1", "10.42.9.0/24", REGISTRY_CONFLICT, "host: node1 has 10.42.1.0/24 (node "},
        {"192.168.1.1", "10.42.9.0/24", REGISTRY_CONFLICT, "host: 192.168.1.1 has 10.42.1.0/24"},
    };
    struct mesh *m = *state;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(reserve(m, "node8", "10.42.8.0/24"), REGISTRY_CHANGE);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(reserve(m, rows[i].host, rows[i].subnet), rows[i].outcome);
        assert_says(rows[i].words);
    }
    assert_int_equal(reserve(m, "node8", "10.42.8.0/24"), REGISTRY_READY);
}

static void
a_node_that_is_forgotten_gets_its_reserved_subnet_again_after_the_quarantine(void **state)
{
    struct mesh *m = *state;
    struct registry_change *change = NULL;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(reserve(m, "node1", "10.42.1.0/24"), REGISTRY_CHANGE);
    assert_int_equal(delete_node(m, m->grant.node_id), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_EXHAUSTED);
    assert_says("10.42.1.0/24 is reserved for node1, but rests in quarantine");
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.2.0/24");
    pass(m, 2 * TIMEOUT_MS + 1);
    assert_int_equal(registry_plan_release(&m->registry, m->now, &change), REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_DONE);
    assert_int_equal(join(m, "node3", "192.168.1.3"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.3.0/24");
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.1.0/24");
}

static void nobody_decides_on_a_reservation_that_is_under_way(void **state)
{
    struct mesh *m = *state;
    struct registry_change *change = NULL, *waits_for = NULL;

    assert_int_equal(begin(m, "node7", "10.42.7.0/24", &change), REGISTRY_CHANGE);
    assert_int_equal(plan(m, "node7", "192.168.1.7", NULL, NULL, &waits_for), REGISTRY_WAIT);
    assert_ptr_equal(waits_for, change);
    assert_int_equal(begin(m, "node7", "10.42.9.0/24", &waits_for), REGISTRY_WAIT);
    assert_int_equal(begin(m, "node8", "10.42.7.0/24", &waits_for), REGISTRY_WAIT);
    assert_int_equal(registry_plan_unreserve(&m->registry, "node7", m->now, &waits_for),
                     REGISTRY_WAIT);
    assert_listed(m, "{\"reservations\":[],\"cluster_id\":\"" MESH_ID "\",\"revision\":0}");
    assert_int_equal(finish(m, change), STORE_DONE);
    assert_int_equal(join(m, "node7", "192.168.1.7"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.7.0/24");
}

static void nobody_reserves_what_a_registration_under_way_may_get(void **state)
{
    struct mesh *m = *state;
    struct registry_change *joining = NULL, *waits_for = NULL;

    assert_int_equal(plan(m, "node1", "192.168.1.1", NULL, NULL, &joining), REGISTRY_CHANGE);
    assert_int_equal(begin(m, "node9", "10.42.1.0/24", &waits_for), REGISTRY_WAIT);
    assert_ptr_equal(waits_for, joining);
    assert_int_equal(begin(m, "node1", "10.42.9.0/24", &waits_for), REGISTRY_WAIT);
    assert_int_equal(finish(m, joining), STORE_DONE);
    assert_int_equal(reserve(m, "node9", "10.42.1.0/24"), REGISTRY_CONFLICT);
}

/* What is in use by a node that is just being forgotten is not in use by another for good. */
static void who_has_a_reservation_waits_for_what_is_under_way_about_its_subnet(void **state)
{
    struct mesh *m = *state;
    struct registry_change *deleting = NULL, *waits_for = NULL;
    char id[UUID_TEXT_SIZE];

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    memcpy(id, m->grant.node_id, sizeof id);
    assert_int_equal(reserve(m, "node1", "10.42.1.0/24"), REGISTRY_CHANGE);
    assert_int_equal(registry_plan_delete(&m->registry, id, m->now, &deleting), REGISTRY_CHANGE);
    assert_int_equal(plan(m, "node1", "192.168.1.9", NULL, NULL, &waits_for), REGISTRY_WAIT);
    assert_ptr_equal(waits_for, deleting);
    assert_int_equal(finish(m, deleting), STORE_DONE);
    assert_int_equal(join(m, "node1", "192.168.1.9"), REGISTRY_EXHAUSTED);
}

static void a_reservation_that_is_not_stored_never_was(void **state)
{
    struct mesh *m = *state;
    struct registry_change *change = NULL;

    store_memory_set_full(m->store, true);
    assert_int_equal(begin(m, "node7", "10.42.1.0/24", &change), REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_FULL);
    store_memory_set_full(m->store, false);
    assert_null(registry_find_reservation(&m->registry, "node7"));
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.1.0/24");
}

static void a_taking_back_that_is_not_stored_never_was(void **state)
{
    struct mesh *m = *state;
    struct registry_change *change = NULL;

    assert_int_equal(reserve(m, "node7", "10.42.1.0/24"), REGISTRY_CHANGE);
    store_memory_set_full(m->store, true);
    assert_int_equal(registry_plan_unreserve(&m->registry, "node7", m->now, &change),
                     REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_FULL);
    store_memory_set_full(m->store, false);
    assert_int_equal(join(m, "node7", "192.168.1.7"), REGISTRY_CHANGE);
    assert_subnet(m, "10.42.1.0/24");
}

static void a_full_pool_tells_what_is_reserved(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(reserve(m, "node7", "10.42.1.0/24"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_EXHAUSTED);
    assert_says(
        "no subnet left: 1 in use, 0 in quarantine, 1 reserved; 0 are of nodes that are down "
        "('quiltctl node rm'");
}

static void stored_reservations_that_contradict_each_other_are_refused(void **state)
{
#define BODY(host, subnet) "{\"host\":\"" host "\",\"subnet\":\"" subnet "\",\"created_at\":5}"
    static const struct {
        struct store_record record;
        const char *words;
    } rows[] = {
        {{"reservation", "10.42.2.0/24", BODY("node7", "10.42.2.0/24"), 2, 2}, "its host"},
        {{"reservation", "10.42.1.0/24", BODY("node8", "10.42.1.0/24"), 2, 2}, "its subnet"},
        {{"reservation", "10.43.1.0/24", BODY("node8", "10.43.1.0/24"), 2, 2}, "none of the"},
        {{"reservation", "10.42.2.0/24", BODY("no de", "10.42.2.0/24"), 2, 2}, "host:"},
        {{"reservation", "10.42.2.0/24", "{", 2, 2}, "not valid JSON"},
    };
    static const struct store_record first = {"reservation", "10.42.1.0/24",
                                              BODY("node7", "10.42.1.0/24"), 1, 1};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mesh *m = *state;
        struct registry registry;

        registry_init(&registry, &m->cluster, TIMEOUT_MS);
        assert_int_equal(registry_load(&registry, &first, m->now), 0);
        assert_int_equal(registry_load(&registry, &rows[i].record, m->now), STORE_DAMAGED);
        assert_says(rows[i].words);
        registry_deinit(&registry);
    }
}

static void reservations_under_way_are_freed_with_the_registry(void **state)
{
    struct mesh *m = *state;
    struct registry_change *change = NULL;

    assert_int_equal(reserve(m, "node1", "10.42.1.0/24"), REGISTRY_CHANGE);
    assert_int_equal(begin(m, "node2", "10.42.2.0/24", &change), REGISTRY_CHANGE);
    assert_int_equal(registry_plan_unreserve(&m->registry, "node1", m->now, &change),
                     REGISTRY_CHANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESH(a_new_node_of_the_name_gets_its_subnet_and_nobody_else),
        MESH(an_address_can_have_a_reservation_and_counts_before_the_name),
        MESH(when_that_of_the_address_is_taken_that_of_the_name_counts),
        MESH(a_wish_does_not_get_what_is_reserved_for_another),
        MESH(reservations_survive_a_restart),
        MESH(what_is_taken_back_is_for_everybody),
        MESH(what_cannot_be_reserved_is_told),
        MESH(a_node_that_is_forgotten_gets_its_reserved_subnet_again_after_the_quarantine),
        MESH(nobody_decides_on_a_reservation_that_is_under_way),
        MESH(nobody_reserves_what_a_registration_under_way_may_get),
        MESH(who_has_a_reservation_waits_for_what_is_under_way_about_its_subnet),
        MESH(a_reservation_that_is_not_stored_never_was),
        MESH(a_taking_back_that_is_not_stored_never_was),
        SMALL(a_full_pool_tells_what_is_reserved),
        MESH(stored_reservations_that_contradict_each_other_are_refused),
        MESH(reservations_under_way_are_freed_with_the_registry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
