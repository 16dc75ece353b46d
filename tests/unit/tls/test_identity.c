/* Whom a URI names, and the URIs that name nobody. */
#include "lib/tls/identity.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

#define CLUSTER "0192f3a4-5b6c-7d8e-9f01-23456789abcd"
#define BASE "spiffe://" CLUSTER
#define LETTERS_64 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._"

static int from_text(const char *uri, struct tls_identity *ret)
{
    return tls_identity_from_uri(uri, strlen(uri), ret);
}

static const struct {
    const char *uri;
    enum tls_kind kind;
    const char *name;
} taken[] = {
    {BASE "/node/7f1c2c5e-0c55-4ab6-8b5c-1d2e3f405162", TLS_KIND_NODE,
     "7f1c2c5e-0c55-4ab6-8b5c-1d2e3f405162"},
    {BASE "/user/Ada.L_1-x", TLS_KIND_USER, "Ada.L_1-x"},
    {BASE "/user/" LETTERS_64, TLS_KIND_USER, LETTERS_64},
    {BASE "/user/...", TLS_KIND_USER, "..."},
    {BASE "/control", TLS_KIND_CONTROL, ""},
};

static void who_is_named_is_read_and_written_the_same(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        struct tls_identity identity;
        char uri[TLS_URI_SIZE];

        assert_int_equal(from_text(taken[i].uri, &identity), 0);
        assert_string_equal(identity.cluster_id, CLUSTER);
        assert_int_equal(identity.kind, taken[i].kind);
        assert_string_equal(identity.name, taken[i].name);
        tls_identity_to_uri(&identity, uri);
        assert_string_equal(uri, taken[i].uri);
    }
}

static const struct {
    const char *uri;
    const char *why;
} refused[] = {
    {"", "does not begin with spiffe://"},
    {"https://" CLUSTER "/control", "does not begin with spiffe://"},
    {"SPIFFE://" CLUSTER "/control", "does not begin with spiffe://"},
    {"spiffe://", "no cluster id"},
    {"spiffe://example.org/control", "no cluster id"},
    {"spiffe://0192F3A4-5b6c-7d8e-9f01-23456789abcd/control", "lower case"},
    {BASE, "no cluster id"},
    {BASE ":8443/control", "no cluster id"},
    {BASE "?/control", "no cluster id"},
    {BASE "/", "neither a node's"},
    {BASE "/nodes/x", "neither a node's"},
    {BASE "//node/x", "neither a node's"},
    {BASE "/Node/x", "neither a node's"},
    {BASE "/node", "no name at the end"},
    {BASE "/node/", "1 to 64 characters"},
    {BASE "/control/", "something behind /control"},
    {BASE "/control/x", "something behind /control"},
    {BASE "/node/.", "is no name"},
    {BASE "/node/..", "is no name"},
    {BASE "/node/a/b", "letters, digits"},
    {BASE "/node/a%2fb", "letters, digits"},
    {BASE "/node/a?b", "letters, digits"},
    {BASE "/node/\xc3\xa9", "letters, digits"},
    {BASE "/user/" LETTERS_64 "x", "1 to 64 characters"},
    {BASE "/user/" LETTERS_64 LETTERS_64, "too long"},
};

static void what_names_nobody_is_refused_in_words(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct tls_identity identity = {.kind = TLS_KIND_COUNT};

        assert_int_equal(from_text(refused[i].uri, &identity), -EINVAL);
        if (!strstr(err_text(), refused[i].why))
            fail_msg("%s: \"%s\"", refused[i].uri, err_text());
        assert_int_equal(identity.kind, TLS_KIND_COUNT);
    }
}

static void a_nul_does_not_end_a_name_early(void **state)
{
    static const char uri[] = BASE "/user/ada\0.evil";
    struct tls_identity identity;

    assert_int_equal(tls_identity_from_uri(uri, sizeof uri - 1, &identity), -EINVAL);
}

static void a_hostile_uri_does_not_reach_the_terminal(void **state)
{
    struct tls_identity identity;

    assert_int_equal(from_text(BASE "/user/\x1b[2J", &identity), -EINVAL);
    assert_null(strchr(err_text(), '\x1b'));
    assert_non_null(strstr(err_text(), "\\u001b[2J"));
}

static void each_kind_has_its_word(void **state)
{
    assert_string_equal(tls_kind_word(TLS_KIND_NODE), "node");
    assert_string_equal(tls_kind_word(TLS_KIND_USER), "user");
    assert_string_equal(tls_kind_word(TLS_KIND_CONTROL), "control");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_named_is_read_and_written_the_same),
        cmocka_unit_test(what_names_nobody_is_refused_in_words),
        cmocka_unit_test(a_nul_does_not_end_a_name_early),
        cmocka_unit_test(a_hostile_uri_does_not_reach_the_terminal),
        cmocka_unit_test(each_kind_has_its_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
