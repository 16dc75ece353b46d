/* The ring of events: what it says, how far it reaches back, and who is lost. */
#include "control/services/events.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/control/mesh.h"

#define NODES EVENT_BIT(EVENT_NODE)
#define RESERVATIONS EVENT_BIT(EVENT_RESERVATION)
#define ALL (NODES | RESERVATIONS)
#define MUCH (size_t)(1024 * 1024)

static void add(struct events *events, uint64_t revision)
{
    events_add_deletion(events, revision, "00000000-0000-4000-8000-000000000001");
}

static void reserve(struct events *events, uint64_t revision)
{
    const struct api_reservation reservation = {
        .host = "node7", .subnet = {.addr = 0x0a2a0700, .len = 24}, .created_at = 5};

    events_add_reservation(events, revision, &reservation);
}

/* What a follower gets next: the ids of the events, "end" or "lost". */
static char *read_ids(struct events *events, unsigned int kinds, uint64_t *place)
{
    AUTO_STRBUF struct strbuf out = {0};
    AUTO_FREE char *text = NULL;
    struct http_body *body = NULL;
    enum events_outcome outcome = events_next(events, kinds, place, &body);

    if (outcome == EVENTS_END)
        return mem_strdup("end");
    if (outcome == EVENTS_LOST)
        return mem_strdup("lost");
    text = mem_printf("%.*s", (int)http_body_len(body), http_body_bytes(body));
    for (const char *id = strstr(text, "\nid: "); id; id = strstr(id + 1, "\nid: "))
        strbuf_addf(&out, "%s%.*s", out.len > 0 ? " " : "", (int)strcspn(id + 5, "\n"), id + 5);
    return strbuf_take(&out);
}

static void assert_next(struct events *events, unsigned int kinds, uint64_t *place,
                        const char *expected)
{
    AUTO_FREE char *ids = read_ids(events, kinds, place);

    assert_string_equal(ids, expected);
}

static void a_follower_gets_exactly_what_it_missed(void **state)
{
    struct events events;
    uint64_t place = 99;

    events_init(&events, 8, MUCH, 10);
    add(&events, 11);
    add(&events, 14); /* not every revision has an event */
    add(&events, 15);
    assert_true(events_seek(&events, 12, 15, &place));
    assert_next(&events, NODES, &place, "14 15");
    assert_next(&events, NODES, &place, "end");
    add(&events, 16);
    assert_next(&events, NODES, &place, "16");
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

    events_init(&events, 8, MUCH, 10);
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

    events_init(&events, 8, MUCH, 500);
    assert_false(events_seek(&events, 499, 500, &place));
    assert_true(events_seek(&events, 500, 500, &place));
    assert_false(events_seek(&events, 501, 500, &place));
    events_deinit(&events);
}

static void whoever_is_overtaken_is_lost(void **state)
{
    struct events events;
    uint64_t slow = 0, place = 99;

    events_init(&events, 4, MUCH, 0);
    for (uint64_t revision = 1; revision <= 4; revision++)
        add(&events, revision);
    add(&events, 5);
    assert_next(&events, NODES, &slow, "lost");
    slow = 1;
    assert_next(&events, NODES, &slow, "2 3 4 5");
    assert_false(events_seek(&events, 0, 5, &place));
    assert_true(events_seek(&events, 1, 5, &place));
    assert_next(&events, NODES, &place, "2 3 4 5");
    events_deinit(&events);
}

static void no_more_bytes_are_kept_than_may_be(void **state)
{
    struct events events;
    uint64_t slow = 0, place = 99;
    size_t one;

    events_init(&events, 1000, MUCH, 0);
    add(&events, 1);
    one = events.bytes;
    events_deinit(&events);
    events_init(&events, 1000, 3 * one, 0);
    for (uint64_t revision = 1; revision <= 5; revision++)
        add(&events, revision);
    assert_int_equal(events.bytes, 3 * one);
    assert_next(&events, NODES, &slow, "lost");
    assert_false(events_seek(&events, 1, 5, &place));
    assert_true(events_seek(&events, 2, 5, &place));
    assert_next(&events, NODES, &place, "3 4 5");
    events_deinit(&events);
}

