/* SHA-256 against the vectors of FIPS 180-4, and the comparison of secrets. */
#include "lib/base/digest.h"

#include "tests/unit/cmocka.h"

static void known_texts_have_known_digests(void **state)
{
    char hex[SHA256_HEX_SIZE];

    sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void digests_compare_and_print(void **state)
{
    struct sha256 abc = sha256_of("abc", 3), same = abc;
    char hex[SHA256_HEX_SIZE];

    sha256_format(&abc, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(sha256_equal(&abc, &same));
    same.bytes[SHA256_SIZE - 1] ^= 1;
    assert_false(sha256_equal(&abc, &same));
}

static void secrets_are_equal_only_when_all_bytes_are(void **state)
{
    assert_true(secret_equal("", ""));
    assert_true(secret_equal("abc", "abc"));
    assert_false(secret_equal("abc", "abd"));
    assert_false(secret_equal("abc", "ab"));
    assert_false(secret_equal("", "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_have_known_digests),
        cmocka_unit_test(digests_compare_and_print),
        cmocka_unit_test(secrets_are_equal_only_when_all_bytes_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
