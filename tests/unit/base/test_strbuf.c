/* The string that grows. */
#include "lib/base/strbuf.h"

#include <string.h>

#include "lib/base/json.h"
#include "lib/base/random.h"
#include "tests/unit/cmocka.h"

static void pieces_are_joined_and_terminated(void **state)
{
    AUTO_STRBUF struct strbuf buf = {0};

    strbuf_adds(&buf, "one");
    strbuf_add(&buf, ", two and more", 5);
    strbuf_addf(&buf, " and %d", 3);
    assert_string_equal(buf.data, "one, two and 3");
    assert_int_equal(buf.len, 14);
}

static void numbers_are_as_wide_as_asked_for_or_wider(void **state)
{
    AUTO_STRBUF struct strbuf buf = {0};

    strbuf_add_u64_wide(&buf, 0, 3);
    strbuf_add_u64_wide(&buf, 1234, 3);
    strbuf_add_u64_wide(&buf, 7, 20);
    strbuf_add_u64(&buf, UINT64_MAX);
    assert_string_equal(buf.data, "  01234                   718446744073709551615");
}

static void it_grows_to_any_length_and_keeps_every_byte(void **state)
{
    AUTO_STRBUF struct strbuf buf = {0};

    for (int i = 0; i < 10000; i++)
        strbuf_addf(&buf, "%05d", i);
    assert_int_equal(buf.len, 50000);
    assert_memory_equal(buf.data, "0000000001", 10);
    assert_string_equal(buf.data + 49995, "09999");
}

static void formatted_texts_of_every_length_are_whole(void **state)
{
    static const char text[] =
        "0123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789012345678901234567890123456789";

    for (int n = 0; n < (int)sizeof text; n++) {
        AUTO_STRBUF struct strbuf buf = {0};

        strbuf_addf(&buf, "%.*s|", n, text);
        strbuf_addf(&buf, "%.*s", n, text);
        assert_int_equal(buf.len, 2 * n + 1);
        assert_int_equal(strlen(buf.data), 2 * n + 1);
        assert_memory_equal(buf.data, text, (size_t)n);
        assert_memory_equal(buf.data + n + 1, text, (size_t)n);
    }
}

static void numbers_are_written_in_decimal(void **state)
{
    AUTO_STRBUF struct strbuf buf = {0};

    strbuf_add_u64(&buf, 0);
    strbuf_adds(&buf, " ");
    strbuf_add_u64(&buf, 1090);
    strbuf_adds(&buf, " ");
    strbuf_add_u64(&buf, UINT64_MAX);
    assert_string_equal(buf.data, "0 1090 18446744073709551615");
}

static void bytes_with_nul_are_kept(void **state)
{
    AUTO_STRBUF struct strbuf buf = {0};

    strbuf_add(&buf, "a\0b", 3);
    assert_int_equal(buf.len, 3);
    assert_memory_equal(buf.data, "a\0b", 4);
}

static void adding_nothing_to_nothing_is_an_empty_text(void **state)
{
    AUTO_STRBUF struct strbuf buf = {0};

    strbuf_add(&buf, NULL, 0);
    assert_string_equal(buf.data, "");
}

static void clearing_keeps_the_room(void **state)
{
    AUTO_STRBUF struct strbuf buf = {0};
    size_t size;

    strbuf_clear(&buf);
    assert_null(buf.data);
    strbuf_adds(&buf, "something");
    size = buf.size;
    strbuf_clear(&buf);
    assert_string_equal(buf.data, "");
    assert_int_equal(buf.size, size);
}

static void what_is_cut_off_the_end_makes_room_for_other_words(void **state)
{
    AUTO_STRBUF struct strbuf buf = {0};

    strbuf_cut(&buf, 0);
    assert_null(buf.data);
    strbuf_adds(&buf, "{\"a\":1}");
    strbuf_cut(&buf, 1);
    assert_string_equal(buf.data, "{\"a\":1");
    strbuf_adds(&buf, ",\"b\":2}");
    assert_string_equal(buf.data, "{\"a\":1,\"b\":2}");
}

static void taking_leaves_an_empty_buffer_and_never_null(void **state)
{
    AUTO_STRBUF struct strbuf buf = {0};
    char *text = strbuf_take(&buf);

    assert_string_equal(text, "");
    free(text);
    strbuf_adds(&buf, "x");
    text = strbuf_take(&buf);
    assert_string_equal(text, "x");
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
    free(text);
}

static void json_strings_are_escaped(void **state)
{
    static const struct {
        const char *plain, *json;
    } rows[] = {
        {"", "\"\""},
        {"a/b", "\"a/b\""},
        {"\"\\", "\"\\\"\\\\\""},
        {"\n\x01\x7f", "\"\\u000a\\u0001\\u007f\""},
        {"K\xc3\xb6ln", "\"K\xc3\xb6ln\""},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_STRBUF struct strbuf buf = {0};

        strbuf_add_json(&buf, rows[i].plain);
        assert_string_equal(buf.data, rows[i].json);
    }
}

static void a_text_for_people_cannot_harm_their_terminal(void **state)
{
    AUTO_STRBUF struct strbuf buf = {0};

    strbuf_add_printable(&buf, "K\xc3\xb6ln\n\x1b[2J\xc2\x9b\xe2\x80\xae\xff.");
    assert_string_equal(buf.data, "K\xc3\xb6ln\\u000a\\u001b[2J\\u009b\\u202e\\u00ff.");
}

static void any_text_comes_back_through_a_json_parser(void **state)
{
    for (int round = 0; round < 5000; round++) {
        AUTO_STRBUF struct strbuf buf = {0};
        AUTO_JSON json_t *back = NULL;
        unsigned char text[32];

        random_bytes(text, sizeof text);
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (unsigned char)(1 + text[i] % 0x7f);
        text[sizeof text - 1] = 0;
        strbuf_add_json(&buf, (const char *)text);
        assert_int_equal(json_parse(buf.data, buf.len, &back), 0);
        assert_string_equal(json_string_value(back), (const char *)text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_joined_and_terminated),
        cmocka_unit_test(numbers_are_as_wide_as_asked_for_or_wider),
        cmocka_unit_test(it_grows_to_any_length_and_keeps_every_byte),
        cmocka_unit_test(formatted_texts_of_every_length_are_whole),
        cmocka_unit_test(numbers_are_written_in_decimal),
        cmocka_unit_test(bytes_with_nul_are_kept),
        cmocka_unit_test(adding_nothing_to_nothing_is_an_empty_text),
        cmocka_unit_test(clearing_keeps_the_room),
        cmocka_unit_test(what_is_cut_off_the_end_makes_room_for_other_words),
        cmocka_unit_test(taking_leaves_an_empty_buffer_and_never_null),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(a_text_for_people_cannot_harm_their_terminal),
        cmocka_unit_test(any_text_comes_back_through_a_json_parser),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
