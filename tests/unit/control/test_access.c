/* Who may do what: the whole cross product of routes, roles and subjects, held against a table that
 * stands here on its own. A route that is not in it fails, and so does one without a rule. */
#include "control/services/access.h"

#include <string.h>

#include "control/api/routes.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

#define SELF "11111111-2222-4333-8444-555555555555"
#define OTHER "66666666-7777-4888-8999-000000000000"

/* What each role may: '*' all, '+' only for itself, '-' not; in the order of the columns. */
static const struct {
    const char *method, *pattern;
    /*               nobody
     *               | nobody, on the control plane's own host
     *               | | with a token to join
     *               | | | node
     *               | | | | viewer
     *               | | | | | admin */
    const char *may;
} expected[] = {
    {"GET", "/api/nodes", "---***"},
    {"POST", "/api/nodes/register", "--**--"},
    {"GET", "/api/nodes/:id", "---***"},
    {"DELETE", "/api/nodes/:id", "-----*"},
    {"POST", "/api/nodes/:id/heartbeat", "---+--"},
    {"POST", "/api/nodes/:id/deregister", "---+-*"},
    {"POST", "/api/nodes/:id/revoke", "-----*"},
    {"GET", "/api/mesh", "----**"},
    {"GET", "/api/reservations", "----**"},
    {"GET", "/api/reservations/:host", "----**"},
    {"PUT", "/api/reservations/:host", "-----*"},
    {"DELETE", "/api/reservations/:host", "-----*"},
    {"GET", "/api/tokens", "-----*"},
    {"POST", "/api/tokens", "-----*"},
    {"DELETE", "/api/tokens/:id", "-----*"},
    {"GET", "/api/ca", "******"},
    {"GET", "/api/ca/status", "----**"},
    {"POST", "/api/ca/rotate", "-----*"},
    {"GET", "/api/backup", "-----*"},
    {"GET", "/health", "******"},
    {"GET", "/livez", "******"},
    {"GET", "/readyz", "******"},
    {"GET", "/metrics", "-*--**"},
};

static const struct caller callers[] = {
    {.role = ACCESS_NOBODY},
    {.role = ACCESS_NOBODY, .is_local = true},
    {.role = ACCESS_JOINING, .name = "abcdefgh"},
    {.role = ACCESS_NODE, .name = SELF},
    {.role = ACCESS_VIEWER, .name = "abcdefgh"},
    {.role = ACCESS_ADMIN, .name = "admin"},
};

static const char *may(const char *method, const char *pattern)
{
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        if (strcmp(expected[i].method, method) == 0 && strcmp(expected[i].pattern, pattern) == 0)
            return expected[i].may;
    fail_msg("%s %s has no row in the table of this test", method, pattern);
    return NULL;
}

static void each_role_may_what_the_table_says_and_nothing_else(void **state)
{
    static const char *const subjects[] = {SELF, OTHER, NULL};
    unsigned int looked = 0;

    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct control_route *route = &control_routes[i];
        const char *row = may(route->method, route->pattern);

        assert_int_equal(strlen(row), ARRAY_LEN(callers));
        for (size_t j = 0; j < ARRAY_LEN(callers); j++)
            for (size_t k = 0; k < ARRAY_LEN(subjects); k++) {
                bool is_self = subjects[k] && strcmp(subjects[k], callers[j].name) == 0;
                bool wanted = row[j] == '*' || (row[j] == '+' && is_self);

                if (access_is_allowed(route->rule, &callers[j], subjects[k]) != wanted)
                    fail_msg("%s %s for a %s (%zu) about %s: %s", route->method, route->pattern,
                             access_role_word(callers[j].role), j,
                             subjects[k] ? subjects[k] : "nobody", wanted ? "denied" : "allowed");
                looked++;
            }
    }
    assert_int_equal(looked, ROUTE_COUNT * ARRAY_LEN(callers) * ARRAY_LEN(subjects));
    assert_int_equal(ARRAY_LEN(expected), ROUTE_COUNT);
}

static void a_route_without_a_rule_is_for_nobody(void **state)
{
    const struct caller open = {.role = ACCESS_OPEN, .is_local = true};

    for (size_t j = 0; j < ARRAY_LEN(callers); j++)
        assert_false(access_is_allowed(0, &callers[j], SELF));
    assert_false(access_is_allowed(0, &open, NULL));
}

static void in_plain_http_everybody_may_everything_that_has_a_rule(void **state)
{
    const struct caller open = {.role = ACCESS_OPEN};

    for (size_t i = 0; i < ROUTE_COUNT; i++)
        assert_true(access_is_allowed(control_routes[i].rule, &open, NULL));
}

static void a_token_gives_one_of_three_roles(void **state)
{
    static const struct {
        const char *word;
        enum access_role role;
    } rows[] = {{"node", ACCESS_JOINING}, {"viewer", ACCESS_VIEWER}, {"admin", ACCESS_ADMIN}};
    static const char *const others[] = {"", "nobody", "open", "joining", "Admin", "root"};
    enum access_role role;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(access_token_role(rows[i].word, &role));
        assert_int_equal(role, rows[i].role);
        assert_string_equal(access_token_word(role), rows[i].word);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(access_token_role(others[i], &role));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_may_what_the_table_says_and_nothing_else),
        cmocka_unit_test(a_route_without_a_rule_is_for_nobody),
        cmocka_unit_test(in_plain_http_everybody_may_everything_that_has_a_rule),
        cmocka_unit_test(a_token_gives_one_of_three_roles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
