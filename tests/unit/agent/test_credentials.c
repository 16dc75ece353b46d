/* What the node shows, and what next. */
#include "agent/control_client/credentials.h"

#include "tests/unit/cmocka.h"

#define BIT(credential) (1u << (credential))
#define CERT BIT(CREDENTIAL_CERT)
#define NODE BIT(CREDENTIAL_NODE_TOKEN)
#define ACCESS BIT(CREDENTIAL_ACCESS_TOKEN)

static struct credentials make(unsigned int has, unsigned int refused)
{
    struct credentials c = {{false}, {false}};

    for (int i = 0; i < CREDENTIAL_COUNT; i++) {
        c.has[i] = has & BIT(i);
        c.is_refused[i] = refused & BIT(i);
    }
    return c;
}

static const struct {
    unsigned int has, refused;
    enum credential best;
} rows[] = {
    {0, 0, CREDENTIAL_NONE},
    {ACCESS, 0, CREDENTIAL_ACCESS_TOKEN},
    {ACCESS | NODE, 0, CREDENTIAL_NODE_TOKEN},
    {ACCESS | NODE | CERT, 0, CREDENTIAL_CERT},
    {ACCESS | NODE | CERT, CERT, CREDENTIAL_NODE_TOKEN}, /* it expired while the node was off */
    {ACCESS | NODE | CERT, CERT | NODE, CREDENTIAL_ACCESS_TOKEN}, /* it was revoked */
    {ACCESS | CERT, CERT, CREDENTIAL_ACCESS_TOKEN},
    {NODE | CERT, CERT | NODE, CREDENTIAL_NONE},
    {ACCESS, ACCESS, CREDENTIAL_NONE},
    {CERT, NODE, CREDENTIAL_CERT},
    {0, CERT | NODE | ACCESS, CREDENTIAL_NONE},
};

static void the_best_that_is_not_refused_is_shown(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct credentials c = make(rows[i].has, rows[i].refused);

        assert_int_equal(credentials_best(&c), rows[i].best);
    }
}

static void a_node_goes_down_the_ladder_and_begins_again_at_its_top(void **state)
{
    static const enum credential ladder[] = {CREDENTIAL_CERT, CREDENTIAL_NODE_TOKEN,
                                             CREDENTIAL_ACCESS_TOKEN, CREDENTIAL_NONE};
    struct credentials c = make(CERT | NODE | ACCESS, 0);

    for (size_t i = 0; i < sizeof ladder / sizeof ladder[0]; i++) {
        assert_int_equal(credentials_best(&c), ladder[i]);
        credentials_refuse(&c, ladder[i]);
    }
    credentials_forgive(&c);
    assert_int_equal(credentials_best(&c), CREDENTIAL_CERT);
}

static void what_is_there_anew_counts_again(void **state)
{
    struct credentials c = make(NODE, CERT | NODE);

    credentials_renew(&c, CREDENTIAL_CERT, true);
    assert_int_equal(credentials_best(&c), CREDENTIAL_CERT);
    credentials_renew(&c, CREDENTIAL_CERT, false);
    assert_int_equal(credentials_best(&c), CREDENTIAL_NONE);
    credentials_renew(&c, CREDENTIAL_NODE_TOKEN, true);
    assert_int_equal(credentials_best(&c), CREDENTIAL_NODE_TOKEN);
}

static void each_has_words(void **state)
{
    assert_string_equal(credential_words(CREDENTIAL_NONE), "nothing");
    assert_string_equal(credential_words(CREDENTIAL_CERT), "the certificate");
    assert_string_equal(credential_words(CREDENTIAL_NODE_TOKEN), "the node's token");
    assert_string_equal(credential_words(CREDENTIAL_ACCESS_TOKEN), "the access token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_that_is_not_refused_is_shown),
        cmocka_unit_test(a_node_goes_down_the_ladder_and_begins_again_at_its_top),
        cmocka_unit_test(what_is_there_anew_counts_again),
        cmocka_unit_test(each_has_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
