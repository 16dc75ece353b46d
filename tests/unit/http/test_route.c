/* The path matcher: which resource a target belongs to, with which parameters and methods. */
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/http/route.h"
#include "tests/unit/cmocka.h"

static const struct http_route routes[] = {
    {"GET", "/", NULL},
    {"GET", "/api/nodes", NULL},
    {"POST", "/api/nodes/register", NULL},
    {"GET", "/api/nodes/:id", NULL},
    {"DELETE", "/api/nodes/:node", NULL},
    {"POST", "/api/nodes/:id/heartbeat", NULL},
    {"GET", "/pairs/:a/:b", NULL},
};

static int make_table(void **state)
{
    return route_table_new(routes, ARRAY_LEN(routes), (struct route_table **)state);
}

static int free_table(void **state)
{
    route_table_free(*state);
    return 0;
}

static void a_target_finds_its_route_and_parameters(void **state)
{
    static const struct {
        const char *method, *target;
        int outcome, route;
        const char *params; /* decoded, each with a '|' behind */
    } cases[] = {
        {"GET", "/", ROUTE_FOUND, 0, ""},
        {"GET", "/?a=b/c", ROUTE_FOUND, 0, ""},
        {"GET", "/api/nodes", ROUTE_FOUND, 1, ""},
        {"HEAD", "/api/nodes", ROUTE_FOUND, 1, ""},
        {"POST", "/api/nodes", ROUTE_FOUND, -1, ""},
        {"get", "/api/nodes", ROUTE_FOUND, -1, ""},
        {"GET", "/api/nodes/", ROUTE_UNKNOWN, 0, ""},
        {"GET", "//api/nodes", ROUTE_UNKNOWN, 0, ""},
        {"GET", "/api", ROUTE_UNKNOWN, 0, ""},
        {"GET", "/api/node", ROUTE_UNKNOWN, 0, ""},
        {"GET", "/api/nodess", ROUTE_UNKNOWN, 0, ""},
        {"GET", "/API/nodes", ROUTE_UNKNOWN, 0, ""},
        {"GET", "/%61pi/node%73", ROUTE_FOUND, 1, ""},
        {"POST", "/api/nodes/register", ROUTE_FOUND, 2, ""},
        {"GET", "/api/nodes/register", ROUTE_FOUND, -1, ""},
        {"GET", "/api/nodes/registers", ROUTE_FOUND, 3, "registers|"},
        {"GET", "/api/nodes/n1?x", ROUTE_FOUND, 3, "n1|"},
        {"DELETE", "/api/nodes/n1", ROUTE_FOUND, 4, "n1|"},
        {"POST", "/api/nodes/a%2Fb/heartbeat", ROUTE_FOUND, 5, "a/b|"},
        {"POST", "/api/nodes//heartbeat", ROUTE_UNKNOWN, 0, ""},
        {"GET", "/pairs/%c3%bc/y", ROUTE_FOUND, 6, "\xc3\xbc|y|"},
        {"GET", "", ROUTE_MALFORMED, 0, ""},
        {"GET", "*", ROUTE_MALFORMED, 0, ""},
        {"GET", "http://h/api/nodes", ROUTE_MALFORMED, 0, ""},
        {"GET", "/api/nodes/%", ROUTE_MALFORMED, 0, ""},
        {"GET", "/api/nodes/%2", ROUTE_MALFORMED, 0, ""},
        {"GET", "/api/nodes/%zz", ROUTE_MALFORMED, 0, ""},
        {"GET", "/api/nodes/%00", ROUTE_MALFORMED, 0, ""},
        {"GET", "/api/nodes/a\tb", ROUTE_MALFORMED, 0, ""},
        {"GET", "/api/nodes/\x7f", ROUTE_MALFORMED, 0, ""},
        {"GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", ROUTE_UNKNOWN, 0, ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct route_match match;
        char params[128] = "";
        size_t n = 0;

        if ((int)route_match(*state, cases[i].target, &match) != cases[i].outcome)
            fail_msg("%s: wrong outcome", cases[i].target);
        if (cases[i].outcome != ROUTE_FOUND)
            continue;
        if (route_of_method(match.resource, cases[i].method) != cases[i].route)
            fail_msg("%s %s: wrong route", cases[i].method, cases[i].target);
        for (size_t k = 0; k < match.param_count; k++) {
            n += route_decode(&match.params[k], params + n);
            params[n - 1] = '|';
        }
        assert_string_equal(params, cases[i].params);
    }
}

static void allow_lists_what_a_path_takes(void **state)
{
    struct route_match match;

    assert_int_equal(route_match(*state, "/api/nodes/n1", &match), ROUTE_FOUND);
    assert_string_equal(route_allow(match.resource), "GET, HEAD, DELETE, OPTIONS");
    assert_int_equal(route_match(*state, "/api/nodes/register", &match), ROUTE_FOUND);
    assert_string_equal(route_allow(match.resource), "POST, OPTIONS");
}

static void a_bad_table_is_refused(void **state)
{
    static const struct http_route bad[][2] = {
        {{"GET", "nodes", NULL}, {"GET", "/", NULL}},
        {{"GET", "/a?b", NULL}, {"GET", "/", NULL}},
        {{"GET", "/a/:x", NULL}, {"GET", "/a/:y", NULL}},
    };
    struct route_table *table = NULL;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(route_table_new(bad[i], 2, &table), -EINVAL);
    assert_null(table);
    assert_string_equal(err_text(), "route '/a/:y': method GET is there twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_finds_its_route_and_parameters),
        cmocka_unit_test(allow_lists_what_a_path_takes),
        cmocka_unit_test(a_bad_table_is_refused),
    };

    return cmocka_run_group_tests_name("http route", tests, make_table, free_table);
}
