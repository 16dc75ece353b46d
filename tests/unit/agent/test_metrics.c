/* What the agent says of itself to Prometheus. */
#include <stdio.h>
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
    AUTO_STRBUF struct strbuf out = {0};

    status_add_metrics(&out, &view);
    assert_line(out.data, "# HELP quilt_agent_peers Other nodes known.\n");
    assert_line(out.data, "\nquilt_agent_peers 2\n");
    assert_line(out.data, "\nquilt_agent_peers_wanted 1\n");
    assert_line(out.data, "\nquilt_agent_peers_programmed 1\n");
    assert_line(out.data, "\nquilt_agent_heartbeats_total 9\n");
    assert_line(out.data, "\nquilt_agent_stream_connected 1\n");
    assert_line(out.data, "\nquilt_agent_runtime_connected 1\n");
    assert_line(out.data, "\nquilt_agent_kernel_writes_total{object=\"fdb\",verb=\"add\"} 3\n");
    assert_line(out.data, "\nquilt_agent_repairs_total{object=\"fdb\"} 1\n");
}

/* Each line is a comment or "name{labels} value", and its name is the one announced last. */
static void check_line(const char *line, size_t n, char *announced, size_t size)
{
    const char type[] = "# TYPE ";
    size_t name_n = strcspn(line, "{ ");

    if (strncmp(line, type, strlen(type)) == 0)
        (void)snprintf(announced, size, "%.*s", (int)strcspn(line + strlen(type), " "),
                       line + strlen(type));
    if (line[0] == '#')
        return;
    assert_true(name_n < n);
    assert_int_equal(name_n, strlen(announced));
    assert_memory_equal(line, announced, name_n);
}

static void every_sample_has_help_and_type(void **state)
{
    struct status_view view = make_view();
    AUTO_STRBUF struct strbuf out = {0};
    char announced[128] = "";
    size_t n;

    status_add_metrics(&out, &view);
    for (const char *line = out.data; *line; line += n + 1) {
        n = strcspn(line, "\n");
        assert_int_equal(line[n], '\n');
        check_line(line, n, announced, sizeof announced);
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
