/* Who guesses credentials is slowed. */
#include "control/services/guesses.h"
#include "tests/unit/cmocka.h"

#define ADDR 0x0a000001
#define OTHER 0x0a000002

static void ten_at_once_then_ten_a_second(void **state)
{
    struct guesses g = {.salt = 7};

    for (int i = 0; i < 10; i++) {
        assert_false(guesses_must_wait(&g, ADDR, 5000));
        assert_true(guesses_note(&g, ADDR, 5000));
    }
    assert_true(guesses_must_wait(&g, ADDR, 5000));
    assert_false(guesses_note(&g, ADDR, 5000));
    assert_true(guesses_must_wait(&g, ADDR, 5000));
    assert_false(guesses_must_wait(&g, ADDR, 5001));
    assert_true(guesses_note(&g, ADDR, 5001));
    assert_true(guesses_must_wait(&g, ADDR, 5099));
    assert_false(guesses_must_wait(&g, ADDR, 5101));
}

static void a_flood_is_held_to_ten_a_second(void **state)
{
    struct guesses g = {.salt = 7};
    unsigned int noted = 0;

    for (int64_t ms = 5000; ms < 15000; ms++)
        noted += guesses_note(&g, ADDR, ms);
    assert_in_range(noted, 105, 111);
}

static void others_do_not_wait_with_it(void **state)
{
    struct guesses g = {.salt = 7};

    for (int i = 0; i < 20; i++)
        (void)guesses_note(&g, ADDR, 5000);
    assert_true(guesses_must_wait(&g, ADDR, 5000));
    assert_false(guesses_must_wait(&g, OTHER, 5000));
}

static void what_was_long_ago_is_forgotten(void **state)
{
    struct guesses g = {.salt = 7};

    for (int i = 0; i < 10; i++)
        (void)guesses_note(&g, ADDR, 5000);
    for (int i = 0; i < 10; i++)
        assert_true(guesses_note(&g, ADDR, 10000));
    assert_false(guesses_note(&g, ADDR, 10000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_at_once_then_ten_a_second),
        cmocka_unit_test(a_flood_is_held_to_ten_a_second),
        cmocka_unit_test(others_do_not_wait_with_it),
        cmocka_unit_test(what_was_long_ago_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
