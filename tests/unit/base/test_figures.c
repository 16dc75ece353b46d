/* Prometheus' text format. */
#include "lib/base/figures.h"

#include <string.h>

#include "tests/unit/cmocka.h"

static void each_figure_has_help_type_and_value(void **state)
{
    static const struct figure figures[] = {
        {"quilt_nodes", "gauge", "Nodes there are.", 3},
        {"quilt_beats_total", "counter", "Beats heard.", UINT64_MAX},
    };
    AUTO_STRBUF struct strbuf out = {0};

    figures_add(&out, figures, ARRAY_LEN(figures));
    assert_string_equal(out.data, "# HELP quilt_nodes Nodes there are.\n"
                                  "# TYPE quilt_nodes gauge\n"
                                  "quilt_nodes 3\n"
                                  "# HELP quilt_beats_total Beats heard.\n"
                                  "# TYPE quilt_beats_total counter\n"
                                  "quilt_beats_total 18446744073709551615\n");
}

static void a_process_tells_version_memory_and_time(void **state)
{
    AUTO_STRBUF struct strbuf out = {0};
    const char *memory;

    figures_add_process(&out, "quilt-test");
    assert_non_null(strstr(out.data, "\nquilt_build_info{program=\"quilt-test\",version=\""));
    memory = strstr(out.data, "\nprocess_resident_memory_bytes ");
    assert_non_null(memory);
    /* At least a mebibyte: seven digits. */
    assert_true(strspn(memory + strlen("\nprocess_resident_memory_bytes "), "0123456789") >= 7);
    assert_non_null(strstr(out.data, "\nprocess_cpu_seconds_total "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_figure_has_help_type_and_value),
        cmocka_unit_test(a_process_tells_version_memory_and_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
