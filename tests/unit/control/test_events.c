/* The ring of events: what it says, how far it reaches back, and who is lost. */
#include <string.h>

#include "control/services/events.h"
#include "tests/unit/control/mesh.h"

static void add(struct events *events, uint64_t revision)
{
    events_add_deletion(events, revision, "00000000-0000-4000-8000-000000000001");
}

/* Reads the event at a place; its revision as the wire has it. */
static uint64_t read_revision(const struct events *events, uint64_t *place)
{
    struct http_body *body = NULL;
    uint64_t before = *place;

    assert_int_equal(events_next(events, place, &body), EVENTS_ONE);
    assert_non_null(body);
    assert_int_equal(*place, before + 1);
    return events->ring[before % events->size].revision;
}

static void a_follower_gets_exactly_what_it_missed(void **state)
{
    struct events events;
    struct http_body *body = NULL;
    uint64_t place = 99;

    events_init(&events, 8, 10);
    add(&events, 11);
    add(&events, 14); /* not every revision has an event */
    add(&events, 15);
    assert_true(events_seek(&events, 12, 15, &place));
    assert_int_equal(read_revision(&events, &place), 14);
    assert_int_equal(read_revision(&events, &place), 15);
    assert_int_equal(events_next(&events, &place, &body), EVENTS_END);
    add(&events, 16);
    assert_int_equal(read_revision(&events, &place), 16);
    events_deinit(&events);
}

static void it_knows_how_far_it_reaches_back(void **state)
{
    static const struct {
        uint64_t revision;
        bool is_known;
        uint64_t place;
    } rows[] = {
        {9, false, 99}, {10, true, 0},   {11, true, 1},           {12, true, 1},  {14, true, 2},
        {17, true, 2},  {18, false, 99}, {UINT64_MAX, false, 99}, {0, false, 99},
    };
    struct events events;

    events_init(&events, 8, 10);
    add(&events, 11);
    add(&events, 14);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t place = 99;

        assert_int_equal(events_seek(&events, rows[i].revision, 17, &place), rows[i].is_known);
        assert_int_equal(place, rows[i].place);
    }
    events_deinit(&events);
}

static void after_a_restart_only_the_present_can_be_resumed(void **state)
{
    struct events events;
    uint64_t place = 99;

    events_init(&events, 8, 500);
    assert_false(events_seek(&events, 499, 500, &place));
    assert_true(events_seek(&events, 500, 500, &place));
    assert_false(events_seek(&events, 501, 500, &place));
    events_deinit(&events);
}

static void whoever_is_overtaken_is_lost(void **state)
{
    struct events events;
    struct http_body *body = NULL;
    uint64_t slow = 0, place = 99;

    events_init(&events, 4, 0);
    for (uint64_t revision = 1; revision <= 4; revision++)
        add(&events, revision);
    assert_int_equal(read_revision(&events, &slow), 1);
    add(&events, 5);
    assert_int_equal(read_revision(&events, &slow), 2);
    add(&events, 6);
    assert_int_equal(read_revision(&events, &slow), 3);
    add(&events, 7);
    add(&events, 8);
    assert_int_equal(events_next(&events, &slow, &body), EVENTS_LOST);
    assert_false(events_seek(&events, 3, 8, &place));
    assert_true(events_seek(&events, 4, 8, &place));
    assert_int_equal(read_revision(&events, &place), 5);
    events_deinit(&events);
}

static void assert_text(struct http_body *body, const char *expected)
{
    assert_int_equal(http_body_len(body), strlen(expected));
    assert_memory_equal(http_body_bytes(body), expected, strlen(expected));
}

#define DELETED "\ndata: {\"node_id\":\"00000000-0000-4000-8000-000000000001\"}\n\n"

