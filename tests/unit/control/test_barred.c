/* Addresses that older access tokens let nobody in from: which tokens, how long, and how many. */
#include "control/services/barred.h"

#include <string.h>

#include "control/store/memory.h"
#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define NONE UINT64_MAX
#define FIRST 0          /* the oldest token was there before all of this */
#define ONE 0xc0a80101   /* 192.168.1.1 */
#define TWO 0xc0a80102   /* 192.168.1.2 */
#define THREE 0xc0a80103 /* 192.168.1.3 */
#define FOUR 0xc0a80104  /* 192.168.1.4 */

struct bed {
    struct store *store;
    struct barred barred;
    struct store_change set;
    int change; /* stands for a registry's change, of which only the address counts */
};

static struct registry_change *change_of(struct bed *bed)
{
    return (struct registry_change *)&bed->change;
}

static int make(void **state)
{
    struct bed *bed = NEW(struct bed);

    bed->store = store_memory_new();
    *state = bed;
    return 0;
}

static int drop(void **state)
{
    struct bed *bed = *state;

    store_change_deinit(&bed->set);
    barred_deinit(&bed->barred);
    store_free(bed->store);
    free(bed);
    return 0;
}

static void put(struct bed *bed, uint32_t address, uint64_t oldest)
{
    store_change_deinit(&bed->set);
    bed->set = (struct store_change){0};
    barred_write(&bed->barred, &bed->set, address, oldest, change_of(bed));
}

/* The revision at which it is barred. */
static uint64_t bar_out(struct bed *bed, uint32_t address, uint64_t oldest)
{
    put(bed, address, oldest);
    assert_int_equal(store_commit(bed->store, &bed->set), 0);
    assert_int_equal(bed->set.outcome, STORE_DONE);
    barred_decided(&bed->barred, change_of(bed), bed->set.revision);
    return bed->set.revision;
}

static int load(const struct store_record *record, void *data)
{
    return barred_load(data, record);
}

static void tokens_that_were_there_are_kept_out_and_later_ones_are_not(void **state)
{
    struct bed *bed = *state;
    uint64_t at = bar_out(bed, ONE, FIRST);

    assert_true(barred_keeps_out(&bed->barred, ONE, at - 1));
    assert_false(barred_keeps_out(&bed->barred, ONE, at + 1));
    assert_false(barred_keeps_out(&bed->barred, TWO, at - 1));
}

static void it_is_so_after_a_restart(void **state)
{
    struct bed *bed = *state;
    uint64_t at = bar_out(bed, ONE, FIRST), revision;
    struct barred again = {0};

    assert_int_equal(store_load(bed->store, load, &again, &revision), 0);
    assert_int_equal(again.count, 1);
    assert_true(barred_keeps_out(&again, ONE, at - 1));
    assert_false(barred_keeps_out(&again, ONE, at + 1));
    barred_deinit(&again);
}

static void who_is_thrown_out_again_is_kept_out_with_what_let_him_in(void **state)
{
    struct bed *bed = *state;
    uint64_t first = bar_out(bed, ONE, FIRST), second = bar_out(bed, ONE, 1);

    assert_int_equal(second, first + 1);
    assert_true(barred_keeps_out(&bed->barred, ONE, first)); /* what was made in between */
    assert_int_equal(bed->barred.count, 1);
}

static void a_bar_that_was_not_stored_is_none(void **state)
{
    struct bed *bed = *state;
    uint64_t at;

    put(bed, ONE, FIRST);
    assert_ptr_equal(barred_busy(&bed->barred, ONE), change_of(bed));
    barred_decided(&bed->barred, change_of(bed), 0);
    assert_null(barred_busy(&bed->barred, ONE));
    assert_int_equal(bed->barred.count, 0);
    at = bar_out(bed, ONE, FIRST);
    put(bed, ONE, FIRST); /* one that is there stays as it was */
    barred_decided(&bed->barred, change_of(bed), 0);
    assert_true(barred_keeps_out(&bed->barred, ONE, at - 1));
    assert_false(barred_keeps_out(&bed->barred, ONE, at));
}

static void those_that_keep_out_nobody_go_with_the_next(void **state)
{
    struct bed *bed = *state;
    uint64_t second;

    bar_out(bed, ONE, FIRST);
    second = bar_out(bed, TWO, FIRST);
    put(bed, THREE, second); /* no token is older than the second */
    assert_int_equal(bed->set.op_count, 3);
    barred_decided(&bed->barred, change_of(bed), 0);
    assert_int_equal(bed->barred.count, 2); /* nothing was stored */
    bar_out(bed, THREE, second);
    assert_int_equal(bed->barred.count, 1);
    assert_null(store_memory_body(bed->store, BARRED_KIND, "192.168.1.1"));
    assert_null(store_memory_body(bed->store, BARRED_KIND, "192.168.1.2"));
    bar_out(bed, FOUR, second); /* the third is of a later time than that token */
    assert_int_equal(bed->barred.count, 2);
}

static void there_is_a_bound_and_what_is_of_no_use_makes_room(void **state)
{
    struct bed *bed = *state;
    uint64_t last = 0;

    for (uint32_t i = 0; i < BARRED_MAX; i++)
        last = bar_out(bed, 0x0a000000 + i, FIRST);
    assert_int_equal(bed->barred.count, BARRED_MAX);
    assert_false(barred_has_room(&bed->barred, ONE, FIRST));
    assert_true(barred_has_room(&bed->barred, 0x0a000000, FIRST)); /* it has its place */
    assert_true(barred_has_room(&bed->barred, ONE, NONE));
    assert_true(barred_has_room(&bed->barred, ONE, last));
}

static void what_is_no_address_is_damage(void **state)
{
    struct bed *bed = *state;
    const struct store_record record = {.kind = BARRED_KIND, .id = "node1", .body = "{}"};

    assert_int_equal(barred_load(&bed->barred, &record), STORE_DAMAGED);
    assert_non_null(strstr(err_text(), "stored barred node1"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(tokens_that_were_there_are_kept_out_and_later_ones_are_not),
        TEST(it_is_so_after_a_restart),
        TEST(who_is_thrown_out_again_is_kept_out_with_what_let_him_in),
        TEST(a_bar_that_was_not_stored_is_none),
        TEST(those_that_keep_out_nobody_go_with_the_next),
        TEST(there_is_a_bound_and_what_is_of_no_use_makes_room),
        TEST(what_is_no_address_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
