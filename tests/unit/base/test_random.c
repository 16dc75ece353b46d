/* Random numbers: their forms, and that they differ. */
#include "lib/base/random.h"

#include <string.h>

#include "tests/unit/cmocka.h"

static void a_uuid_is_of_version_four(void **state)
{
    char a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE];

    for (int i = 0; i < 200; i++) {
        random_uuid(a);
        random_uuid(b);
        assert_int_equal(strlen(a), 36);
        assert_int_equal(a[14], '4');
        assert_non_null(strchr("89ab", a[19]));
        assert_string_not_equal(a, b);
    }
}

static void a_uuid_of_a_time_sorts_by_it(void **state)
{
    char early[UUID_TEXT_SIZE], same[UUID_TEXT_SIZE], late[UUID_TEXT_SIZE];

    for (int i = 0; i < 200; i++) {
        random_uuid_at(0x017f22e279b0, early); /* RFC 9562, appendix A.6 */
        random_uuid_at(0x017f22e279b0, same);
        random_uuid_at(0x017f22e279b1, late);
        assert_int_equal(strlen(early), 36);
        assert_memory_equal(early, "017f22e2-79b0-7", 15);
        assert_non_null(strchr("89ab", early[19]));
        assert_string_not_equal(early, same);
        assert_true(strcmp(early, late) < 0);
    }
}

static void hex_has_two_digits_a_byte_and_an_end(void **state)
{
    char text[66];

    memset(text, 'Z', sizeof text);
    random_hex(text, 32);
    assert_int_equal(strspn(text, "0123456789abcdef"), 64);
    assert_int_equal(text[64], 0);
    assert_int_equal(text[65], 'Z');
}

static void every_bit_of_a_number_changes(void **state)
{
    uint64_t ones = 0, zeros = 0;

    for (int i = 0; i < 200; i++) {
        uint64_t v = random_u64();

        ones |= v;
        zeros |= ~v;
    }
    assert_true(ones == UINT64_MAX);
    assert_true(zeros == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uuid_is_of_version_four),
        cmocka_unit_test(a_uuid_of_a_time_sorts_by_it),
        cmocka_unit_test(hex_has_two_digits_a_byte_and_an_end),
        cmocka_unit_test(every_bit_of_a_number_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
