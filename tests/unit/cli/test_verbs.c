/* Verbs: which words lead to which, and what is said to those that lead nowhere. */
#include "cli/verbs.h"

#include <string.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

static const struct verb verbs[] = {
    {.group = "node", .name = "ls", .args_doc = "", .help = "List"},
    {.group = "node", .name = "show", .args_doc = "ID", .arg_count = 1, .help = "Show"},
    {.group = "endpoint", .name = "ls", .args_doc = "", .help = "List too"},
    {.group = "endpoint", .name = "attach", .args_doc = "ID NETNS", .arg_count = 2, .help = "Plug"},
    {.name = "status", .args_doc = "", .help = "Health"},
};

static int find(const char *const *line, const struct verb **ret_verb, size_t *ret_first)
{
    char *words[8];
    size_t count = 0;

    for (; line[count]; count++)
        words[count] = (char *)(uintptr_t)line[count];
    return verbs_find(verbs, ARRAY_LEN(verbs), words, count, ret_verb, ret_first);
}

static void words_lead_to_their_verb(void **state)
{
    static const struct {
        const char *line[6];
        size_t index, first_arg;
    } rows[] = {
        {{"node", "ls"}, 0, 2},
        {{"node", "show", "n1"}, 1, 2},
        {{"node", "show", "ls"}, 1, 2},
        {{"endpoint", "ls"}, 2, 2},
        {{"endpoint", "attach", "web", "ns1"}, 3, 2},
        {{"status"}, 4, 1},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct verb *verb = NULL;
        size_t first = 99;

        assert_int_equal(find(rows[i].line, &verb, &first), 0);
        assert_ptr_equal(verb, &verbs[rows[i].index]);
        assert_int_equal(first, rows[i].first_arg);
    }
}

static void other_words_are_told_what_would_be_right(void **state)
{
    static const struct {
        const char *line[6];
        const char *text;
    } rows[] = {
        {{NULL}, "a verb is missing, such as 'node ls' or 'status'"},
        {{"nod"},
         "unknown verb 'nod'; there are node ls, node show, endpoint ls, endpoint attach, status"},
        {{"node"}, "'node' needs a verb: node ls, node show"},
        {{"node", "lsx"}, "unknown verb 'node lsx'; there are node ls, node show"},
        {{"ls"},
         "unknown verb 'ls'; there are node ls, node show, endpoint ls, endpoint attach, status"},
        {{"node", "ls", "x"}, "'node ls' takes no arguments"},
        {{"node", "show"}, "'node show' takes 1 argument: ID"},
        {{"endpoint", "attach", "web"}, "'endpoint attach' takes 2 arguments: ID NETNS"},
        {{"endpoint", "attach", "web", "a", "b"}, "'endpoint attach' takes 2 arguments: ID NETNS"},
        {{"status", "now"}, "'status' takes no arguments"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct verb *verb = NULL;
        size_t first = 99;

        assert_int_equal(find(rows[i].line, &verb, &first), -EINVAL);
        assert_string_equal(err_text(), rows[i].text);
        assert_null(verb);
        assert_int_equal(first, 99);
    }
}

static void help_has_a_line_for_each_verb(void **state)
{
    AUTO_FREE char *help = verbs_help(verbs, ARRAY_LEN(verbs));

    assert_string_equal(help, "Verbs:\n"
                              "  node ls                      List\n"
                              "  node show ID                 Show\n"
                              "  endpoint ls                  List too\n"
                              "  endpoint attach ID NETNS     Plug\n"
                              "  status                       Health\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_lead_to_their_verb),
        cmocka_unit_test(other_words_are_told_what_would_be_right),
        cmocka_unit_test(help_has_a_line_for_each_verb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
