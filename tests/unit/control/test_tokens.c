/* Tokens that nodes make themselves, and processes that register twice: answers that are lost and
 * messages that are doubled change nothing. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/control/mesh.h"

#define OWN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define PROCESS_A "aaaaaaaa-0000-4000-8000-000000000001"
#define PROCESS_B "bbbbbbbb-0000-4000-8000-000000000002"

static struct api_register_request request_of(const char *hostname, const char *ip)
{
    struct api_register_request request = {
        .hostname = hostname, .cpu_cores = -1, .ram_mb = -1, .new_token = OWN};

    assert_int_equal(ip4_parse(ip, &request.host_ip), 0);
    return request;
}

static enum registry_outcome begin(struct mesh *m, const struct api_register_request *request,
                                   struct registry_change **ret_change)
{
    struct registry_visit visit = fresh_visit(m);

    return registry_plan_register(&m->registry, request, &visit, m->now, ret_change, &m->grant);
}

static enum registry_outcome ask(struct mesh *m, const struct api_register_request *request)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome = begin(m, request, &change);

    if (outcome == REGISTRY_CHANGE)
        assert_int_equal(finish(m, change), STORE_DONE);
    return outcome;
}

static void a_node_gets_the_token_it_proposes(void **state)
{
    struct mesh *m = *state;
    struct api_register_request request = request_of("node1", "192.168.1.1");
    struct registry_grant one;

    assert_int_equal(ask(m, &request), REGISTRY_CHANGE);
    one = m->grant;
    assert_string_equal(one.token, OWN);
    assert_int_equal(join_as(m, &one, "node1", "192.168.1.7"), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, one.node_id);
    assert_string_equal(m->grant.token, "");
}

static void a_node_that_missed_its_first_answer_is_found_by_the_token_it_proposed(void **state)
{
    struct mesh *m = *state;
    struct api_register_request request = request_of("node1", "192.168.1.1");
    char id[UUID_TEXT_SIZE];

    assert_int_equal(ask(m, &request), REGISTRY_CHANGE);
    memcpy(id, m->grant.node_id, sizeof id);
    restart(m);
    request = request_of("renamed", "10.9.9.9");
    assert_int_equal(ask(m, &request), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, id);
    assert_subnet(m, "10.42.1.0/24");
    assert_string_equal(m->grant.token, OWN); /* it does not know yet that it has it */
    assert_int_equal(m->registry.count, 1);
    assert_int_equal(look(m, id)->host_ip, 0x0a090909);
}