static void the_latest_event_is_kept_whatever_its_size(void **state)
{
    struct events events;
    uint64_t place = 0;

    events_init(&events, 8, 1, 0);
    add(&events, 1);
    assert_next(&events, NODES, &place, "1");
    add(&events, 2);
    assert_next(&events, NODES, &place, "2");
    assert_int_equal(events.next - events.first, 1);
    events_deinit(&events);
}

static void a_follower_hears_only_the_kinds_it_wants(void **state)
{
    struct events events;
    uint64_t nodes = 0, reservations = 0, all = 0;

    events_init(&events, 16, MUCH, 0);
    add(&events, 1);
    reserve(&events, 2);
    reserve(&events, 3);
    add(&events, 4);
    reserve(&events, 5);
    assert_next(&events, NODES, &nodes, "1 4");
    assert_next(&events, RESERVATIONS, &reservations, "2 3 5");
    assert_next(&events, ALL, &all, "1 2 3 4 5");
    reserve(&events, 6);
    assert_next(&events, NODES, &nodes, "end");
    assert_int_equal(nodes, 6); /* it has passed over it, and is not lost for that */
    assert_next(&events, RESERVATIONS, &reservations, "6");
    add(&events, 7);
    assert_next(&events, NODES, &nodes, "7");
    events_deinit(&events);
}

