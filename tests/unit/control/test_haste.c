/* Who goes down before its time, for what its witnesses say. */
#include <string.h>

#include "control/services/registry_probes.h"
#include "lib/base/list.h"
#include "tests/unit/control/mesh.h"

#define NODES 4
#define DEAD (NODES - 1)
#define NOTICED_MS 3000 /* a witness has lost a node that is silent for so long */

struct cast {
    struct registry_grant grants[NODES];
    size_t named;
};

static void join_all(struct mesh *m, struct cast *cast)
{
    static const char *const names[NODES] = {"node1", "node2", "node3", "node4"};
    static const char *const addresses[NODES] = {"192.168.1.1", "192.168.1.2", "192.168.1.3",
                                                 "192.168.1.4"};

    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(join(m, names[i], addresses[i]), REGISTRY_CHANGE);
        cast->grants[i] = m->grant;
    }
}

/* All but the dead one are heard, reach each other, and have lost it. */
static void accuse(struct mesh *m, const struct cast *cast)
{
    for (size_t by = 0; by < DEAD; by++) {
        struct node *node = registry_find(&m->registry, cast->grants[by].node_id);
        struct api_probe probes[NODES] = {0};

        for (size_t i = 0; i < NODES; i++) {
            memcpy(probes[i].node_id, cast->grants[i].node_id, sizeof probes[i].node_id);
            probes[i].is_watched = true;
            probes[i].state = i == DEAD ? API_PROBE_LOST : API_PROBE_REACHED;
            probes[i].silent_ms = i == DEAD ? NOTICED_MS : 100;
        }
        assert_int_equal(beat(m, cast->grants[by].node_id), REGISTRY_READY);
        registry_note_probes(&m->registry, node, probes, NODES, m->now);
    }
}

static bool count_named(struct monitor_entry *entry, void *data)
{
    struct cast *cast = data;
    const struct node *node = CONTAINER_OF(entry, struct node, watch);

    assert_string_equal(node->facts.api.hostname, "node4");
    cast->named++;
    return true;
}

static size_t named_a_second_later(struct mesh *m, struct cast *cast)
{
    cast->named = 0;
    pass(m, 1000);
    registry_check_suspects(&m->registry, m->now, count_named, cast);
    return cast->named;
}

static void who_is_lost_by_its_witnesses_goes_at_once(void **state)
{
    struct mesh *m = *state;
    struct cast cast = {.named = 0};

    join_all(m, &cast);
    pass(m, NOTICED_MS);
    accuse(m, &cast);
    assert_int_equal(named_a_second_later(m, &cast), 1);
}

/* Heartbeats that came while the control plane was held up are read first, and are as old as that:
 * who was lost then may be back. */
static void what_has_waited_while_the_control_plane_was_held_up_accuses_nobody(void **state)
{
    struct mesh *m = *state;
    struct cast cast = {.named = 0};

    join_all(m, &cast);
    pass(m, NOTICED_MS);
    registry_doubt_witnesses(&m->registry, m->now);
    accuse(m, &cast);
    pass(m, 200); /* the last of them is read a little later */
    accuse(m, &cast);
    assert_int_equal(named_a_second_later(m, &cast), 0);
}

static void what_is_told_later_is_believed_again(void **state)
{
    struct mesh *m = *state;
    struct cast cast = {.named = 0};

    join_all(m, &cast);
    registry_doubt_witnesses(&m->registry, m->now);
    accuse(m, &cast);
    pass(m, NOTICED_MS);
    accuse(m, &cast); /* what waited, and now what is of now */
    assert_int_equal(named_a_second_later(m, &cast), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESH(who_is_lost_by_its_witnesses_goes_at_once),
        MESH(what_has_waited_while_the_control_plane_was_held_up_accuses_nobody),
        MESH(what_is_told_later_is_believed_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
