/* Access tokens: who has a good one, and what is stored of them. */
#include "control/services/tokens.h"

#include <string.h>

#include "control/store/memory.h"
#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define NOW 1700000000
#define RIGHT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define WRONG "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct token_facts facts_of(const char *id, enum access_role role)
{
    struct token_facts facts = {.role = role, .created_at = NOW};

    memcpy(facts.id, id, sizeof facts.id);
    memcpy(facts.secret_sha256, RIGHT, sizeof facts.secret_sha256);
    return facts;
}

static void the_right_secret_is_good_until_its_time_is_over(void **state)
{
    struct tokens tokens = {0};
    struct token_facts facts = facts_of("abcdefgh", ACCESS_VIEWER);
    struct token *token = NULL;

    facts.expires_at = NOW + 60;
    tokens_add(&tokens, &facts, 1);
    assert_int_equal(tokens_check(&tokens, "abcdefgh", RIGHT, NOW + 59, &token), TOKENS_GOOD);
    assert_int_equal(token->facts.role, ACCESS_VIEWER);
    assert_int_equal(tokens_check(&tokens, "abcdefgh", RIGHT, NOW + 60, &token), TOKENS_EXPIRED);
    assert_non_null(strstr(err_text(), "has expired"));
    tokens_deinit(&tokens);
}

static void another_secret_and_another_id_are_not_told_apart(void **state)
{
    struct tokens tokens = {0};
    struct token_facts facts = facts_of("abcdefgh", ACCESS_ADMIN);
    struct token *token = NULL;

    tokens_add(&tokens, &facts, 1);
    assert_int_equal(tokens_check(&tokens, "abcdefgh", WRONG, NOW, &token), TOKENS_UNKNOWN);
    assert_non_null(strstr(err_text(), "abcdefgh is not known here"));
    assert_int_equal(tokens_check(&tokens, "hgfedcba", RIGHT, NOW, &token), TOKENS_UNKNOWN);
    assert_non_null(strstr(err_text(), "hgfedcba is not known here"));
    assert_null(token);
    tokens_deinit(&tokens);
}

static void a_token_is_used_up_when_its_last_use_is_stored(void **state)
{
    struct tokens tokens = {0};
    struct token_facts facts = facts_of("abcdefgh", ACCESS_JOINING);
    struct store_change set = {0};
    struct registry_change *change = (struct registry_change *)&set; /* any address */
    struct token *token = NULL;

    facts.max_uses = 1;
    tokens_add(&tokens, &facts, 3);
    assert_int_equal(tokens_check(&tokens, "abcdefgh", RIGHT, NOW, &token), TOKENS_GOOD);
    tokens_write_use(&set, token, change);
    assert_ptr_equal(token->use, change);
    assert_int_equal(set.ops[0].verb, STORE_UPDATE);
    assert_int_equal(set.ops[0].if_revision, 3);
    assert_non_null(strstr(set.ops[0].body, "\"uses\":1"));
    tokens_used(token, 0); /* not stored */
    assert_int_equal(tokens_check(&tokens, "abcdefgh", RIGHT, NOW, &token), TOKENS_GOOD);
    tokens_used(token, 4);
    assert_null(token->use);
    assert_int_equal(tokens_check(&tokens, "abcdefgh", RIGHT, NOW, &token), TOKENS_USED_UP);
    assert_int_equal(token->facts.uses, 1);
    assert_int_equal(token->revision, 4);
    store_change_deinit(&set);
    tokens_deinit(&tokens);
}

static void a_token_without_a_maximum_is_not_counted(void **state)
{
    struct tokens tokens = {0};
    struct token_facts facts = facts_of("abcdefgh", ACCESS_JOINING);
    struct store_change set = {0};
    struct token *token;

    tokens_add(&tokens, &facts, 3);
    token = tokens_find(&tokens, "abcdefgh");
    tokens_write_use(&set, token, (struct registry_change *)&set);
    assert_int_equal(set.op_count, 0);
    assert_null(token->use);
    tokens_deinit(&tokens);
}

static int load(const struct store_record *record, void *data)
{
    return tokens_load(data, record);
}

