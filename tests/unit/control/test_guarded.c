/* Registering where an address is not believed: over TLS. */
#include <string.h>

#include "tests/unit/control/mesh.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* Who comes, and what he has to show. */
struct guest {
    const char *hostname, *ip;
    const char *proven_id;            /* by certificate or bearer token */
    const char *proof;                /* the digest of that */
    const char *node_id, *node_token; /* in the request's body */
    bool is_admitted;
    bool comes_from_elsewhere, is_vouched_for;
    const char *key;
};

static enum registry_outcome come(struct mesh *m, const struct guest *guest)
{
    struct api_register_request request = {.hostname = guest->hostname,
                                           .cpu_cores = -1,
                                           .ram_mb = -1,
                                           .generation = -1,
                                           .node_id = guest->node_id,
                                           .node_token = guest->node_token};
    struct registry_visit visit = fresh_visit(m);
    struct registry_change *change = NULL;
    enum registry_outcome outcome;

    assert_int_equal(ip4_parse(guest->ip, &request.host_ip), 0);
    visit.is_guarded = true;
    visit.is_admitted = guest->is_admitted;
    visit.client = guest->comes_from_elsewhere ? 0xc0a80909 : request.host_ip; /* 192.168.9.9 */
    visit.is_address_vouched_for = guest->is_vouched_for;
    if (guest->proven_id)
        memcpy(visit.proven_id, guest->proven_id, UUID_TEXT_SIZE);
    if (guest->proof)
        memcpy(visit.proof, guest->proof, SHA256_HEX_SIZE);
    if (guest->key)
        memcpy(visit.key_sha256, guest->key, SHA256_HEX_SIZE);
    outcome = registry_plan_register(&m->registry, &request, &visit, m->now, &change, &m->grant);
    if (outcome == REGISTRY_CHANGE)
        assert_int_equal(finish(m, change), STORE_DONE);
    return outcome;
}

/* node1 at 192.168.1.1, with key A, up. */
static struct registry_grant first_node(struct mesh *m)
{
    const struct guest guest = {
        .hostname = "node1", .ip = "192.168.1.1", .is_admitted = true, .key = KEY_A};

    assert_int_equal(come(m, &guest), REGISTRY_CHANGE);
    assert_true(m->grant.was_admitted);
    return m->grant;
}

static void nobody_becomes_a_node_without_a_token_to_join(void **state)
{
    struct mesh *m = *state;
    const struct guest guest = {.hostname = "node1", .ip = "192.168.1.1"};

    assert_int_equal(come(m, &guest), REGISTRY_UNADMITTED);
    assert_says("needs an access token");
    assert_int_equal(m->registry.count, 0);
}

static void the_key_that_is_to_be_certified_is_stored(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one = first_node(m);

    assert_string_equal(registry_find(&m->registry, one.node_id)->facts.key_sha256, KEY_A);
    restart(m);
    assert_string_equal(registry_find(&m->registry, one.node_id)->facts.key_sha256, KEY_A);
}

static void a_node_that_proves_itself_needs_no_token_to_join(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one = first_node(m);
    const struct guest by_certificate = {.hostname = "node1",
                                         .ip = "192.168.1.9",
                                         .proven_id = one.node_id,
                                         .proof = KEY_A,
                                         .key = KEY_B};
    const struct guest by_token = {
        .hostname = "node1", .ip = "192.168.1.8", .node_id = one.node_id, .node_token = one.token};

    assert_int_equal(come(m, &by_certificate), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, one.node_id);
    assert_false(m->grant.was_admitted);
    assert_string_equal(registry_find(&m->registry, one.node_id)->facts.key_sha256, KEY_B);
    assert_int_equal(come(m, &by_token), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, one.node_id);
    assert_false(m->grant.was_admitted);
}

static void who_has_proved_to_be_one_node_cannot_be_another(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one = first_node(m), two;
    const struct guest second = {.hostname = "node2", .ip = "192.168.1.2", .is_admitted = true};
    struct guest liar = {.hostname = "node2", .ip = "192.168.1.3"};

    assert_int_equal(come(m, &second), REGISTRY_CHANGE);
    two = m->grant;
    liar.hostname = "node1";
    liar.proven_id = one.node_id;
    liar.proof = KEY_A;
    liar.node_id = two.node_id;
    liar.node_token = "wrong";
    assert_int_equal(come(m, &liar), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, one.node_id);
    liar.ip = "192.168.1.2"; /* the other's address, which is up */
    assert_int_equal(come(m, &liar), REGISTRY_CONFLICT);
}

