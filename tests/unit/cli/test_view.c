/* Tokens and the CA as people read them, and answers that make no sense. */
#include "cli/view.h"

#include <string.h>

#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define NOW 1795000000 /* 2026-11-18 */

static json_t *parse(const char *text)
{
    json_t *value = NULL;

    if (json_parse(text, strlen(text), &value) < 0)
        fail_msg("%s", err_text());
    return value;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static void assert_tokens(const char *json, bool is_wide, const char *text)
{
    CLEANUP(table_deinit) struct table table;
    AUTO_JSON json_t *list = parse(json);
    AUTO_STRBUF struct strbuf out = {0};

    assert_int_equal(view_tokens(list, NOW, is_wide, &table), 0);
    table_print(&table, &out);
    assert_string_equal(out.data, text);
}

#define FRESH                                                                                     \
    "{\"id\":\"aaaaaaaa\",\"role\":\"node\",\"created_at\":1794999940,\"expires_at\":1795003600," \
    "\"max_uses\":1,\"uses\":0}"
#define USED_UP                                                                                   \
    "{\"id\":\"bbbbbbbb\",\"role\":\"node\",\"created_at\":1794999940,\"expires_at\":1795003600," \
    "\"max_uses\":3,\"uses\":3}"
#define EXPIRED                                                                                    \
    "{\"id\":\"cccccccc\",\"role\":\"admin\",\"created_at\":1794000000,\"expires_at\":1795000000," \
    "\"max_uses\":null,\"uses\":0}"
#define FOR_EVER                                                                              \
    "{\"id\":\"dddddddd\",\"role\":\"viewer\",\"created_at\":1794999999,\"expires_at\":null," \
    "\"max_uses\":null,\"uses\":0,\"new\":{}}"

static void tokens_are_listed_with_what_they_are_still_good_for(void **state)
{
    assert_tokens("[" FRESH "," USED_UP "," EXPIRED "," FOR_EVER "]", false,
                  "ID        ROLE    STATE    EXPIRES  USES        MADE\n"
                  "aaaaaaaa  node    good     in 60m   0 of 1      60s ago\n"
                  "bbbbbbbb  node    used up  in 60m   3 of 3      60s ago\n"
                  "cccccccc  admin   expired  now      any number  11d ago\n"
                  "dddddddd  viewer  good     never    any number  1s ago\n");
    assert_tokens("[]", false, "ID  ROLE  STATE  EXPIRES  USES  MADE\n");
}

static void wide_adds_the_times(void **state)
{
    assert_tokens("[" FRESH "," FOR_EVER "]", true,
                  "ID        ROLE    STATE  EXPIRES  USES        MADE     EXPIRES-AT"
                  "               MADE-AT\n"
                  "aaaaaaaa  node    good   in 60m   0 of 1      60s ago  2026-11-18 12:06:40 UTC"
                  "  2026-11-18 11:05:40 UTC\n"
                  "dddddddd  viewer  good   never    any number  1s ago   -                      "
                  "  2026-11-18 11:06:39 UTC\n");
}

static void a_token_that_makes_no_sense_is_an_error_that_names_the_member(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"[5]", "token: id: "},
        {"[{\"role\":\"node\",\"created_at\":1}]", "token: id: "},
        {"[{\"id\":\"a\",\"role\":7,\"created_at\":1}]", "token: role: "},
        {"[{\"id\":\"a\",\"role\":\"node\"}]", "token: created_at: "},
        {"[{\"id\":\"a\",\"role\":\"node\",\"created_at\":1,\"expires_at\":\"x\"}]",
         "token: expires_at: "},
        {"[{\"id\":\"a\",\"role\":\"node\",\"created_at\":1,\"max_uses\":-1}]",
         "token: max_uses: "},
        {"[" FRESH ",{\"id\":\"a\",\"role\":\"node\",\"created_at\":1,\"uses\":1.5}]",
         "token: uses: "},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(table_deinit) struct table table;
        AUTO_JSON json_t *list = parse(rows[i].json);

        assert_int_equal(view_tokens(list, NOW, false, &table), -EINVAL);
        assert_memory_equal(err_text(), rows[i].text, strlen(rows[i].text));
    }
}

static void what_a_new_token_is_good_for_is_one_phrase(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {FRESH, "good for 61m, for 1 node"},
        {USED_UP, "good for 61m, for 3 nodes"},
        {EXPIRED, "good for 11d"},
        {FOR_EVER, "good until it is removed"},
        {"{\"id\":\"a\",\"role\":\"node\",\"created_at\":1,\"expires_at\":null,\"max_uses\":null}",
         "good until it is removed, for any number of nodes"},
    };
    AUTO_STRBUF struct strbuf none = {0};
    AUTO_JSON json_t *nonsense = parse("{}");

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_JSON json_t *token = parse(rows[i].json);
        AUTO_STRBUF struct strbuf out = {0};

        assert_int_equal(view_token_use(token, &out), 0);
        assert_string_equal(out.data, rows[i].text);
    }
    assert_int_equal(view_token_use(nonsense, &none), -EINVAL);
    assert_int_equal(none.len, 0);
}

