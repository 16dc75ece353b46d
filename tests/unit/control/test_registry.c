/* The registry beyond identity: leaving, quarantine, down and up, changes under way, restart; and
 * that nothing which failed leaves a trace. */
#include <string.h>

#include "control/store/memory.h"
#include "lib/base/error.h"
#include "tests/unit/control/mesh.h"

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

static void confirm(struct mesh *m, const char *node_id, uint64_t revision)
{
    struct api_heartbeat said = api_heartbeat_empty();

    said.revision_applied = (int64_t)revision;
    assert_int_equal(registry_note_report(registry_find(&m->registry, node_id), &said),
                     REGISTRY_READY);
}

static void
a_quarantine_lasts_until_every_live_node_that_tells_has_applied_the_deletion(void **state)
{
    const char *gone = "00000000-0000-4000-8000-000000000001";
    const char *slow = "00000000-0000-4000-8000-000000000002";
    struct mesh *m = *state;
    uint64_t deletion;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "silent", "192.168.1.3"), REGISTRY_CHANGE); /* tells nothing */
    assert_int_equal(delete_node(m, gone), REGISTRY_CHANGE);
    deletion = m->registry.revision;
    confirm(m, slow, deletion - 1);
    pass(m, 60000);
    release_due(m);
    assert_int_equal(m->registry.pool.counts[POOL_QUARANTINED], 1);
    confirm(m, slow, deletion);
    release_due(m);
    assert_int_equal(m->registry.pool.counts[POOL_QUARANTINED], 0);
}

static void a_quarantine_lasts_an_hour_at_most_and_does_not_wait_for_the_dead(void **state)
{
    const char *slow = "00000000-0000-4000-8000-000000000001";
    struct mesh *m = *state;

    assert_int_equal(join(m, "slow", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    assert_int_equal(delete_node(m, m->grant.node_id), REGISTRY_CHANGE);
    confirm(m, slow, 1);
    pass(m, 3599999);
    release_due(m);
    assert_int_equal(m->registry.pool.counts[POOL_QUARANTINED], 1);
    pass(m, 1);
    release_due(m);
    assert_int_equal(m->registry.pool.counts[POOL_QUARANTINED], 0);
    assert_int_equal(join(m, "node3", "192.168.1.3"), REGISTRY_CHANGE);
    assert_int_equal(delete_node(m, m->grant.node_id), REGISTRY_CHANGE);
    pass(m, 60000);
    release_due(m);
    assert_int_equal(m->registry.pool.counts[POOL_QUARANTINED], 1);
    assert_int_equal(mark_down(m, slow), REGISTRY_CHANGE);
    release_due(m);
    assert_int_equal(m->registry.pool.counts[POOL_QUARANTINED], 0);
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
        "\"last_heartbeat\":1700000012}],"
        "\"cluster_id\":\"11111111-2222-4333-8444-555555555555\",\"revision\":1}");
}

static void whatever_changes_the_list_makes_another_edition_of_it(void **state)
{
    struct mesh *m = *state;
    const char *id = "00000000-0000-4000-8000-000000000001";
    uint64_t edition = m->registry.edition;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_true(m->registry.edition > edition);
    edition = m->registry.edition;
    assert_int_equal(beat(m, id), REGISTRY_READY); /* in the same second */
    assert_int_equal(m->registry.edition, edition);
    pass(m, 1000);
    assert_int_equal(beat(m, id), REGISTRY_READY);
    assert_true(m->registry.edition > edition);
    edition = m->registry.edition;
    pass(m, 1000);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_READY); /* a beat, too */
    assert_true(m->registry.edition > edition);
    edition = m->registry.edition;
    assert_int_equal(mark_down(m, id), REGISTRY_CHANGE);
    assert_true(m->registry.edition > edition);
}

