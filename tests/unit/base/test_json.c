/* JSON from outside: what is taken, and which member is named when it is not. */
#include "lib/base/json.h"

#include <string.h>

#include "lib/base/error.h"
#include "lib/base/random.h"
#include "tests/unit/cmocka.h"

static void strictly_one_value(void **state)
{
    static const struct {
        const char *text;
        bool is_good;
    } rows[] = {
        {"{}", true},
        {" [1, 2] \n", true},
        {"\"x\"", true},
        {"null", true},
        {"", false},
        {"{", false},
        {"{} {}", false},
        {"{\"a\":1,\"a\":2}", false},
        {"{'a':1}", false},
        {"{\"a\":1,}", false},
        {"[01]", false},
        {"[NaN]", false},
        {"[99999999999999999999]", false},
        {"[1e999]", false},
        {"\"\\u0000\"", false},
        {"{\"a\\u0000b\":1}", false},
        {"\"\\ud800\"", false},
        {"\"\xff\"", false},
        {"\"\xc0\xaf\"", false},
        {"\"a\nb\"", false},
        {"\xef\xbb\xbf{}", false},
        {"// x\n{}", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_JSON json_t *value = NULL;
        int r = json_parse(rows[i].text, strlen(rows[i].text), &value);

        if (r != (rows[i].is_good ? 0 : -EINVAL))
            fail_msg("%s was judged wrongly", rows[i].text);
        if (r < 0)
            assert_memory_equal(err_text(), "not valid JSON: ", 16);
    }
}

static void depth_has_a_limit(void **state)
{
    static char deep[100000];
    json_t *value = NULL;

    memset(deep, '[', sizeof deep);
    assert_int_equal(json_parse(deep, sizeof deep, &value), -EINVAL);
    assert_null(value);
    assert_string_equal(err_text(), "not valid JSON: more than 16 levels deep (byte 17)");
}

static void a_bounded_text_has_so_many_values_and_no_more(void **state)
{
    static const char three[] = "[1,\",,,,\\\",\",{}]", four[] = "{\"a\":[1,2],\"b\":3,\"c\":4}";
    json_t *value = NULL;

    assert_int_equal(json_parse_bounded(three, strlen(three), 3, &value), 0);
    json_decref(value);
    value = NULL;
    assert_int_equal(json_parse_bounded(four, strlen(four), 3, &value), -EINVAL);
    assert_string_equal(err_text(), "more than 3 values of JSON");
    assert_null(value);
    assert_int_equal(json_parse_bounded(four, strlen(four), 4, &value), 0);
    json_decref(value);
}

static void the_deepest_that_is_taken(void **state)
{
    static const struct {
        const char *text;
        int outcome;
    } rows[] = {
        {"[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", 0},
        {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", -EINVAL},
        {"{\"a\":[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]}", -EINVAL},
        {"[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]", 0},
        {"[\"[[[[[[[[[[[[[[[[[[[[[[\"]", 0},
        {"[\"\\\"[[[[[[[[[[[[[[[[[[[[[[\\\\\"]", 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_JSON json_t *value = NULL;

        if (json_parse(rows[i].text, strlen(rows[i].text), &value) != rows[i].outcome)
            fail_msg("%s was judged wrongly", rows[i].text);
    }
}

static void a_nul_byte_ends_nothing_early(void **state)
{
    json_t *value = NULL;

    assert_int_equal(json_parse("{}\0", 3, &value), -EINVAL);
    assert_null(value);
}

static const char object_text[] =
    "{\"s\":\"word\",\"n\":7,\"big\":9223372036854775807,\"t\":true,\"f\":false,\"nil\":null,"
    "\"a\":[1],\"r\":1.5,\"o\":{}}";

static int parse_object(void **state)
{
    json_t *value = NULL;

    if (json_parse(object_text, strlen(object_text), &value) < 0)
        return -1;
    *state = value;
    return 0;
}

static int free_object(void **state)
{
    json_decref(*state);
    return 0;
}

static void members_of_the_right_type_are_read(void **state)
{
    const json_t *object = *state, *array = NULL;
    const char *s = NULL;
    bool b = false;
    int64_t n = 0;

    assert_int_equal(json_get_string(object, "s", &s), 0);
    assert_string_equal(s, "word");
    assert_int_equal(json_get_int(object, "n", 7, 7, &n), 0);
    assert_int_equal(n, 7);
    assert_int_equal(json_get_int(object, "big", 0, INT64_MAX, &n), 0);
    assert_true(n == INT64_MAX);
    assert_int_equal(json_get_bool(object, "t", &b), 0);
    assert_true(b);
    assert_int_equal(json_get_bool(object, "f", &b), 0);
    assert_false(b);
    assert_int_equal(json_get_array(object, "a", &array), 0);
    assert_int_equal(json_array_size(array), 1);
}

static void missing_and_null_members_are_told_apart_from_wrong_ones(void **state)
{
    static const struct {
        const char *key;
        int string_r, int_r, bool_r, array_r;
    } rows[] = {
        {"none", -ENOENT, -ENOENT, -ENOENT, -ENOENT}, {"nil", -ENOENT, -ENOENT, -ENOENT, -ENOENT},
        {"s", 0, -EINVAL, -EINVAL, -EINVAL},          {"n", -EINVAL, 0, -EINVAL, -EINVAL},
        {"r", -EINVAL, -EINVAL, -EINVAL, -EINVAL},    {"t", -EINVAL, -EINVAL, 0, -EINVAL},
        {"a", -EINVAL, -EINVAL, -EINVAL, 0},          {"o", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const json_t *array;
        const char *s;
        bool b;
        int64_t n;

        assert_int_equal(json_get_string(*state, rows[i].key, &s), rows[i].string_r);
        assert_int_equal(json_get_int(*state, rows[i].key, 0, 9, &n), rows[i].int_r);
        assert_int_equal(json_get_bool(*state, rows[i].key, &b), rows[i].bool_r);
        assert_int_equal(json_get_array(*state, rows[i].key, &array), rows[i].array_r);
    }
}

static void the_text_names_the_member(void **state)
{
    const char *s;
    bool b;
    int64_t n = 77;

    (void)json_get_string(*state, "none", &s);
    assert_string_equal(err_text(), "none: missing");
    (void)json_get_string(*state, "n", &s);
    assert_string_equal(err_text(), "n: must be a string");
    (void)json_get_bool(*state, "n", &b);
    assert_string_equal(err_text(), "n: must be true or false");
    assert_int_equal(json_get_int(*state, "n", 8, 9, &n), -EINVAL);
    assert_string_equal(err_text(), "n: must be from 8 to 9");
    assert_int_equal(json_get_int(*state, "n", 1, 6, &n), -EINVAL);
    assert_int_equal(n, 77);
}

static void what_is_no_object_has_no_members(void **state)
{
    AUTO_JSON json_t *array = json_array();
    const char *s;

    assert_int_equal(json_get_string(array, "s", &s), -ENOENT);
    assert_int_equal(json_get_string(NULL, "s", &s), -ENOENT);
}

static void text_is_compact_and_in_order(void **state)
{
    AUTO_FREE char *text = json_to_text(*state);

    assert_string_equal(text, object_text);
}

static void random_bytes_never_hurt_and_what_parses_comes_back(void **state)
{
    static const char alphabet[] = "{}[]\",:0123456789.eE+-truefalsn\\u\x80\xc3\xff ";

    for (int round = 0; round < 50000; round++) {
        AUTO_JSON json_t *value = NULL;
        AUTO_JSON json_t *again = NULL;
        AUTO_FREE char *text = NULL;
        unsigned char bytes[24];

        random_bytes(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)alphabet[bytes[i] % (sizeof alphabet - 1)];
        if (json_parse((char *)bytes, bytes[0] % sizeof bytes, &value) < 0)
            continue;
        text = json_to_text(value);
        assert_int_equal(json_parse(text, strlen(text), &again), 0);
        assert_true(json_equal(value, again));
    }
}

#define WITH_OBJECT(fn) cmocka_unit_test_setup_teardown(fn, parse_object, free_object)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strictly_one_value),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(a_bounded_text_has_so_many_values_and_no_more),
        cmocka_unit_test(the_deepest_that_is_taken),
        cmocka_unit_test(a_nul_byte_ends_nothing_early),
        WITH_OBJECT(members_of_the_right_type_are_read),
        WITH_OBJECT(missing_and_null_members_are_told_apart_from_wrong_ones),
        WITH_OBJECT(the_text_names_the_member),
        cmocka_unit_test(what_is_no_object_has_no_members),
        WITH_OBJECT(text_is_compact_and_in_order),
        cmocka_unit_test(random_bytes_never_hurt_and_what_parses_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
