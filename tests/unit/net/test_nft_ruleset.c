/* Rulesets: which are the same, and what is sent to make one so. */
#include "lib/net/nft_ruleset.h"

#include "lib/net/nft.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/net/quoted_json.h"

#define RULE(chain, expr) \
    "{'rule':{'family':'inet','table':'q','chain':'" chain "','expr':[" expr "]}}"
#define SET(name, elem) \
    "{'set':{'family':'inet','table':'q','name':'" name "','type':'ipv4_addr','elem':[" elem "]}}"
#define CHAIN(name) "{'chain':{'family':'inet','table':'q','name':'" name "'}}"
#define ACCEPT "{'accept':null}"
#define DROP "{'drop':null}"

struct row {
    const char *a;
    const char *b;
};

static void assert_all(const struct row *rows, size_t count, bool want)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_JSON json_t *a = quoted_json(rows[i].a);
        AUTO_JSON json_t *b = quoted_json(rows[i].b);

        if (nft_ruleset_equal(a, b) != want || nft_ruleset_equal(b, a) != want)
            fail_msg("row %zu: %s and %s: not %s", i, rows[i].a, rows[i].b,
                     want ? "equal" : "different");
    }
}

static void what_says_the_same_is_equal(void **state)
{
    static const struct row rows[] = {
        {"[]", "[]"},
        /* what the kernel adds */
        {"[{'metainfo':{'version':'1.0.6'}}," CHAIN("c") "]", "[" CHAIN("c") "]"},
        {"[{'chain':{'family':'inet','table':'q','name':'c','handle':7}}]", "[" CHAIN("c") "]"},
        {"[" RULE("c", "{'counter':null}," DROP) "]",
         "[" RULE("c", "{'counter':{'packets':12,'bytes':900}}," DROP) "]"},
        {"[{'counter':{'family':'inet','table':'q','name':'n'}}]",
         "[{'counter':{'family':'inet','table':'q','name':'n','packets':1,'bytes':2}}]"},
        /* order that says nothing */
        {"[" CHAIN("c") "," CHAIN("d") "]", "[" CHAIN("d") "," CHAIN("c") "]"},
        {"[" SET("s", "'1.1.1.1','2.2.2.2'") "]", "[" SET("s", "'2.2.2.2','1.1.1.1'") "]"},
        {"[" RULE("c", ACCEPT) "," RULE("d", DROP) "]",
         "[" RULE("d", DROP) "," RULE("c", ACCEPT) "]"},
        {"[" RULE("c", "{'match':{'op':'in','left':1,'right':['a','b']}}") "]",
         "[" RULE("c", "{'match':{'op':'in','left':1,'right':['b','a']}}") "]"},
        {"[" RULE("c", "{'match':{'right':{'set':[1,2]}}}") "]",
         "[" RULE("c", "{'match':{'right':{'set':[2,1]}}}") "]"},
        /* two ways to write one thing */
        {"[" SET("s", "") "]",
         "[{'set':{'family':'inet','table':'q','name':'s','type':'ipv4_addr'}}]"},
        {"[" SET("s", "{'prefix':{'addr':'1.1.1.1','len':32}}") "]", "[" SET("s", "'1.1.1.1'") "]"},
        {"[{'set':{'name':'s','flags':'interval'}}]",
         "[{'set':{'name':'s','flags':['interval']}}]"},
        {"[{'table':{'family':'inet','name':'q','comment':'v1'}}]",
         "[{'table':{'family':'inet','name':'q'}}]"},
    };

    assert_all(rows, ARRAY_LEN(rows), true);
}

static void what_says_something_else_is_not(void **state)
{
    static const struct row rows[] = {
        {"[" CHAIN("c") "]", "[]"},
        {"[" CHAIN("c") "]", "[" CHAIN("d") "]"},
        {"[" CHAIN("c") "]", "[" CHAIN("c") "," CHAIN("c") "]"},
        {"[" RULE("c", ACCEPT) "]", "[" RULE("c", DROP) "]"},
        {"[" RULE("c", ACCEPT) "]", "[" RULE("d", ACCEPT) "]"},
        {"[" RULE("c", ACCEPT) "]", "[" RULE("c", ACCEPT) "," RULE("c", ACCEPT) "]"},
        {"[" RULE("c", ACCEPT) "," RULE("c", DROP) "]",
         "[" RULE("c", DROP) "," RULE("c", ACCEPT) "]"},
        {"[" RULE("c", "{'counter':null}," DROP) "]", "[" RULE("c", DROP) "]"},
        {"[" RULE("c", "{'counter':'n'}") "]", "[" RULE("c", "{'counter':'m'}") "]"},
        {"[" SET("s", "'1.1.1.1'") "]", "[" SET("s", "'1.1.1.2'") "]"},
        {"[" SET("s", "'1.1.1.1'") "]", "[" SET("s", "'1.1.1.1','1.1.1.1'") "]"},
        {"[" SET("s", "{'prefix':{'addr':'1.1.1.0','len':24}}") "]", "[" SET("s", "'1.1.1.0'") "]"},
        {"[" SET("s", "{'prefix':{'addr':'2001:db8::','len':32}}") "]",
         "[" SET("s", "'2001:db8::'") "]"},
        {"[" SET("s", "{'concat':['a','b']}") "]", "[" SET("s", "{'concat':['b','a']}") "]"},
        {"[{'set':{'name':'s','type':['a','b']}}]", "[{'set':{'name':'s','type':['b','a']}}]"},
        {"[{'chain':{'name':'c','policy':'accept'}}]", "[{'chain':{'name':'c','policy':'drop'}}]"},
        {"[{'rule':{'chain':'c','comment':'a','expr':[]}}]",
         "[{'rule':{'chain':'c','comment':'b','expr':[]}}]"},
        {"[{'set':{'name':'s'}}]", "[{'map':{'name':'s'}}]"},
    };

    assert_all(rows, ARRAY_LEN(rows), false);
}