/* ---- the CA ---------------------------------------------------------------------------------- */

static void assert_ca(const char *json, bool is_wide, const char *text)
{
    AUTO_JSON json_t *status = parse(json);
    AUTO_STRBUF struct strbuf out = {0};

    assert_int_equal(view_ca(status, is_wide, &out), 0);
    assert_string_equal(out.data, text);
}

#define NODE1 "{\"node_id\":\"id-1\",\"hostname\":\"node1\",\"status\":\"up\"}"
#define NODE2 "{\"node_id\":\"id-2\",\"hostname\":\"x\\u001b[2J\",\"status\":\"down\"}"
#define PUBLISHED "{\"step\":\"published\",\"pins\":[\"old\",\"new\"],"
#define PUBLISHED_WORDS                                                           \
    "Step 1 of 2: a new CA is published beside the old one, which still signs.\n" \
    "The new one signs as soon as every node knows it.\n\n"                       \
    "Trusted, by their pins:\n  old\n  new\n"

static void a_settled_ca_waits_for_nobody(void **state)
{
    assert_ca("{\"step\":\"settled\",\"pins\":[\"abc\"],\"waiting_for\":[],"
              "\"waiting_for_count\":0}",
              false,
              "One CA is trusted, and signs. It is not being replaced.\n\n"
              "Trusted, by their pins:\n  abc\n");
}

static void each_step_says_what_it_waits_for(void **state)
{
    assert_ca(PUBLISHED "\"waiting_for\":[" NODE1 "],\"waiting_for_count\":1}", false,
              PUBLISHED_WORDS "\nIt waits for 1 node:\n\n"
                              "HOSTNAME  STATUS\n"
                              "node1     up\n");
    assert_ca("{\"step\":\"promoted\",\"pins\":[],\"waiting_for\":[],\"waiting_for_count\":0}",
              false,
              "Step 2 of 2: the new CA signs, and nodes renew their certificates.\n"
              "The old one is dropped as soon as every node has a certificate of the new one.\n"
              "Access tokens that are older than the new one serve nobody then: 'quiltctl token "
              "create'.\n\n"
              "Trusted, by their pins:\n"
              "\nIt waits for nobody, and goes on by itself within seconds.\n");
}

static void who_is_down_is_shown_with_what_to_do_and_harms_no_terminal(void **state)
{
    assert_ca(PUBLISHED "\"waiting_for\":[" NODE1 "," NODE2 "],\"waiting_for_count\":152}", true,
              PUBLISHED_WORDS
              "\nIt waits for 152 nodes:\n\n"
              "HOSTNAME    STATUS  NODE-ID\n"
              "node1       up      id-1\n"
              "x\\u001b[2J  down    id-2\n"
              "and 150 more\n"
              "\nThose that are down hold it up: start their agents, forget them ('quiltctl node "
              "rm'), or go on\nwithout them ('quiltctl ca rotate --force'), and they must join "
              "again with a new access token.\n");
}

static void a_state_that_makes_no_sense_is_an_error_that_names_the_member(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"[]", "state of the CA: step: "},
        {"{\"step\":\"confused\",\"pins\":[]}",
         "state of the CA: step: 'confused' is none that this quiltctl knows"},
        {"{\"step\":\"settled\"}", "state of the CA: pins: "},
        {"{\"step\":\"settled\",\"pins\":[1]}", "state of the CA: pins: must be strings"},
        {PUBLISHED "\"waiting_for_count\":1}", "state of the CA: waiting_for: "},
        {PUBLISHED "\"waiting_for\":[]}", "state of the CA: waiting_for_count: "},
        {PUBLISHED "\"waiting_for\":[{}],\"waiting_for_count\":1}",
         "state of the CA: waiting_for: hostname: "},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_JSON json_t *status = parse(rows[i].json);
        AUTO_STRBUF struct strbuf out = {0};

        assert_int_equal(view_ca(status, false, &out), -EINVAL);
        assert_memory_equal(err_text(), rows[i].text, strlen(rows[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_listed_with_what_they_are_still_good_for),
        cmocka_unit_test(wide_adds_the_times),
        cmocka_unit_test(a_token_that_makes_no_sense_is_an_error_that_names_the_member),
        cmocka_unit_test(what_a_new_token_is_good_for_is_one_phrase),
        cmocka_unit_test(a_settled_ca_waits_for_nobody),
        cmocka_unit_test(each_step_says_what_it_waits_for),
        cmocka_unit_test(who_is_down_is_shown_with_what_to_do_and_harms_no_terminal),
        cmocka_unit_test(a_state_that_makes_no_sense_is_an_error_that_names_the_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
