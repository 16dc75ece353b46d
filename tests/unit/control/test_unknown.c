/* Nodes that count as up and have not been heard: after a restart, and in doubt. */
#include <string.h>

#include "tests/unit/control/mesh.h"

static bool is_shown_unknown(const struct mesh *m, const char *hostname)
{
    AUTO_STRBUF struct strbuf list = {0};
    AUTO_FREE char *member = mem_printf("\"hostname\":\"%s\"", hostname);
    const char *node, *end;

    registry_list_to_json(&m->registry, &list);
    node = strstr(list.data, member);
    assert_non_null(node);
    end = strchr(node, '}');
    assert_non_null(strstr(node, "\"status\":\"up\""));
    return memmem(node, (size_t)(end - node), "\"unknown\":true", 14) != NULL;
}

static void after_a_restart_a_node_is_unknown_until_it_is_heard(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one;
    uint64_t edition;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    one = m->grant;
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node3", "192.168.1.3"), REGISTRY_CHANGE);
    assert_int_equal(mark_down(m, m->grant.node_id), REGISTRY_CHANGE);
    assert_int_equal(m->registry.unknown_count, 0);
    restart(m);
    assert_int_equal(m->registry.unknown_count, 2); /* who is down is known to be */
    assert_true(is_shown_unknown(m, "node1"));
    edition = m->registry.edition;
    assert_int_equal(beat(m, one.node_id), REGISTRY_READY);
    assert_true(m->registry.edition > edition);
    assert_false(is_shown_unknown(m, "node1"));
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_READY);
    assert_false(is_shown_unknown(m, "node2"));
    assert_int_equal(m->registry.unknown_count, 0);
}

static void who_is_down_or_deleted_is_not_unknown_any_more(void **state)
{
    struct mesh *m = *state;
    struct registry_grant one;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    one = m->grant;
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    restart(m);
    assert_int_equal(mark_down(m, one.node_id), REGISTRY_CHANGE);
    assert_int_equal(m->registry.unknown_count, 1);
    assert_int_equal(delete_node(m, m->grant.node_id), REGISTRY_CHANGE);
    assert_int_equal(m->registry.unknown_count, 0);
    assert_int_equal(beat(m, one.node_id), REGISTRY_CHANGE);
    assert_false(is_shown_unknown(m, "node1"));
}

static void in_doubt_the_silent_are_unknown_and_the_others_are_not(void **state)
{
    struct mesh *m = *state;

    assert_int_equal(join(m, "node1", "192.168.1.1"), REGISTRY_CHANGE);
    assert_int_equal(join(m, "node2", "192.168.1.2"), REGISTRY_CHANGE);
    pass(m, TIMEOUT_MS / 2 + 1);
    assert_int_equal(beat(m, m->grant.node_id), REGISTRY_READY);
    registry_mark_unknown(&m->registry, m->now);
    assert_true(is_shown_unknown(m, "node1"));
    assert_false(is_shown_unknown(m, "node2"));
    assert_int_equal(m->registry.unknown_count, 1);
}

static void the_third_silence_within_five_minutes_is_news(void **state)
{
    struct node node = {0};

    assert_false(node_note_down(&node, 0));
    assert_false(node_note_down(&node, 100000));
    assert_true(node_note_down(&node, 300000));
    assert_false(node_note_down(&node, 300001)); /* told; the count begins anew */
    assert_false(node_note_down(&node, 400000));
    assert_false(node_note_down(&node, 600002)); /* five minutes after the first */
    assert_false(node_note_down(&node, 700000));
    assert_true(node_note_down(&node, 800000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESH(after_a_restart_a_node_is_unknown_until_it_is_heard),
        MESH(who_is_down_or_deleted_is_not_unknown_any_more),
        MESH(in_doubt_the_silent_are_unknown_and_the_others_are_not),
        MESH(the_third_silence_within_five_minutes_is_news),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