static void odd_shapes_do_not_crash(void **state)
{
    static const char *const rows[] = {
        "[1]",
        "[null]",
        "[[]]",
        "['x']",
        "[{}]",
        "[{'rule':1}]",
        "[{'rule':{}}]",
        "{}",
        "[{'a':{},'b':{}}]",
        "[{'prefix':1}]",
        "[{'set':{'elem':{'prefix':{'addr':1,'len':32}}}}]",
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_JSON json_t *value = quoted_json(rows[i]);
        AUTO_JSON json_t *copy = nft_ruleset_canonical(value);
        AUTO_JSON json_t *none = json_array();
        AUTO_JSON json_t *commands = NULL, *changes = NULL;

        assert_true(nft_ruleset_equal(value, copy));
        if (json_array_size(value) > 0)
            assert_int_equal(nft_ruleset_commands(value, "inet", "q", &commands), -EINVAL);
        assert_int_equal(nft_ruleset_change_commands(value, none, "inet", "q", &changes), 0);
    }
}

static void a_transaction_replaces_all_and_names_nothing_before_it_is_there(void **state)
{
    AUTO_JSON json_t *ruleset =
        quoted_json("[" RULE("c", ACCEPT) "," SET("s", "'1.1.1.1'") "," CHAIN("c") "," RULE(
            "c", DROP) ",{'table':{'family':'inet','name':'q'}}]");
    AUTO_JSON json_t *want = quoted_json(
        "{'nftables':[{'add':{'table':{'family':'inet','name':'q'}}},"
        "{'delete':{'table':{'family':'inet','name':'q'}}},"
        "{'add':{'table':{'family':'inet','name':'q'}}},"
        "{'add':" CHAIN("c") "},{'add':" SET(
            "s", "'1.1.1.1'") "},"
                              "{'add':" RULE("c", ACCEPT) "},{'add':" RULE("c", DROP) "}]}");
    AUTO_JSON json_t *commands = NULL;

    assert_int_equal(nft_ruleset_commands(ruleset, "inet", "q", &commands), 0);
    assert_true(json_equal(commands, want));
}

static void
a_change_leaves_in_place_what_stays_and_removes_what_nothing_names_any_more(void **state)
{
    static const char have_text[] = "[{'table':{'family':'inet','name':'q'}}," CHAIN("c") "," CHAIN(
        "old") "," SET("s", "'1.1.1.1'") "," SET("t", "'1.1.1.1'") "," RULE("c", DROP) "]";
    static const char want_text[] =
        "[{'table':{'family':'inet','name':'q'}}," SET("t", "'1.1.1.1'") "," SET(
            "s", "'2.2.2.2'") "," CHAIN("c") "," CHAIN("new") "," RULE("c", ACCEPT) "]";
    AUTO_JSON json_t *want =
        quoted_json("{'nftables':["
                    "{'flush':" CHAIN("c") "},{'flush':" CHAIN(
                        "old") "},"
                               "{'flush':{'set':{'family':'inet','table':'q','name':'s'}}},"
                               "{'add':{'element':{'family':'inet','table':'q','name':'s','elem':['"
                               "2.2.2.2']}}},"
                               "{'add':" CHAIN("new") "},{'add':" RULE(
                                   "c", ACCEPT) "},{'delete':" CHAIN("old") "}]}");
    AUTO_JSON json_t *from = quoted_json(have_text), *to = quoted_json(want_text), *commands = NULL;

    assert_int_equal(nft_ruleset_change_commands(from, to, "inet", "q", &commands), 0);
    assert_true(json_equal(commands, want));
}

static void nothing_of_another_table_gets_into_a_transaction(void **state)
{
    static const char *const rows[] = {
        "[{'table':{'family':'inet','name':'other'}}]",
        "[{'table':{'family':'ip','name':'q'}}]",
        "[{'chain':{'family':'inet','table':'other','name':'c'}}]",
        "[{'rule':{'family':'ip','table':'q','chain':'c','expr':[]}}]",
        "[{'set':{'table':'q','name':'c'}}]",
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_JSON json_t *ruleset = quoted_json(rows[i]);
        json_t *commands = NULL;

        assert_int_equal(nft_ruleset_commands(ruleset, "inet", "q", &commands), -EINVAL);
        assert_int_equal(nft_ruleset_change_commands(ruleset, ruleset, "inet", "q", &commands),
                         -EINVAL);
        assert_null(commands);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_says_the_same_is_equal),
        cmocka_unit_test(what_says_something_else_is_not),
        cmocka_unit_test(odd_shapes_do_not_crash),
        cmocka_unit_test(a_transaction_replaces_all_and_names_nothing_before_it_is_there),
        cmocka_unit_test(
            a_change_leaves_in_place_what_stays_and_removes_what_nothing_names_any_more),
        cmocka_unit_test(nothing_of_another_table_gets_into_a_transaction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