static bool count_due(struct monitor_entry *entry, void *data)
{
    return ++(*(int *)data) > 0;
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
    assert_int_equal(registry_heartbeat(&m->registry, node, m->now, &up), REGISTRY_READY);
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

static void a_silent_node_that_is_forgiven_while_being_marked_down_stays_down(void **state)
{
    struct mesh *m = *state;
    struct registry_change *down = NULL, *up = NULL;
    struct node *node;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    node = registry_find(&m->registry, m->grant.node_id);
    pass(m, 31000);
    assert_int_equal(registry_plan_down(&m->registry, node, m->now, &down), REGISTRY_CHANGE);
    pass(m, 46000);
    monitor_forgive(&m->registry.monitor, 46000, m->now.boot_ms);
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
    assert_int_equal(m->registry.revision, 5);
    assert_int_equal(m->registry.up_count, 1);
    assert_int_equal(m->registry.pool.counts[POOL_QUARANTINED], 1);
    assert_int_equal(join_as(m, &three, "node3", "192.168.1.3"), REGISTRY_READY);
    registry_list_to_json(&m->registry, &after); /* it has been heard */
    assert_string_equal(before.data, after.data);
}

static void assert_shown(struct mesh *m, const char *id, const char *tail)
{
    AUTO_STRBUF struct strbuf out = {0};

    node_to_json(registry_find(&m->registry, id), &out);
    assert_non_null(strstr(out.data, ",\"registered_at\":1700000000"));
    assert_string_equal(strstr(out.data, ",\"last_heartbeat\":"), tail);
}

/* Heartbeats are not stored. What is known again is known after a further restart, too. */
static void after_a_restart_a_node_that_was_up_may_have_been_heard_later(void **state)
{
    struct mesh *m = *state;
    const char *id = "00000000-0000-4000-8000-000000000001";

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    pass(m, 100000);
    assert_int_equal(beat(m, id), REGISTRY_READY);
    assert_shown(m, id, ",\"last_heartbeat\":1700000100}");
    restart(m);
    assert_shown(m, id,
                 ",\"last_heartbeat\":1700000000,\"unknown\":true,"
                 "\"last_heartbeat_or_later\":true}");
    assert_int_equal(mark_down(m, id), REGISTRY_CHANGE);
    restart(m);
    assert_shown(m, id, ",\"last_heartbeat\":1700000000,\"last_heartbeat_or_later\":true}");
    assert_int_equal(beat(m, id), REGISTRY_CHANGE);
    assert_shown(m, id, ",\"last_heartbeat\":1700000100}");
    assert_int_equal(mark_down(m, id), REGISTRY_CHANGE);
    restart(m);
    assert_shown(m, id, ",\"last_heartbeat\":1700000100}");
}

static void stored_state_that_contradicts_itself_is_refused(void **state)
{
#define NODE(id, ip, subnet)        \
    NODE_WITH_TOKEN(id, ip, subnet, \
                    id "f08aace122ee2368432c1ca23a049bc640bafbf00fdf33a52429f38ba12dbf9")
#define NODE_WITH_TOKEN(id, ip, subnet, token)                          \
    "{\"node_id\":\"00000000-0000-4000-8000-00000000000" id             \
    "\",\"hostname\":\"n\",\"host_ip\":\"" ip "\",\"subnet\":\"" subnet \
    "\",\"status\":\"up\",\"has_left\":false,"                          \
    "\"holds_address\":true,\"token_sha256\":\"" token "\"}"
#define ID(id) "00000000-0000-4000-8000-00000000000" id
    static const struct store_record good_lease = {"lease", "10.42.1.0/24",
                                                   "{\"state\":\"assigned\"}", 1, 1};
    static const struct store_record good_node = {
        "node", ID("1"), NODE_WITH_TOKEN("1", "10.0.0.1", "10.42.1.0/24", TOKEN_1_SHA256), 1, 1};
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
        {{"node", ID("2"), NODE("2", "10.0.0.2", "10.42.1.0/24"), 2, 2},
         "subnet is another node's"},
        {{"node", ID("2"), NODE_WITH_TOKEN("2", "10.0.0.2", "10.42.2.0/24", TOKEN_1_SHA256), 2, 2},
         "token is another node's"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESH(a_node_that_left_is_not_heard_until_it_registers),
        MESH(leaving_with_a_token_works_the_same),
        MESH(unknown_nodes_are_unknown),
        MESH(a_deleted_nodes_subnet_returns_after_the_quarantine),
        MESH(a_quarantine_lasts_until_every_live_node_that_tells_has_applied_the_deletion),
        MESH(a_quarantine_lasts_an_hour_at_most_and_does_not_wait_for_the_dead),
        MESH(a_restart_begins_the_quarantine_anew),
        SMALL(a_full_cluster_says_so_with_counts),
        MESH(a_beat_of_a_down_node_brings_it_up),
        MESH(beats_are_shown_at_once_and_cost_no_revision),
        MESH(whatever_changes_the_list_makes_another_edition_of_it),
        MESH(after_a_restart_everybody_has_a_full_timeout),
        MESH(a_beat_while_being_marked_down_brings_the_node_up_again),
        MESH(a_silent_node_stays_down),
        MESH(a_silent_node_that_is_forgiven_while_being_marked_down_stays_down),
        MESH(whoever_touches_a_change_under_way_waits_for_it),
        MESH(a_node_that_moves_keeps_both_addresses_busy),
        MESH(a_registration_that_is_not_stored_never_was),
        MESH(other_changes_that_are_not_stored_never_were),
        MESH(a_release_that_is_not_stored_is_tried_again),
        MESH(changes_under_way_are_freed_with_the_registry),
        MESH(a_restart_changes_nothing),
        MESH(after_a_restart_a_node_that_was_up_may_have_been_heard_later),
        MESH(stored_state_that_contradicts_itself_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
