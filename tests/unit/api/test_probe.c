/* Probes as JSON. */
#include "lib/api/probe.h"

#include <string.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define ID "0123e4a6-0000-4000-8000-000000000001"

static int read_probes(const char *text, struct api_probe *ret, size_t *ret_count)
{
    AUTO_JSON json_t *value = NULL;

    assert_int_equal(json_parse(text, strlen(text), &value), 0);
    return api_probes_from_json(value, ret, ret_count);
}

static void what_is_written_is_read_again(void **state)
{
    static const char text[] =
        "{\"node_id\":\"" ID "\",\"watched\":true,\"state\":\"lost\",\"silent_ms\":2500,"
        "\"overlay_silent_ms\":2600,\"underlay_us\":310,\"underlay_min_us\":250,"
        "\"underlay_loss\":3,\"overlay_us\":350,\"overlay_min_us\":290,\"overlay_loss\":4,"
        "\"largest_bytes\":1400,\"wanted_bytes\":1500}";
    AUTO_FREE char *body = mem_printf("{\"probes\":[%s]}", text);
    AUTO_STRBUF struct strbuf out = {0};
    struct api_probe probes[API_PROBES_MAX];
    size_t count;

    assert_int_equal(read_probes(body, probes, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(probes[0].state, API_PROBE_LOST);
    api_probe_to_json(&probes[0], &out);
    assert_string_equal(out.data, text);
}

static void what_is_not_said_is_not_known(void **state)
{
    struct api_probe probes[API_PROBES_MAX];
    size_t count = 7;

    assert_int_equal(read_probes("{}", probes, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(read_probes("{\"probes\":[{\"node_id\":\"" ID
                                 "\",\"state\":\"unheard\",\"new\":[]}]}",
                                 probes, &count),
                     0);
    assert_int_equal(count, 1);
    assert_false(probes[0].is_watched);
    assert_int_equal(probes[0].silent_ms, -1);
    assert_int_equal(probes[0].overlay.loss_percent, -1);
}

static void what_makes_no_sense_is_named(void **state)
{
    static const char *const bodies[] = {
        "{\"probes\":{}}",
        "{\"probes\":[1]}",
        "{\"probes\":[{\"state\":\"lost\"}]}",
        "{\"probes\":[{\"node_id\":\"" ID "\"}]}",
        "{\"probes\":[{\"node_id\":\"x\",\"state\":\"lost\"}]}",
        "{\"probes\":[{\"node_id\":\"" ID "\",\"state\":\"dead\"}]}",
        "{\"probes\":[{\"node_id\":\"" ID "\",\"state\":\"lost\",\"overlay_loss\":101}]}",
        "{\"probes\":[{\"node_id\":\"" ID "\",\"state\":\"lost\",\"silent_ms\":-1}]}",
        "{\"probes\":[{\"node_id\":\"" ID "\",\"state\":\"lost\",\"watched\":1}]}",
    };
    struct api_probe probes[API_PROBES_MAX];
    size_t count;

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        assert_int_equal(read_probes(bodies[i], probes, &count), -EINVAL);
        assert_non_null(strstr(err_text(), "probes"));
    }
}

static void too_many_are_refused(void **state)
{
    AUTO_STRBUF struct strbuf body = {0};
    struct api_probe probes[API_PROBES_MAX];
    size_t count;

    strbuf_adds(&body, "{\"probes\":[0");
    for (int i = 0; i < API_PROBES_MAX; i++)
        strbuf_adds(&body, ",0");
    strbuf_adds(&body, "]}");
    assert_int_equal(read_probes(body.data, probes, &count), -EINVAL);
    assert_non_null(strstr(err_text(), "more than 64"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_is_not_said_is_not_known),
        cmocka_unit_test(what_makes_no_sense_is_named),
        cmocka_unit_test(too_many_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