static void a_proposed_token_robs_no_live_node_of_its_address(void **state)
{
    struct mesh *m = *state;
    struct api_register_request request = request_of("node1", "192.168.1.1");

    assert_int_equal(ask(m, &request), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    request = request_of("node1", "192.168.1.2");
    assert_int_equal(ask(m, &request), REGISTRY_CONFLICT);
    assert_says("is the address of node2");
}

static void the_token_of_a_live_node_is_not_changed_by_who_only_knows_its_name(void **state)
{
    struct mesh *m = *state;
    struct api_register_request request = request_of("node1", "192.168.1.1");
    struct registry_grant one;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    one = m->grant;
    assert_int_not_equal(ask(m, &request), REGISTRY_CONFLICT);
    assert_string_equal(m->grant.node_id, one.node_id);
    assert_string_equal(m->grant.token, "");
    request = request_of("node1", "192.168.1.9");
    assert_int_equal(ask(m, &request), REGISTRY_CHANGE);
    assert_string_not_equal(m->grant.node_id, one.node_id);
}

static void who_comes_to_a_down_nodes_address_gives_it_its_own_token(void **state)
{
    struct mesh *m = *state;
    struct api_register_request request = request_of("guest", "192.168.1.1");
    struct registry_grant one;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    one = m->grant;
    assert_int_equal(mark_down(m, one.node_id), REGISTRY_CHANGE);
    assert_int_equal(ask(m, &request), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, one.node_id);
    assert_string_equal(m->grant.token, OWN);
    assert_int_equal(join_as(m, &one, "node1", "192.168.1.1"), REGISTRY_CONFLICT);
}

/* It has a token that is none any more, and missed the answer that told it the new one. */
static void who_got_back_in_and_missed_the_answer_is_known_all_the_same(void **state)
{
    struct mesh *m = *state;
    struct api_register_request request = request_of("node1", "192.168.1.1");
    char id[UUID_TEXT_SIZE];

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    memcpy(id, m->grant.node_id, sizeof id);
    assert_int_equal(mark_down(m, id), REGISTRY_CHANGE);
    request.node_id = id;
    request.node_token = "none-any-more";
    assert_int_equal(ask(m, &request), REGISTRY_CHANGE);
    assert_string_equal(m->grant.token, OWN);
    assert_int_not_equal(ask(m, &request), REGISTRY_CONFLICT);
    assert_string_equal(m->grant.node_id, id);
    assert_string_equal(m->grant.token, OWN);
}

static void two_that_propose_the_same_token_at_once_are_one_node(void **state)
{
    struct mesh *m = *state;
    struct api_register_request here = request_of("node1", "192.168.1.1");
    struct api_register_request there = request_of("node1", "192.168.1.2");
    struct registry_change *first = NULL, *second = NULL;
    char id[UUID_TEXT_SIZE];

    assert_int_equal(begin(m, &here, &first), REGISTRY_CHANGE);
    memcpy(id, m->grant.node_id, sizeof id);
    assert_int_equal(begin(m, &there, &second), REGISTRY_WAIT);
    assert_ptr_equal(second, first);
    assert_int_equal(finish(m, first), STORE_DONE);
    assert_int_equal(ask(m, &there), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, id);
    assert_int_equal(m->registry.count, 1);
}

static void a_proposal_that_was_not_stored_is_nobodys(void **state)
{
    struct mesh *m = *state;
    struct api_register_request request = request_of("node1", "192.168.1.1");
    struct registry_change *change = NULL;

    assert_int_equal(begin(m, &request, &change), REGISTRY_CHANGE);
    registry_abort(&m->registry, change, m->now);
    registry_change_free(change);
    assert_int_equal(ask(m, &request), REGISTRY_CHANGE);
    assert_string_equal(m->grant.token, OWN);
    assert_int_equal(m->registry.count, 1);
}

static void a_deleted_nodes_token_begins_a_new_node(void **state)
{
    struct mesh *m = *state;
    struct api_register_request request = request_of("node1", "192.168.1.1");
    char id[UUID_TEXT_SIZE];

    assert_int_equal(ask(m, &request), REGISTRY_CHANGE);
    memcpy(id, m->grant.node_id, sizeof id);
    assert_int_equal(delete_node(m, id), REGISTRY_CHANGE);
    request.node_id = id;
    request.node_token = OWN;
    assert_int_equal(ask(m, &request), REGISTRY_CHANGE);
    assert_string_not_equal(m->grant.node_id, id);
    assert_string_equal(m->grant.token, OWN);
}

#define HOME "eeeeeeee-0000-8000-8000-000000000001"

/* ---- generations --------------------------------------------------------------------------- */

static int64_t register_process(struct mesh *m, const char *instance_id)
{
    struct api_register_request request = request_of("node1", "192.168.1.1");

    request.instance_id = instance_id;
    request.home_id = HOME;
    request.known.revision = m->registry.revision;
    assert_true(ask(m, &request) <= REGISTRY_CHANGE);
    return m->grant.generation;
}

static enum registry_outcome report(struct mesh *m, int64_t generation)
{
    struct api_heartbeat said = api_heartbeat_empty();

    said.generation = generation;
    return registry_note_report(registry_find(&m->registry, m->grant.node_id), &said);
}

static void a_process_that_registers_twice_begins_one_generation(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(register_process(m, PROCESS_A), 1);
    assert_int_equal(register_process(m, PROCESS_A), 1);
    assert_int_equal(report(m, 1), REGISTRY_READY);
    restart(m);
    assert_int_equal(register_process(m, PROCESS_A), 1);
    assert_int_equal(mark_down(m, m->grant.node_id), REGISTRY_CHANGE);
    assert_int_equal(register_process(m, PROCESS_A), 1);
}

static void another_process_begins_another_generation(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(register_process(m, PROCESS_A), 1);
    assert_int_equal(register_process(m, PROCESS_B), 2);
    assert_int_equal(report(m, 1), REGISTRY_STALE);
    assert_int_equal(report(m, 2), REGISTRY_READY);
    assert_int_equal(register_process(m, PROCESS_A), 3);
    assert_int_equal(report(m, 2), REGISTRY_STALE);
}

static void who_does_not_say_which_process_it_is_begins_one_each_time(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(register_process(m, NULL), 1);
    assert_int_equal(register_process(m, NULL), 2);
    assert_int_equal(register_process(m, PROCESS_A), 3);
    assert_int_equal(register_process(m, NULL), 4);
    assert_int_equal(register_process(m, PROCESS_A), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESH(a_node_gets_the_token_it_proposes),
        MESH(a_node_that_missed_its_first_answer_is_found_by_the_token_it_proposed),
        MESH(a_proposed_token_robs_no_live_node_of_its_address),
        MESH(the_token_of_a_live_node_is_not_changed_by_who_only_knows_its_name),
        MESH(who_comes_to_a_down_nodes_address_gives_it_its_own_token),
        MESH(who_got_back_in_and_missed_the_answer_is_known_all_the_same),
        MESH(two_that_propose_the_same_token_at_once_are_one_node),
        MESH(a_proposal_that_was_not_stored_is_nobodys),
        MESH(a_deleted_nodes_token_begins_a_new_node),
        MESH(a_process_that_registers_twice_begins_one_generation),
        MESH(another_process_begins_another_generation),
        MESH(who_does_not_say_which_process_it_is_begins_one_each_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