static void a_name_that_another_node_has_is_refused(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one = first_node(m);
    const struct guest second = {.hostname = "node2", .ip = "192.168.1.2", .is_admitted = true};
    const struct guest third = {.hostname = "NODE2", .ip = "192.168.1.3", .is_admitted = true};
    struct guest renamed = {
        .hostname = "node2", .ip = "192.168.1.1", .proven_id = one.node_id, .proof = KEY_A};

    assert_int_equal(come(m, &second), REGISTRY_CHANGE);
    assert_int_equal(come(m, &renamed), REGISTRY_CONFLICT);
    assert_says("hostname: node2 is the name of the node at 192.168.1.2");
    assert_says("which is up");
    assert_int_equal(come(m, &third), REGISTRY_CONFLICT);
    assert_int_equal(m->registry.count, 2);
    renamed.hostname = "node3";
    assert_int_equal(come(m, &renamed), REGISTRY_CHANGE);
    assert_string_equal(registry_find(&m->registry, one.node_id)->facts.api.hostname, "node3");
}

/* One that was registered without TLS, or by an earlier version. */
static void a_node_keeps_a_name_that_another_has_too(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one, two;
    struct guest first = {.hostname = "Node1", .ip = "192.168.1.1"};
    struct guest second = {.hostname = "node1", .ip = "192.168.1.3"};

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    one = m->grant;
    assert_int_equal(join(m, "node1", "192.168.1.2"), REGISTRY_CHANGE);
    two = m->grant;
    first.node_id = one.node_id;
    first.node_token = one.token;
    second.node_id = two.node_id;
    second.node_token = two.token;
    assert_int_equal(come(m, &first), REGISTRY_CHANGE);
    assert_int_equal(come(m, &second), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, two.node_id);
}

static void an_address_of_a_live_node_proves_nothing(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one = first_node(m);
    const struct guest twin = {
        .hostname = "node1", .ip = "192.168.1.1", .is_admitted = true, .key = KEY_B};

    assert_int_equal(come(m, &twin), REGISTRY_CONFLICT);
    assert_says("192.168.1.1 is the address of node1");
    assert_string_equal(registry_find(&m->registry, one.node_id)->facts.key_sha256, KEY_A);
}

static void a_down_nodes_address_is_for_who_comes_from_there_and_is_admitted(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one = first_node(m);
    struct guest guest = {.hostname = "node1", .ip = "192.168.1.1", .key = KEY_B};

    assert_int_equal(mark_down(m, one.node_id), REGISTRY_CHANGE);
    assert_int_equal(come(m, &guest), REGISTRY_UNADMITTED);
    guest.is_admitted = true;
    guest.comes_from_elsewhere = true;
    assert_int_equal(come(m, &guest), REGISTRY_CONFLICT);
    assert_says("quiltctl node rm");
    guest.comes_from_elsewhere = false;
    assert_int_equal(come(m, &guest), REGISTRY_CHANGE);
    assert_true(m->grant.was_admitted);
    assert_string_equal(m->grant.node_id, one.node_id);
    assert_string_not_equal(m->grant.token, one.token);
}

static void a_new_node_has_the_address_it_comes_from_or_one_that_is_vouched_for(void **state)
{
    struct mesh *m = *state;
    struct guest guest = {.hostname = "node1",
                          .ip = "192.168.1.1",
                          .is_admitted = true,
                          .comes_from_elsewhere = true,
                          .key = KEY_A};

    assert_int_equal(come(m, &guest), REGISTRY_MISPLACED);
    assert_says("192.168.1.1 is not the address this comes from, 192.168.9.9");
    assert_says("--node-networks");
    guest.is_vouched_for = true;
    assert_int_equal(come(m, &guest), REGISTRY_CHANGE);
}

static void a_node_moves_where_it_comes_from_and_stays_where_it_was_from_anywhere(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one = first_node(m);
    struct guest guest = {.hostname = "node1",
                          .ip = "192.168.1.2",
                          .proven_id = one.node_id,
                          .proof = KEY_A,
                          .comes_from_elsewhere = true};

    assert_int_equal(come(m, &guest), REGISTRY_MISPLACED);
    guest.ip = "192.168.1.1";
    assert_int_not_equal(come(m, &guest), REGISTRY_MISPLACED);
    guest.ip = "192.168.1.2";
    guest.comes_from_elsewhere = false;
    assert_int_equal(come(m, &guest), REGISTRY_CHANGE);
    guest.ip = "192.168.1.3";
    guest.comes_from_elsewhere = guest.is_vouched_for = true;
    assert_int_equal(come(m, &guest), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, one.node_id);
}

