/* The internet checksum, by examples that others have computed. */
#include "lib/base/checksum.h"

#include <arpa/inet.h>
#include <string.h>

#include "tests/unit/cmocka.h"

static void the_example_of_the_rfc(void **state)
{
    /* RFC 1071 section 3: the sum is ddf2. */
    const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

    assert_int_equal(ntohs(checksum_inet(bytes, sizeof bytes)), (uint16_t)~0xddf2);
}

static void with_its_checksum_in_place_an_ip_header_sums_to_nothing(void **state)
{
    const uint8_t header[] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                              0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};

    assert_int_equal(checksum_inet(header, sizeof header), 0);
}

static void carries_are_added_again(void **state)
{
    uint8_t bytes[64];

    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(checksum_inet(bytes, sizeof bytes), 0);
    bytes[63] = 0xfe; /* one less in the last word */
    assert_int_equal(ntohs(checksum_inet(bytes, sizeof bytes)), 1);
}

static void of_nothing_it_is_all_ones(void **state)
{
    assert_int_equal(checksum_inet("", 0), 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc),
        cmocka_unit_test(with_its_checksum_in_place_an_ip_header_sums_to_nothing),
        cmocka_unit_test(carries_are_added_again),
        cmocka_unit_test(of_nothing_it_is_all_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
