/* UTF-8: lengths, code points, and what is hostile. */
#include "lib/base/utf8.h"

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static size_t encode(uint32_t c, char out[static 4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static void every_code_point_but_surrogates_is_good_utf8(void **state)
{
    for (uint32_t c = 1; c <= 0x10ffff; c++) {
        char bytes[4];
        size_t n = encode(c, bytes);

        if (utf8_length(bytes, n) != (c >= 0xd800 && c < 0xe000 ? 0 : n))
            fail_msg("U+%04X was judged wrongly", c);
        if (utf8_decode(bytes, n) != c)
            fail_msg("U+%04X was decoded wrongly", c);
    }
}

static void a_sequence_that_is_cut_short_has_no_length(void **state)
{
    assert_int_equal(utf8_length("", 0), 0);
    assert_int_equal(utf8_length("\xc3\xb6", 1), 0);
    assert_int_equal(utf8_length("\xf0\x9f\x90\x84", 3), 0);
}

static void hostile_characters_are_known(void **state)
{
    static const uint32_t hostile[] = {0,      0x1b,   0x1f,   0x7f,   0x80,   0x9b,   0x9f,  0x61c,
                                       0x200e, 0x200f, 0x2028, 0x202e, 0x2066, 0x2069, 0xfeff};
    static const uint32_t honest[] = {' ',   'a',    '~',    0xa0,   0xf6,
                                      0x61b, 0x200d, 0x2027, 0x202f, 0x1f404};

    for (size_t i = 0; i < ARRAY_LEN(hostile); i++)
        assert_true(utf8_is_hostile(hostile[i]));
    for (size_t i = 0; i < ARRAY_LEN(honest); i++)
        assert_false(utf8_is_hostile(honest[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_but_surrogates_is_good_utf8),
        cmocka_unit_test(a_sequence_that_is_cut_short_has_no_length),
        cmocka_unit_test(hostile_characters_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
