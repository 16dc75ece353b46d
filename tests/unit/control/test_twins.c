/* Two agents with one identity: a copy of a host beside it, and who comes after one that has ended.
 */
#include <string.h>

#include "control/store/memory.h"
#include "tests/unit/control/mesh.h"

#define PROOF_MS 20000
#define OWN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* A process: what it is, where it runs, and what it knew when it asked. */
struct process {
    const char *instance_id, *home_id;
    uint32_t host_ip;
    uint64_t known;
};
static const struct process first = {.instance_id = "aaaaaaaa-0000-4000-8000-000000000001",
                                     .home_id = "eeeeeeee-0000-8000-8000-000000000001",
                                     .host_ip = 0xc0a80101,
                                     .known = 100};
static const struct process after = {.instance_id = "aaaaaaaa-0000-4000-8000-000000000002",
                                     .home_id = "eeeeeeee-0000-8000-8000-000000000001",
                                     .host_ip = 0xc0a80101,
                                     .known = 100};
static const struct process copy = {.instance_id = "bbbbbbbb-0000-4000-8000-000000000001",
                                    .home_id = "eeeeeeee-0000-8000-8000-000000000002",
                                    .host_ip = 0xc0a80102,
                                    .known = 100};

/* What is planned comes to this in the store. */
static enum registry_outcome registers_as_far(struct mesh *m, const struct process *p, int stored)
{
    struct api_register_request request = {.hostname = "node1",
                                           .host_ip = p->host_ip,
                                           .cpu_cores = -1,
                                           .ram_mb = -1,
                                           .new_token = OWN,
                                           .instance_id = p->instance_id,
                                           .home_id = p->home_id,
                                           .known.revision = p->known};
    struct registry_visit visit = fresh_visit(m);
    struct registry_change *change = NULL;
    enum registry_outcome outcome =
        registry_plan_register(&m->registry, &request, &visit, m->now, &change, &m->grant);

    if (outcome == REGISTRY_CHANGE)
        assert_int_equal(finish(m, change), stored);
    return outcome;
}

static enum registry_outcome registers(struct mesh *m, const struct process *p)
{
    return registers_as_far(m, p, STORE_DONE);
}

static const struct node *the_node(const struct mesh *m)
{
    assert_int_equal(m->registry.count, 1);
    return m->registry.first;
}

static void assert_is(const struct mesh *m, const struct process *p)
{
    assert_string_equal(the_node(m)->facts.instance_id, p->instance_id);
    assert_string_equal(the_node(m)->facts.home_id, p->home_id);
    assert_int_equal(the_node(m)->facts.api.host_ip, p->host_ip);
}

static void hear(struct mesh *m)
{
    assert_int_equal(beat(m, the_node(m)->facts.api.node_id), REGISTRY_READY);
}

static void who_runs_where_the_other_ran_takes_over_at_once(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(registers(m, &first), REGISTRY_CHANGE);
    pass(m, 1);
    assert_int_equal(registers(m, &after), REGISTRY_CHANGE);
    assert_is(m, &after);
    assert_int_equal(m->grant.generation, 2);
}

static void a_copy_elsewhere_is_refused_and_changes_nothing(void **state)
{
    struct mesh *m = *state;
    uint64_t revision;

    assert_int_equal(registers(m, &first), REGISTRY_CHANGE);
    revision = m->registry.revision;
    pass(m, 5000);
    assert_int_equal(registers(m, &copy), REGISTRY_TWIN);
    assert_int_equal(m->grant.wait_ms, PROOF_MS - 5000);
    assert_says("was running as this node");
    assert_says("node1 at 192.168.1.1");
    assert_is(m, &first);
    assert_int_equal(m->registry.revision, revision);
    pass(m, 1000);
    hear(m);
    assert_int_equal(registers(m, &copy), REGISTRY_TWIN);
    assert_int_equal(m->grant.wait_ms, 0);
    assert_says("another agent is running as this node");
    assert_true(the_node(m)->suitor.is_twin);
}

static void a_copy_at_the_same_address_is_one_too(void **state)
{
    struct mesh *m = *state;
    struct process beside = copy;

    beside.host_ip = first.host_ip;
    assert_int_equal(registers(m, &first), REGISTRY_CHANGE);
    assert_int_equal(registers(m, &beside), REGISTRY_TWIN);
    assert_is(m, &first);
}

static void who_comes_from_elsewhere_is_let_in_by_the_others_silence(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(registers(m, &first), REGISTRY_CHANGE);
    pass(m, PROOF_MS - 1);
    assert_int_equal(registers(m, &copy), REGISTRY_TWIN);
    assert_int_equal(m->grant.wait_ms, 1);
    pass(m, 1);
    assert_int_equal(registers(m, &copy), REGISTRY_CHANGE);
    assert_is(m, &copy);
    assert_string_equal(the_node(m)->suitor.instance_id, "");
}

