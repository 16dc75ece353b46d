/* How the mesh is shown. */
#include "cli/mesh_view.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/cmocka.h"

#define A "00000000-0000-4000-8000-000000000001"
#define B "00000000-0000-4000-8000-000000000002"
#define NODE(id, name, n) NODE_THAT_IS("up", id, name, n)
#define NODE_THAT_IS(status, id, name, n)                                                        \
    "{\"node_id\":\"" id "\",\"hostname\":\"" name "\",\"host_ip\":\"192.168.1." n               \
    "\",\"subnet\":\"10.42." n ".0/24\",\"cpu_cores\":null,\"ram_mb\":null,\"status\":\"" status \
    "\","                                                                                        \
    "\"registered_at\":1,\"last_heartbeat\":1}"
#define GOOD                                                                             \
    "\"silent_ms\":10,\"overlay_silent_ms\":10,\"underlay_us\":310,\"underlay_loss\":0," \
    "\"overlay_us\":350,\"overlay_loss\":0,\"largest_bytes\":1500,\"wanted_bytes\":1500"
#define CELL(from, to, state, rest)                                                           \
    "{\"from\":\"" from "\",\"age_s\":1,\"probe\":{\"node_id\":\"" to "\",\"state\":\"" state \
    "\"," rest "}}"
#define MESH_WITH(node_b, ab, ba) \
    "{\"nodes\":[" NODE(A, "a", "1") "," node_b "],\"probes\":[" ab "," ba "],\"left_out\":0}"
#define MESH(ab, ba) MESH_WITH(NODE(B, "b", "2"), ab, ba)
#define DOWN_B NODE_THAT_IS("down", B, "b", "2")

static char *show(const char *text, bool is_whole)
{
    AUTO_JSON json_t *body = NULL;
    AUTO_MESH_VIEW struct mesh_view *view = NULL;
    struct strbuf out = {0};

    assert_int_equal(json_parse(text, strlen(text), &body), 0);
    assert_int_equal(mesh_view_new(body, &view), 0);
    mesh_view_print(view, is_whole, &out);
    return strbuf_take(&out);
}

static void a_healthy_mesh_is_a_matrix_of_round_trips(void **state)
{
    AUTO_FREE char *text =
        show(MESH(CELL(A, B, "reached", GOOD), CELL(B, A, "reached", GOOD)), false);

    assert_string_equal(text, "FROM  a       b\n"
                              "a     .       0.35ms\n"
                              "b     0.35ms  .\n"
                              "\n"
                              "Every way that was probed is as it should be.\n");
}

static void ways_of_a_node_that_is_down_are_not_judged(void **state)
{
    AUTO_FREE char *text =
        show(MESH_WITH(DOWN_B, CELL(A, B, "reached", GOOD), CELL(B, A, "lost", "\"silent_ms\":9")),
             false);

    assert_string_equal(text, "FROM  a     b\n"
                              "a     .     down\n"
                              "b     down  .\n"
                              "\n"
                              "No way between nodes that are up is known.\n"
                              "Down: b.\n");
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *state, *rest, *words;
    } table[] = {
        {"lost", "\"silent_ms\":5000", " lost"},
        {"unheard", "\"x\":0", " unheard"},
        {"reached", "\"silent_ms\":1,\"underlay_us\":1,\"underlay_loss\":0", " no overlay"},
        {"reached",
         "\"silent_ms\":1,\"overlay_silent_ms\":9000,\"underlay_us\":1,\"underlay_loss\":0,"
         "\"overlay_us\":5,\"overlay_loss\":20",
         " no overlay"},
        {"reached", "\"overlay_us\":1,\"overlay_loss\":0", " no underlay"},
        {"reached", "\"underlay_us\":1,\"underlay_loss\":3,\"overlay_us\":1,\"overlay_loss\":30",
         " loss 30%"},
        {"reached",
         "\"underlay_us\":1,\"underlay_loss\":0,\"overlay_us\":1,\"overlay_loss\":0,"
         "\"largest_bytes\":1400,\"wanted_bytes\":1500",
         " mtu 1400"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        AUTO_FREE char *cell =
            mem_printf("{\"from\":\"" A "\",\"probe\":{\"node_id\":\"" B "\",\"state\":\"%s\",%s}}",
                       table[i].state, table[i].rest);
        AUTO_FREE char *body =
            mem_printf("{\"nodes\":[" NODE(A, "a", "1") "," NODE(B, "b", "2") "],\"probes\":[%s],"
                                                                              "\"left_out\":2}",
                       cell);
        AUTO_FREE char *text = show(body, false);

        assert_non_null(strstr(text, table[i].words));
        assert_non_null(strstr(text, "2 more"));
    }
}

static void one_that_does_not_reach_back_is_one_way(void **state)
{
    AUTO_FREE char *text =
        show(MESH(CELL(A, B, "reached", GOOD), CELL(B, A, "lost", "\"silent_ms\":9")), true);

    assert_non_null(strstr(text, "one way"));
    assert_null(strstr(text, "FROM  a"));
}

static void an_answer_that_makes_no_sense_is_refused(void **state)
{
    static const char *const bodies[] = {
        "{}", "{\"nodes\":[]}", "{\"nodes\":[],\"probes\":[1],\"left_out\":0}",
        "{\"nodes\":[],\"probes\":[{\"from\":\"x\"}],\"left_out\":0}"};

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        AUTO_JSON json_t *body = NULL;
        struct mesh_view *view = NULL;

        assert_int_equal(json_parse(bodies[i], strlen(bodies[i]), &body), 0);
        assert_int_equal(mesh_view_new(body, &view), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_mesh_is_a_matrix_of_round_trips),
        cmocka_unit_test(ways_of_a_node_that_is_down_are_not_judged),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(one_that_does_not_reach_back_is_one_way),
        cmocka_unit_test(an_answer_that_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
