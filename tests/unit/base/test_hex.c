/* Hexadecimal digits. */
#include "lib/base/hex.h"

#include "tests/unit/cmocka.h"

static void each_byte_becomes_two_lower_case_digits(void **state)
{
    char text[16];
    const char *end = hex_write("\x00\x9a\xff\x10", 4, text);

    assert_string_equal(text, "009aff10");
    assert_ptr_equal(end, text + 8);
}

static void no_bytes_become_an_empty_text(void **state)
{
    char text[] = "?";

    assert_ptr_equal(hex_write("", 0, text), text);
    assert_string_equal(text, "");
}

static void bytes_may_stand_in_the_second_half_of_their_digits(void **state)
{
    char text[] = "....\xde\xad\xbe\xef";

    (void)hex_write(text + 4, 4, text);
    assert_string_equal(text, "deadbeef");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_becomes_two_lower_case_digits),
        cmocka_unit_test(no_bytes_become_an_empty_text),
        cmocka_unit_test(bytes_may_stand_in_the_second_half_of_their_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