static void who_is_let_in_while_the_store_is_full_need_not_wait_again(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(registers(m, &first), REGISTRY_CHANGE);
    pass(m, PROOF_MS);
    store_memory_set_full(m->store, true);
    assert_int_equal(registers_as_far(m, &copy, STORE_FULL), REGISTRY_CHANGE);
    assert_is(m, &first);
    pass(m, 100);
    assert_int_equal(registers_as_far(m, &copy, STORE_FULL), REGISTRY_CHANGE);
    hear(m); /* the first one was away and is back */
    assert_int_equal(registers(m, &copy), REGISTRY_TWIN);
    pass(m, PROOF_MS);
    store_memory_set_full(m->store, false);
    assert_int_equal(registers(m, &copy), REGISTRY_CHANGE);
    assert_is(m, &copy);
}

static void one_that_has_been_seen_beside_the_other_waits_until_the_node_is_down(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(registers(m, &first), REGISTRY_CHANGE);
    assert_int_equal(registers(m, &copy), REGISTRY_TWIN);
    hear(m);
    pass(m, TIMEOUT_MS - 1);
    assert_int_equal(registers(m, &copy), REGISTRY_TWIN);
    assert_int_equal(mark_down(m, the_node(m)->facts.api.node_id), REGISTRY_CHANGE);
    assert_int_equal(registers(m, &copy), REGISTRY_CHANGE);
    assert_is(m, &copy);
}

static void the_process_itself_is_never_its_own_twin(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(registers(m, &first), REGISTRY_CHANGE);
    assert_int_equal(registers(m, &copy), REGISTRY_TWIN);
    assert_int_equal(registers(m, &first), REGISTRY_READY);
    assert_int_equal(registers(m, &copy), REGISTRY_TWIN);
    assert_int_equal(m->grant.wait_ms, 0); /* that was a sign of life */
}

static void after_a_restart_of_the_control_plane_nothing_is_known_of_the_silence(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(registers(m, &first), REGISTRY_CHANGE);
    pass(m, PROOF_MS);
    restart(m);
    assert_int_equal(registers(m, &copy), REGISTRY_TWIN);
    assert_int_equal(m->grant.wait_ms, PROOF_MS);
    assert_int_equal(registers(m, &after), REGISTRY_CHANGE); /* where it ran is stored */
}

static void a_late_copy_of_an_earlier_registration_is_stale(void **state)
{
    struct mesh *m = *state;
    struct process late = first, moved = after;

    late.known = 0;
    moved.host_ip = 0xc0a80109;
    assert_int_equal(registers(m, &late), REGISTRY_CHANGE);
    assert_int_equal(registers(m, &late), REGISTRY_READY); /* the same that is the latest */
    moved.known = the_node(m)->revision;
    assert_int_equal(registers(m, &moved), REGISTRY_CHANGE);
    assert_int_equal(registers(m, &late), REGISTRY_STALE);
    assert_is(m, &moved);
    assert_int_equal(the_node(m)->facts.generation, 2);
}

static void a_late_copy_brings_no_node_back_that_is_down_or_has_left(void **state)
{
    struct mesh *m = *state;
    struct process late = first;
    char id[UUID_TEXT_SIZE];

    late.known = 0;
    assert_int_equal(registers(m, &late), REGISTRY_CHANGE);
    memcpy(id, the_node(m)->facts.api.node_id, sizeof id);
    assert_int_equal(leave(m, id), REGISTRY_CHANGE);
    assert_int_equal(registers(m, &late), REGISTRY_STALE);
    assert_false(look(m, id)->is_up);
    late.known = m->registry.revision;
    assert_int_equal(registers(m, &late), REGISTRY_CHANGE);
    assert_true(look(m, id)->is_up);
}

static void one_that_was_not_known_by_the_later_one_is_refused_as_well(void **state)
{
    struct mesh *m = *state;
    struct process unheard = first, heard = after;

    heard.known = unheard.known = 0; /* neither has had an answer */
    assert_int_equal(registers(m, &heard), REGISTRY_CHANGE);
    assert_int_equal(registers(m, &unheard), REGISTRY_STALE);
    assert_is(m, &heard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESH(who_runs_where_the_other_ran_takes_over_at_once),
        MESH(a_copy_elsewhere_is_refused_and_changes_nothing),
        MESH(a_copy_at_the_same_address_is_one_too),
        MESH(who_comes_from_elsewhere_is_let_in_by_the_others_silence),
        MESH(who_is_let_in_while_the_store_is_full_need_not_wait_again),
        MESH(one_that_has_been_seen_beside_the_other_waits_until_the_node_is_down),
        MESH(the_process_itself_is_never_its_own_twin),
        MESH(after_a_restart_of_the_control_plane_nothing_is_known_of_the_silence),
        MESH(a_late_copy_of_an_earlier_registration_is_stale),
        MESH(a_late_copy_brings_no_node_back_that_is_down_or_has_left),
        MESH(one_that_was_not_known_by_the_later_one_is_refused_as_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
