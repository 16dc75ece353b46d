/* The subnet pool: what is handed out, in which order, and when it comes back. */
#include "control/services/pool.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static const struct ip4_prefix default_cidr = {.addr = 0x0a2a0000, .len = 16};
static const struct ip4_prefix small_cidr = {.addr = 0x0a2a0000, .len = 22};

static void assert_subnet(const struct pool *pool, uint32_t index, const char *expected)
{
    char text[IP4_PREFIX_TEXT_SIZE];

    assert_string_equal(ip4_prefix_format(pool_subnet(pool, index), text), expected);
}

static void hands_out_254_subnets_in_order(void **state)
{
    struct pool pool;
    uint32_t index = 0;

    pool_init(&pool, default_cidr, 24);
    for (uint32_t i = 1; i <= 254; i++) {
        assert_true(pool_take_lowest(&pool, &index));
        assert_int_equal(index, i);
    }
    assert_subnet(&pool, 1, "10.42.1.0/24");
    assert_subnet(&pool, 254, "10.42.254.0/24");
    assert_false(pool_take_lowest(&pool, &index));
    assert_int_equal(pool.counts[POOL_USED], 254);
    assert_int_equal(pool.counts[POOL_FREE], 0);
    pool_deinit(&pool);
}

static void gives_the_lowest_free_one_first(void **state)
{
    struct pool pool;
    uint32_t index = 0;

    pool_init(&pool, default_cidr, 24);
    for (int i = 0; i < 10; i++)
        assert_true(pool_take_lowest(&pool, &index));
    pool_give_back(&pool, 7);
    pool_give_back(&pool, 3);
    assert_true(pool_take_lowest(&pool, &index));
    assert_int_equal(index, 3);
    assert_true(pool_take_lowest(&pool, &index));
    assert_int_equal(index, 7);
    assert_true(pool_take_lowest(&pool, &index));
    assert_int_equal(index, 11);
    pool_deinit(&pool);
}

static void what_is_set_aside_is_for_who_takes_it_as_reserved(void **state)
{
    struct pool pool;
    uint32_t index = 0;

    pool_init(&pool, default_cidr, 24);
    pool_set_aside(&pool, 1);
    assert_int_equal(pool.counts[POOL_RESERVED], 1);
    assert_true(pool_take_lowest(&pool, &index));
    assert_int_equal(index, 2);
    assert_false(pool_take(&pool, 1));
    assert_false(pool_take_reserved(&pool, 3)); /* free is not reserved */
    assert_true(pool_take_reserved(&pool, 1));
    assert_false(pool_take_reserved(&pool, 1));
    pool_give_back(&pool, 1);
    assert_int_equal(pool.states[1], POOL_RESERVED);
    pool_set_free(&pool, 1);
    assert_true(pool_take_lowest(&pool, &index));
    assert_int_equal(index, 1);
    pool_deinit(&pool);
}

static void what_is_set_aside_while_it_is_in_use_is_reserved_after_its_quarantine(void **state)
{
    struct pool pool;
    uint32_t index = 0;

    pool_init(&pool, default_cidr, 24);
    assert_true(pool_take_lowest(&pool, &index));
    pool_set_aside(&pool, 1);
    assert_int_equal(pool.states[1], POOL_USED);
    pool_quarantine(&pool, 1, 500);
    assert_false(pool_take_reserved(&pool, 1));
    assert_true(pool_take_due(&pool, 500, &index));
    pool_give_back(&pool, index);
    assert_int_equal(pool.states[1], POOL_RESERVED);
    assert_true(pool_take_reserved(&pool, 1));
    pool_set_free(&pool, 1);
    assert_int_equal(pool.states[1], POOL_USED);
    pool_deinit(&pool);
}

static void knows_its_subnets_and_no_others(void **state)
{
    static const struct {
        const char *text;
        bool is_known;
        uint32_t index;
    } rows[] = {
        {"10.42.1.0/24", true, 1},    {"10.42.254.0/24", true, 254}, {"10.42.0.0/24", false, 0},
        {"10.42.255.0/24", false, 0}, {"10.43.1.0/24", false, 0},    {"10.42.1.0/25", false, 0},
        {"10.42.0.0/16", false, 0},
    };
    struct pool pool;

    pool_init(&pool, default_cidr, 24);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ip4_prefix subnet;
        uint32_t index = 0;

        assert_int_equal(ip4_prefix_parse(rows[i].text, &subnet), 0);
        assert_int_equal(pool_index(&pool, subnet, &index), rows[i].is_known);
        assert_int_equal(index, rows[i].index);
    }
    pool_deinit(&pool);
}

static void a_taken_one_cannot_be_taken_again(void **state)
{
    struct pool pool;

    pool_init(&pool, default_cidr, 24);
    assert_true(pool_take(&pool, 5));
    assert_false(pool_take(&pool, 5));
    assert_false(pool_take(&pool, 0));
    assert_false(pool_take(&pool, 255));
    pool_deinit(&pool);
}

static void quarantine_ends_when_due_and_in_order(void **state)
{
    struct pool pool;
    uint32_t index = 0;

    pool_init(&pool, small_cidr, 24);
    assert_true(pool_take(&pool, 1) && pool_take(&pool, 2));
    pool_quarantine(&pool, 2, 60000);
    pool_quarantine(&pool, 1, 70000);
    assert_false(pool_take_lowest(&pool, &index));
    assert_false(pool_take_due(&pool, 59999, &index));
    assert_true(pool_take_due(&pool, 60000, &index));
    assert_int_equal(index, 2);
    assert_false(pool_take_lowest(&pool, &index)); /* due, but not given back yet */
    pool_give_back(&pool, 2);
    assert_true(pool_take_lowest(&pool, &index));
    assert_int_equal(index, 2);
    assert_false(pool_take_due(&pool, 69999, &index));
    assert_int_equal(pool.counts[POOL_QUARANTINED], 1);
    pool_deinit(&pool);
}

static void a_release_that_failed_is_due_again(void **state)
{
    struct pool pool;
    uint32_t index = 0;

    pool_init(&pool, small_cidr, 24);
    assert_true(pool_take(&pool, 1));
    pool_quarantine(&pool, 1, 100);
    assert_true(pool_take_due(&pool, 100, &index));
    pool_requeue(&pool, 1, 1100);
    assert_false(pool_take_due(&pool, 1099, &index));
    assert_true(pool_take_due(&pool, 1100, &index));
    pool_deinit(&pool);
}

static void the_largest_pool_has_65534_subnets(void **state)
{
    const struct ip4_prefix cidr = {.addr = 0x0a000000, .len = 8};
    struct pool pool;

    pool_init(&pool, cidr, 24);
    assert_int_equal(pool.counts[POOL_FREE], 65534);
    assert_subnet(&pool, 65534, "10.255.254.0/24");
    pool_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_out_254_subnets_in_order),
        cmocka_unit_test(gives_the_lowest_free_one_first),
        cmocka_unit_test(what_is_set_aside_is_for_who_takes_it_as_reserved),
        cmocka_unit_test(what_is_set_aside_while_it_is_in_use_is_reserved_after_its_quarantine),
        cmocka_unit_test(knows_its_subnets_and_no_others),
        cmocka_unit_test(a_taken_one_cannot_be_taken_again),
        cmocka_unit_test(quarantine_ends_when_due_and_in_order),
        cmocka_unit_test(a_release_that_failed_is_due_again),
        cmocka_unit_test(the_largest_pool_has_65534_subnets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
