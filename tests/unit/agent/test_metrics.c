/* What the agent says of itself to Prometheus. */
#include <string.h>

#include "tests/unit/agent/view.h"
#include "tests/unit/cmocka.h"

static void assert_line(const char *text, const char *line)
{
    if (!strstr(text, line))
        print_error("missing: %s\n", line);
    assert_non_null(strstr(text, line));
}

static void the_figures_are_those_of_the_agent(void **state)
{
    struct status_view view = make_view();
    AUTO_FREE char *text = status_to_metrics(&view);

    assert_line(text, "\nquilt_agent_peers 2\n");
    assert_line(text, "\nquilt_agent_peers_wanted 1\n");
    assert_line(text, "\nquilt_agent_peers_programmed 1\n");
    assert_line(text, "\nquilt_agent_heartbeats_total 9\n");
    assert_line(text, "\nquilt_agent_stream_connected 1\n");
    assert_line(text, "\nquilt_agent_runtime_connected 1\n");
    assert_line(text, "\nquilt_agent_resident_bytes 12345678\n");
    assert_line(text, "\nquilt_agent_kernel_writes_total{object=\"fdb\",verb=\"add\"} 3\n");
    assert_line(text, "\nquilt_agent_repairs_total{object=\"fdb\"} 1\n");
}

/* Each line is a comment or "name{labels} value", and each name was announced before. */
static void every_sample_has_help_and_type(void **state)
{
    struct status_view view = make_view();
    AUTO_FREE char *text = status_to_metrics(&view);
    char *rest = NULL;
    AUTO_FREE char *known = mem_strdup("");

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        size_t n = strcspn(line, "{ ");

        if (strncmp(line, "# TYPE ", 7) == 0) {
            free(known);
            known = mem_printf("%.*s", (int)strcspn(line + 7, " "), line + 7);
        }
        if (line[0] == '#')
            continue;
        assert_int_equal(n, strlen(known));
        assert_int_equal(strncmp(line, known, n), 0);
        assert_non_null(strchr(line, ' '));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_figures_are_those_of_the_agent),
        cmocka_unit_test(every_sample_has_help_and_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