static void kinds_are_words_with_commas(void **state)
{
    static const struct {
        const char *text;
        unsigned int kinds; /* 0: refused */
    } rows[] = {
        {"node", NODES},
        {"reservation", RESERVATIONS},
        {"node,reservation", ALL},
        {"reservation,node,node", ALL},
        {"", 0},
        {"node,", 0},
        {",node", 0},
        {"nodes", 0},
        {"node reservation", 0},
        {"NODE", 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned int kinds = 0;

        assert_int_equal(events_parse_kinds(rows[i].text, &kinds), rows[i].kinds ? 0 : -EINVAL);
        assert_int_equal(kinds, rows[i].kinds);
    }
    assert_says("there are node, reservation");
}

static void assert_text(struct http_body *body, const char *expected)
{
    assert_int_equal(http_body_len(body), strlen(expected));
    assert_memory_equal(http_body_bytes(body), expected, strlen(expected));
}

static void followers_at_one_place_share_what_follows(void **state)
{
    struct events events;
    struct http_body *one = NULL, *other = NULL, *of_all = NULL;
    uint64_t a = 0, b = 0, c = 0, late = 1;

    events_init(&events, 4, MUCH, 0);
    for (uint64_t revision = 1; revision <= 3; revision++)
        add(&events, revision);
    assert_int_equal(events_next(&events, NODES, &a, &one), EVENTS_ONE);
    assert_int_equal(events_next(&events, ALL, &c, &of_all), EVENTS_ONE);
    assert_int_equal(events_next(&events, NODES, &b, &other), EVENTS_ONE);
    assert_ptr_equal(one, other);
    assert_ptr_not_equal(one, of_all);
    assert_int_equal(a, 3);
    assert_next(&events, NODES, &late, "2 3");
    events_deinit(&events);
}

static void no_more_are_joined_than_a_slow_follower_may_hold(void **state)
{
    struct events events;
    struct http_body *body = NULL;
    uint64_t place = 0;

    events_init(&events, EVENTS_JOINED + 2, MUCH, 0);
    for (uint64_t revision = 1; revision <= EVENTS_JOINED + 1; revision++)
        add(&events, revision);
    assert_int_equal(events_next(&events, NODES, &place, &body), EVENTS_ONE);
    assert_int_equal(place, EVENTS_JOINED);
    assert_next(&events, NODES, &place, "33");
    events_deinit(&events);
}

#define NODE_1                                                                                    \
    "{\"node_id\":\"00000000-0000-4000-8000-000000000001\",\"hostname\":\"node1\","               \
    "\"host_ip\":\"192.168.1.1\",\"subnet\":\"10.42.1.0/24\",\"cpu_cores\":null,\"ram_mb\":null," \
    "\"status\":\"up\",\"registered_at\":1700000000,\"last_heartbeat\":1700000000}"
#define NODE_7 "{\"host\":\"node7\",\"subnet\":\"10.42.7.0/24\",\"created_at\":1700000000}"

static void assert_event(struct events *events, uint64_t *place, const char *expected)
{
    struct http_body *body = NULL;

    assert_int_equal(events_next(events, ALL, place, &body), EVENTS_ONE);
    assert_text(body, expected);
}

static void events_are_written_as_the_stream_has_them(void **state)
{
    struct mesh *m = *state;
    const struct api_reservation reservation = {
        .host = "node7", .subnet = {.addr = 0x0a2a0700, .len = 24}, .created_at = 1700000000};
    struct events events;
    uint64_t place = 0;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    events_init(&events, 4, MUCH, 0);
    events_add_node(&events, 1, registry_find(&m->registry, m->grant.node_id));
    assert_event(&events, &place, "event: node\nid: 1\ndata: " NODE_1 "\n\n");
    add(&events, 2);
    assert_event(&events, &place,
                 "event: node-deleted\nid: 2\ndata: "
                 "{\"node_id\":\"00000000-0000-4000-8000-000000000001\"}\n\n");
    events_add_reservation(&events, 3, &reservation);
    assert_event(&events, &place, "event: reservation\nid: 3\ndata: " NODE_7 "\n\n");
    events_add_unreservation(&events, 4, &reservation);
    assert_event(&events, &place, "event: reservation-deleted\nid: 4\ndata: " NODE_7 "\n\n");
    events_deinit(&events);
}

static void a_bookmark_is_an_event_behind_a_comment(void **state)
{
    struct http_body *body = events_make_bookmark(12);

    assert_text(body, ": still here\n\nevent: bookmark\ndata: {\"revision\":12}\nid: 12\n\n");
    http_body_unref(body);
}

#define CLUSTER "\"cluster_id\":\"11111111-2222-4333-8444-555555555555\""

static void assert_snapshot(const struct mesh *m, unsigned int kinds, const char *expected)
{
    struct http_body *body = events_make_snapshot(&m->registry, kinds);

    assert_text(body, expected);
    http_body_unref(body);
}

static void a_snapshot_has_what_is_wanted_its_cluster_and_its_revision(void **state)
{
    struct mesh *m = *state;
    struct api_reservation wish = {.host = "node7", .subnet = {.addr = 0x0a2a0700, .len = 24}};
    struct registry_change *change = NULL;

    assert_snapshot(m, NODES,
                    "event: snapshot\nid: 0\ndata: {\"nodes\":[]," CLUSTER ",\"revision\":0}\n\n");
    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(registry_plan_reserve(&m->registry, &wish, m->now, &change), REGISTRY_CHANGE);
    assert_int_equal(finish(m, change), STORE_DONE);
    assert_snapshot(m, NODES,
                    "event: snapshot\nid: 2\ndata: {\"nodes\":[" NODE_1 "]," CLUSTER
                    ",\"revision\":2}\n\n");
    assert_snapshot(m, RESERVATIONS,
                    "event: snapshot\nid: 2\ndata: {\"reservations\":[" NODE_7 "]," CLUSTER
                    ",\"revision\":2}\n\n");
    assert_snapshot(m, ALL,
                    "event: snapshot\nid: 2\ndata: {\"nodes\":[" NODE_1
                    "],\"reservations\":[" NODE_7 "]," CLUSTER ",\"revision\":2}\n\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_gets_exactly_what_it_missed),
        cmocka_unit_test(it_knows_how_far_it_reaches_back),
        cmocka_unit_test(after_a_restart_only_the_present_can_be_resumed),
        cmocka_unit_test(whoever_is_overtaken_is_lost),
        cmocka_unit_test(no_more_bytes_are_kept_than_may_be),
        cmocka_unit_test(the_latest_event_is_kept_whatever_its_size),
        cmocka_unit_test(a_follower_hears_only_the_kinds_it_wants),
        cmocka_unit_test(kinds_are_words_with_commas),
        cmocka_unit_test(followers_at_one_place_share_what_follows),
        cmocka_unit_test(no_more_are_joined_than_a_slow_follower_may_hold),
        MESH(events_are_written_as_the_stream_has_them),
        cmocka_unit_test(a_bookmark_is_an_event_behind_a_comment),
        MESH(a_snapshot_has_what_is_wanted_its_cluster_and_its_revision),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