static enum registry_outcome revoke_node(struct mesh *m, const char *node_id)
{
    struct registry_change *change = NULL;
    enum registry_outcome outcome = registry_plan_revoke(&m->registry, node_id, m->now, &change);

    if (outcome == REGISTRY_CHANGE)
        assert_int_equal(finish(m, change), STORE_DONE);
    return outcome;
}

static void a_revoked_node_is_not_known_by_what_it_had(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one = first_node(m);
    const struct guest guest = {
        .hostname = "node1", .ip = "192.168.1.1", .node_id = one.node_id, .node_token = one.token};
    const struct node *node = registry_find(&m->registry, one.node_id);

    assert_int_equal(revoke_node(m, one.node_id), REGISTRY_CHANGE);
    assert_string_equal(node->facts.key_sha256, "");
    assert_string_equal(node->facts.token_sha256,
                        "0000000000000000000000000000000000000000000040008000000000000001");
    assert_int_equal(come(m, &guest), REGISTRY_UNADMITTED);
    assert_int_equal(revoke_node(m, "99999999-0000-4000-8000-000000000000"), REGISTRY_UNKNOWN);
    restart(m);
    assert_int_equal(come(m, &guest), REGISTRY_UNADMITTED);
}

/* It had shown its certificate when it was still good, and waited for the revocation to be stored.
 */
static void who_was_revoked_while_it_waited_is_nobody(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one = first_node(m);
    const struct guest guest = {.hostname = "node1",
                                .ip = "192.168.1.1",
                                .proven_id = one.node_id,
                                .proof = KEY_A,
                                .key = KEY_B};

    assert_int_equal(revoke_node(m, one.node_id), REGISTRY_CHANGE);
    assert_int_equal(come(m, &guest), REGISTRY_UNADMITTED);
    assert_string_equal(registry_find(&m->registry, one.node_id)->facts.key_sha256, "");
}

/* The other one would lose its address to it, and find it taken when it comes back. */
static void a_node_takes_the_address_of_one_that_is_down_only_from_there(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one = first_node(m), two;
    struct guest guest = {
        .hostname = "node2", .ip = "192.168.1.2", .is_admitted = true, .key = KEY_B};

    assert_int_equal(come(m, &guest), REGISTRY_CHANGE);
    two = m->grant;
    assert_int_equal(leave(m, one.node_id), REGISTRY_CHANGE);
    guest = (struct guest){.hostname = "node2",
                           .ip = "192.168.1.1",
                           .proven_id = two.node_id,
                           .proof = KEY_B,
                           .comes_from_elsewhere = true};
    assert_int_equal(come(m, &guest), REGISTRY_CONFLICT);
    assert_says("does not come from there");
    guest.comes_from_elsewhere = false;
    assert_int_equal(come(m, &guest), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, two.node_id);
}

static void a_revoked_node_comes_back_with_a_token_to_join(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one = first_node(m);
    const struct guest guest = {
        .hostname = "node1", .ip = "192.168.1.1", .is_admitted = true, .key = KEY_B};

    assert_int_equal(revoke_node(m, one.node_id), REGISTRY_CHANGE);
    assert_false(look(m, one.node_id)->is_up);
    assert_int_equal(beat(m, one.node_id), REGISTRY_LEFT);
    assert_int_equal(come(m, &guest), REGISTRY_CHANGE);
    assert_string_equal(m->grant.node_id, one.node_id);
    assert_true(ip4_prefix_equal(m->grant.subnet, one.subnet));
    assert_string_equal(registry_find(&m->registry, one.node_id)->facts.key_sha256, KEY_B);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESH(nobody_becomes_a_node_without_a_token_to_join),
        MESH(the_key_that_is_to_be_certified_is_stored),
        MESH(a_node_that_proves_itself_needs_no_token_to_join),
        MESH(who_has_proved_to_be_one_node_cannot_be_another),
        MESH(a_name_that_another_node_has_is_refused),
        MESH(a_node_keeps_a_name_that_another_has_too),
        MESH(an_address_of_a_live_node_proves_nothing),
        MESH(a_down_nodes_address_is_for_who_comes_from_there_and_is_admitted),
        MESH(a_new_node_has_the_address_it_comes_from_or_one_that_is_vouched_for),
        MESH(a_node_moves_where_it_comes_from_and_stays_where_it_was_from_anywhere),
        MESH(a_revoked_node_is_not_known_by_what_it_had),
        MESH(who_was_revoked_while_it_waited_is_nobody),
        MESH(a_node_takes_the_address_of_one_that_is_down_only_from_there),
        MESH(a_revoked_node_comes_back_with_a_token_to_join),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