static void followers_at_one_place_share_what_follows(void **state)
{
    struct events events;
    struct http_body *one = NULL, *other = NULL;
    uint64_t a = 0, b = 0, late = 1;

    events_init(&events, 4, 0);
    for (uint64_t revision = 1; revision <= 3; revision++)
        add(&events, revision);
    assert_int_equal(events_next_few(&events, &a, &one), EVENTS_ONE);
    assert_int_equal(events_next_few(&events, &b, &other), EVENTS_ONE);
    assert_ptr_equal(one, other);
    assert_text(one, "event: node-deleted\nid: 1" DELETED "event: node-deleted\nid: 2" DELETED
                     "event: node-deleted\nid: 3" DELETED);
    assert_int_equal(a, 3);
    assert_int_equal(events_next_few(&events, &a, &one), EVENTS_END);
    assert_int_equal(events_next_few(&events, &late, &one), EVENTS_ONE);
    assert_text(one, "event: node-deleted\nid: 2" DELETED "event: node-deleted\nid: 3" DELETED);
    events_deinit(&events);
}

static void no_more_are_joined_than_a_slow_follower_may_hold(void **state)
{
    struct events events;
    struct http_body *body = NULL;
    uint64_t place = 0, lost = 0;

    events_init(&events, EVENTS_JOINED + 2, 0);
    for (uint64_t revision = 1; revision <= EVENTS_JOINED + 1; revision++)
        add(&events, revision);
    assert_int_equal(events_next_few(&events, &place, &body), EVENTS_ONE);
    assert_int_equal(place, EVENTS_JOINED);
    assert_int_equal(read_revision(&events, &place), EVENTS_JOINED + 1);
    add(&events, EVENTS_JOINED + 2);
    add(&events, EVENTS_JOINED + 3); /* goes over the first */
    assert_int_equal(events_next_few(&events, &lost, &body), EVENTS_LOST);
    events_deinit(&events);
}

#define NODE_1                                                                                    \
    "{\"node_id\":\"00000000-0000-4000-8000-000000000001\",\"hostname\":\"node1\","               \
    "\"host_ip\":\"192.168.1.1\",\"subnet\":\"10.42.1.0/24\",\"cpu_cores\":null,\"ram_mb\":null," \
    "\"status\":\"up\",\"registered_at\":1700000000,\"last_heartbeat\":1700000000}"

static void events_are_written_as_the_stream_has_them(void **state)
{
    struct mesh *m = *state;
    struct http_body *body = NULL;
    struct events events;
    uint64_t place = 0;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    events_init(&events, 4, 0);
    events_add_node(&events, 1, registry_find(&m->registry, m->grant.node_id));
    add(&events, 2);
    assert_int_equal(events_next(&events, &place, &body), EVENTS_ONE);
    assert_text(body, "event: node\nid: 1\ndata: " NODE_1 "\n\n");
    assert_int_equal(events_next(&events, &place, &body), EVENTS_ONE);
    assert_text(body, "event: node-deleted\nid: 2\ndata: "
                      "{\"node_id\":\"00000000-0000-4000-8000-000000000001\"}\n\n");
    events_deinit(&events);
}

#define CLUSTER "\"cluster_id\":\"11111111-2222-4333-8444-555555555555\""

static void a_snapshot_is_the_list_its_cluster_and_its_revision(void **state)
{
    struct mesh *m = *state;
    struct http_body *body = events_make_snapshot(&m->registry);

    assert_text(body,
                "event: snapshot\nid: 0\ndata: {\"nodes\":[]," CLUSTER ",\"revision\":0}\n\n");
    http_body_unref(body);
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    body = events_make_snapshot(&m->registry);
    assert_text(body, "event: snapshot\nid: 1\ndata: {\"nodes\":[" NODE_1 "]," CLUSTER
                      ",\"revision\":1}\n\n");
    http_body_unref(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_gets_exactly_what_it_missed),
        cmocka_unit_test(it_knows_how_far_it_reaches_back),
        cmocka_unit_test(after_a_restart_only_the_present_can_be_resumed),
        cmocka_unit_test(whoever_is_overtaken_is_lost),
        cmocka_unit_test(followers_at_one_place_share_what_follows),
        cmocka_unit_test(no_more_are_joined_than_a_slow_follower_may_hold),
        MESH(events_are_written_as_the_stream_has_them),
        MESH(a_snapshot_is_the_list_its_cluster_and_its_revision),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
