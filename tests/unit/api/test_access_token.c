/* Access tokens: that their text is theirs alone, and what is said of one that is spoilt. */
#include "lib/api/access_token.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

/* Pins of "abc" and "", the secret is 00 01 .. 0f. */
#define PIN "xj4bnp4pahh6uqkbidpf3lrceoyagyndsylxvhfucd7wd4qacwwq"
#define PIN2 "4oymiquy7qobjgx36tejs35zeqt24qpemsnzgtfeswmrw6csxbkq"
#define ID "a1b2c3d4"
#define SECRET "aaaqeayeaudaocajbifqydiob4"
#define WHOLE "quilt1-" PIN "-" ID "-" SECRET

static void a_token_is_read_and_written_the_same(void **state)
{
    const char *const texts[] = {WHOLE, "quilt1-" PIN "." PIN2 "-" ID "-" SECRET};
    const struct sha256 pins[] = {sha256_of("abc", 3), sha256_of("", 0)};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char text[ACCESS_TOKEN_TEXT_SIZE];
        struct access_token token;

        assert_int_equal(access_token_parse(texts[i], &token), 0);
        assert_int_equal(token.pin_count, i + 1);
        assert_memory_equal(token.pins, pins, (i + 1) * sizeof pins[0]);
        assert_string_equal(token.id, ID);
        assert_memory_equal(token.secret,
                            "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 16);
        access_token_format(&token, text);
        assert_string_equal(text, texts[i]);
    }
}

static void the_longest_text_just_fits(void **state)
{
    assert_int_equal(sizeof "quilt1-" PIN "." PIN2 "-" ID "-" SECRET, ACCESS_TOKEN_TEXT_SIZE);
}

static const struct {
    const char *text;
    const char *why;
} spoilt[] = {
    {"", "it is empty"},
    {"quilt2-" PIN "-" ID "-" SECRET, "it does not begin with quilt1-"},
    {"QUILT1-" PIN "-" ID "-" SECRET, "it does not begin with quilt1-"},
    {" " WHOLE, "it does not begin with quilt1-"},
    {"quilt1", "it does not begin with quilt1-"},
    {"quilt1-", "it is cut off: whole, it is quilt1-PIN-ID-SECRET"},
    {"quilt1-" PIN, "it is cut off"},
    {"quilt1-" PIN "-" ID, "it is cut off"},
    {"quilt1-" PIN "-" ID "-", "its secret has 0 characters instead of 26"},
    {"quilt1-" PIN "-" ID "-aaaqeayeaudaocajbifqydiob", "its secret has 25 characters"},
    {WHOLE "a", "its secret has 27 characters"},
    {WHOLE "\n", "its secret has 27 characters"},
    {WHOLE "-" ID, "its secret has 35 characters"},
    {"quilt1-" PIN "-" ID "-aaaqeayeaudaocajbifqydio1!", "its secret has a character that is not"},
    {"quilt1-" PIN "-" ID "-AAAQEAYEAUDAOCAJBIFQYDIOB4", "lower case"},
    {"quilt1-" PIN "-" ID "-aaaqeayeaudaocajbifqydiob5", "its secret ends in a wrong character"},
    {"quilt1--" ID "-" SECRET, "its pin has 0 characters instead of 52"},
    {"quilt1-x" PIN "-" ID "-" SECRET, "its pin has 53 characters"},
    {"quilt1-!j4bnp4pahh6uqkbidpf3lrceoyagyndsylxvhfucd7wd4qacwwq-" ID "-" SECRET,
     "its pin has a character that is not"},
    {"quilt1-xj4bnp4pahh6uqkbidpf3lrceoyagyndsylxvhfucd7wd4qacwwr-" ID "-" SECRET,
     "its pin ends in a wrong character"},
    {"quilt1-" PIN ".-" ID "-" SECRET, "its second pin has 0 characters"},
    {"quilt1-." PIN "-" ID "-" SECRET, "its pin has 0 characters"},
    {"quilt1-" PIN "." PIN2 "." PIN "-" ID "-" SECRET, "its second pin has 105 characters"},
    {"quilt1-" PIN "-a1b2c3d-" SECRET, "its id has 7 characters instead of 8"},
    {"quilt1-" PIN "-a1b2c3d4e-" SECRET, "its id has 9 characters"},
    {"quilt1-" PIN "-A1b2c3d4-" SECRET, "its id has a character that is not"},
    {"quilt1-" PIN "-a1b2_3d4-" SECRET, "its id has a character that is not"},
};

static void each_way_to_spoil_a_token_has_its_own_words(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(spoilt); i++) {
        struct access_token token = {.pin_count = 99};

        assert_int_equal(access_token_parse(spoilt[i].text, &token), -EINVAL);
        assert_int_equal(token.pin_count, 99);
        if (strncmp(err_text(), "token: ", 7) != 0 || !strstr(err_text(), spoilt[i].why))
            fail_msg("%s: \"%s\"", spoilt[i].text, err_text());
        assert_null(strstr(err_text(), "aaaqeay")); /* no secret in a log */
    }
}

static void a_new_token_has_its_pins_and_an_id_and_secret_of_its_own(void **state)
{
    const struct sha256 pins[] = {sha256_of("abc", 3), sha256_of("", 0)};
    struct access_token a, b, back;
    char text[ACCESS_TOKEN_TEXT_SIZE];

    access_token_make(pins, 2, &a);
    access_token_make(pins, 1, &b);
    assert_string_not_equal(a.id, b.id);
    assert_memory_not_equal(a.secret, b.secret, sizeof a.secret);
    access_token_format(&a, text);
    assert_int_equal(access_token_parse(text, &back), 0);
    assert_memory_equal(&back, &a, sizeof a);
    access_token_format(&b, text);
    assert_memory_equal(text, "quilt1-" PIN "-", 60);
}

static void what_is_stored_is_the_digest_of_the_secret(void **state)
{
    struct access_token token;
    struct sha256 digest;
    char hex[SHA256_HEX_SIZE];

    assert_int_equal(access_token_parse(WHOLE, &token), 0);
    digest = access_token_secret_sha256(&token);
    sha256_format(&digest, hex);
    assert_string_equal(hex, "be45cb2605bf36bebde684841a28f0fd43c69850a3dce5fedba69928ee3a8991");
}

static void a_wiped_token_holds_nothing(void **state)
{
    const struct access_token nothing = {.pin_count = 0};
    struct access_token token;

    assert_int_equal(access_token_parse(WHOLE, &token), 0);
    access_token_wipe(&token);
    assert_memory_equal(&token, &nothing, sizeof token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_read_and_written_the_same),
        cmocka_unit_test(the_longest_text_just_fits),
        cmocka_unit_test(each_way_to_spoil_a_token_has_its_own_words),
        cmocka_unit_test(a_new_token_has_its_pins_and_an_id_and_secret_of_its_own),
        cmocka_unit_test(what_is_stored_is_the_digest_of_the_secret),
        cmocka_unit_test(a_wiped_token_holds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
