/* Base32 against the vectors of RFC 4648 section 10, and what is not to be taken. */
#include "lib/base/base32.h"

#include <string.h>

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static const struct {
    const char *bytes;
    const char *text;
} vectors[] = {
    {"", ""},
    {"f", "my"},
    {"fo", "mzxq"},
    {"foo", "mzxw6"},
    {"foob", "mzxw6yq"},
    {"fooba", "mzxw6ytb"},
    {"foobar", "mzxw6ytboi"},
};

static void the_vectors_of_the_rfc_hold_both_ways(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        size_t n = strlen(vectors[i].bytes);
        char text[32], bytes[32];

        base32_encode(vectors[i].bytes, n, text);
        assert_string_equal(text, vectors[i].text);
        assert_int_equal(strlen(text), BASE32_LEN(n));
        assert_int_equal(base32_decode(text, strlen(text), bytes, n), 0);
        assert_memory_equal(bytes, vectors[i].bytes, n);
    }
}

static void every_byte_survives_the_way_there_and_back(void **state)
{
    unsigned char bytes[64], back[64];
    char text[BASE32_LEN(64) + 1];

    for (unsigned int first = 0; first < 256; first++) {
        for (unsigned int i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)(first + i * 7);
        base32_encode(bytes, sizeof bytes, text);
        assert_int_equal(base32_decode(text, sizeof text - 1, back, sizeof back), 0);
        assert_memory_equal(back, bytes, sizeof bytes);
    }
}

static const struct {
    const char *text;
    size_t n;
    int outcome;
} refused[] = {
    {"mzxw6", 4, BASE32_BAD_LENGTH},
    {"mzxw6y", 3, BASE32_BAD_LENGTH},
    {"", 1, BASE32_BAD_LENGTH},
    {"MZXW6", 3, BASE32_BAD_CHARACTER},
    {"mzx 6", 3, BASE32_BAD_CHARACTER},
    {"mzx16", 3, BASE32_BAD_CHARACTER},
    {"mzx86", 3, BASE32_BAD_CHARACTER},
    {"mzxw=", 3, BASE32_BAD_CHARACTER},
    {"mzxw\xc3", 3, BASE32_BAD_CHARACTER},
    {"mz", 1, BASE32_LEFT_OVER},
    {"mzxr", 2, BASE32_LEFT_OVER},
    {"mzxw7", 3, BASE32_LEFT_OVER},
};

static void what_is_not_the_one_text_of_its_bytes_is_refused(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        char bytes[8] = "unset";

        assert_int_equal(
            base32_decode(refused[i].text, strlen(refused[i].text), bytes, refused[i].n),
            refused[i].outcome);
        assert_string_equal(bytes, "unset");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc_hold_both_ways),
        cmocka_unit_test(every_byte_survives_the_way_there_and_back),
        cmocka_unit_test(what_is_not_the_one_text_of_its_bytes_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