static void what_is_stored_comes_back(void **state)
{
    struct store *store = store_memory_new();
    struct tokens tokens = {0};
    struct token_facts facts = facts_of("abcdefgh", ACCESS_JOINING);
    struct store_change set = {0};
    struct token *token;
    uint64_t revision = 0;

    facts.expires_at = NOW + 3600;
    facts.max_uses = 5;
    facts.uses = 2;
    tokens_write_create(&set, &facts);
    assert_int_equal(store_commit(store, &set), 0);
    assert_int_equal(store_load(store, load, &tokens, &revision), 0);
    token = tokens_find(&tokens, "abcdefgh");
    assert_non_null(token);
    assert_memory_equal(token->facts.secret_sha256, RIGHT, sizeof facts.secret_sha256);
    assert_int_equal(token->facts.role, ACCESS_JOINING);
    assert_int_equal(token->facts.expires_at, NOW + 3600);
    assert_int_equal(token->facts.max_uses, 5);
    assert_int_equal(token->facts.uses, 2);
    assert_int_equal(token->revision, revision);
    assert_int_equal(token->made_revision, revision);
    store_change_deinit(&set);
    tokens_deinit(&tokens);
    store_free(store);
}

static void what_is_no_token_is_damage(void **state)
{
    static const struct store_record rows[] = {
        {.kind = TOKEN_KIND, .id = "abcdefgh", .body = "{"},
        {.kind = TOKEN_KIND, .id = "abcdefgh", .body = "{}"},
        {.kind = TOKEN_KIND,
         .id = "abcdefgh",
         .body = "{\"role\":\"king\",\"secret_sha256\":\"" RIGHT "\",\"created_at\":1,"
                 "\"expires_at\":0,\"max_uses\":0,\"uses\":0}"},
        {.kind = TOKEN_KIND,
         .id = "short",
         .body = "{\"role\":\"node\",\"secret_sha256\":\"" RIGHT "\",\"created_at\":1,"
                 "\"expires_at\":0,\"max_uses\":0,\"uses\":0}"},
        {.kind = TOKEN_KIND,
         .id = "abcdefgh",
         .body = "{\"role\":\"node\",\"secret_sha256\":\"abc\",\"created_at\":1,"
                 "\"expires_at\":0,\"max_uses\":0,\"uses\":0}"},
    };
    struct tokens tokens = {0};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(tokens_load(&tokens, &rows[i]), STORE_DAMAGED);
    assert_int_equal(tokens.count, 0);
}

static void the_oldest_token_that_lets_nodes_in_is_found(void **state)
{
    struct tokens tokens = {0};
    struct token_facts viewer = facts_of("aaaaaaaa", ACCESS_VIEWER);
    struct token_facts used_up = facts_of("bbbbbbbb", ACCESS_JOINING);
    struct token_facts old = facts_of("cccccccc", ACCESS_JOINING);
    struct token_facts young = facts_of("dddddddd", ACCESS_JOINING);

    tokens_add(&tokens, &viewer, 1);
    used_up.max_uses = used_up.uses = 2;
    tokens_add(&tokens, &used_up, 2);
    assert_int_equal(tokens_oldest_joining(&tokens, NOW), UINT64_MAX);
    tokens_add(&tokens, &young, 4);
    old.expires_at = NOW + 60;
    tokens_add(&tokens, &old, 3);
    assert_int_equal(tokens_oldest_joining(&tokens, NOW + 59), 3);
    assert_int_equal(tokens_oldest_joining(&tokens, NOW + 60), 4);
    assert_int_equal(tokens_oldest_joining(&tokens, 0), 3);
    tokens_deinit(&tokens);
}

static void the_list_shows_no_secrets(void **state)
{
    struct tokens tokens = {0};
    struct token_facts a = facts_of("abcdefgh", ACCESS_JOINING);
    struct token_facts b = facts_of("hgfedcba", ACCESS_ADMIN);
    AUTO_STRBUF struct strbuf out = {0};

    a.max_uses = 1;
    b.expires_at = NOW + 60;
    tokens_add(&tokens, &a, 1);
    tokens_add(&tokens, &b, 2);
    tokens_list_to_json(&tokens, &out);
    assert_string_equal(
        out.data, "{\"tokens\":[{\"id\":\"abcdefgh\",\"role\":\"node\",\"created_at\":1700000000,"
                  "\"expires_at\":null,\"max_uses\":1,\"uses\":0},"
                  "{\"id\":\"hgfedcba\",\"role\":\"admin\",\"created_at\":1700000000,"
                  "\"expires_at\":1700000060,\"max_uses\":null,\"uses\":0}]}");
    tokens_deinit(&tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_secret_is_good_until_its_time_is_over),
        cmocka_unit_test(another_secret_and_another_id_are_not_told_apart),
        cmocka_unit_test(a_token_is_used_up_when_its_last_use_is_stored),
        cmocka_unit_test(a_token_without_a_maximum_is_not_counted),
        cmocka_unit_test(what_is_stored_comes_back),
        cmocka_unit_test(what_is_no_token_is_damage),
        cmocka_unit_test(the_oldest_token_that_lets_nodes_in_is_found),
        cmocka_unit_test(the_list_shows_no_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
