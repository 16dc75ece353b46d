/* The query of a target: what it says, and what it leaves as it is. */
#include "lib/base/mem.h"
#include "lib/http/query.h"
#include "tests/unit/cmocka.h"

static void assert_value(const char *query, const char *name, const char *value)
{
    AUTO_FREE char *decoded = mem_zalloc(query_size(query));

    query_decode(query, decoded);
    if (value)
        assert_string_equal(query_find(decoded, name), value);
    else
        assert_null(query_find(decoded, name));
}

static void the_query_begins_behind_the_first_question_mark(void **state)
{
    assert_null(query_of("/a"));
    assert_string_equal(query_of("/a?"), "");
    assert_string_equal(query_of("/a?b?c"), "b?c");
}

static void an_argument_has_the_value_behind_its_name(void **state)
{
    assert_value("kind=node", "kind", "node");
    assert_value("a=1&kind=node&b=2", "kind", "node");
    assert_value("kind=node&kind=other", "kind", "node");
    assert_value("kind=a=b", "kind", "a=b");
    assert_value("kin=a&kinds=b", "kind", NULL);
    assert_value("", "kind", NULL);
}

static void no_value_is_an_empty_one(void **state)
{
    assert_value("kind", "kind", "");
    assert_value("kind=", "kind", "");
    assert_value("a&b&kind&c", "c", "");
    assert_value("&&kind=x&&", "kind", "x");
    assert_value("=x", "x", NULL);
    assert_value("=x", "", NULL);
    assert_value("=x&kind=node", "kind", "node");
}

static void names_and_values_are_decoded(void **state)
{
    assert_value("k%69nd=a%20b+c", "kind", "a b c");
    assert_value("kind=1%262", "kind", "1&2");
    assert_value("kind=%C3%a4", "kind", "\xc3\xa4");
}

static void what_is_no_encoding_stays_as_it_is(void **state)
{
    assert_value("kind=%", "kind", "%");
    assert_value("kind=%4", "kind", "%4");
    assert_value("kind=%4&x=1", "kind", "%4");
    assert_value("kind=%zz", "kind", "%zz");
    assert_value("kind=a%00b", "kind", "a%00b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_query_begins_behind_the_first_question_mark),
        cmocka_unit_test(an_argument_has_the_value_behind_its_name),
        cmocka_unit_test(no_value_is_an_empty_one),
        cmocka_unit_test(names_and_values_are_decoded),
        cmocka_unit_test(what_is_no_encoding_stays_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
