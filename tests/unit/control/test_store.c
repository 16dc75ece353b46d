/* Both stores by the same rules. */
#include <string.h>

#include "tests/unit/cmocka.h"
#include "tests/unit/control/store_bed.h"

static void a_new_store_is_empty(void **state)
{
    struct store_bed *f = *state;

    assert_records(f->store, "", 0);
}

static void records_are_created_updated_and_deleted(void **state)
{
    struct store_bed *f = *state;

    assert_int_equal(bed_create(f->store, "node", "b", "{\"n\":1}"), STORE_DONE);
    assert_int_equal(bed_create(f->store, "node", "a", "{\"n\":2}"), STORE_DONE);
    assert_int_equal(bed_update(f->store, "b", 1, "{\"n\":3}"), STORE_DONE);
    assert_records(f->store, "node/b@1/3={\"n\":3} node/a@2/2={\"n\":2} ", 3);
    assert_int_equal(bed_delete(f->store, "b", 3), STORE_DONE);
    store_bed_reopen(f);
    assert_records(f->store, "node/a@2/2={\"n\":2} ", 4);
}

static void what_does_not_fit_is_a_conflict_and_changes_nothing(void **state)
{
    struct store_bed *f = *state;

    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_CONFLICT);
    assert_int_equal(bed_update(f->store, "a", 7, "{}"), STORE_CONFLICT);
    assert_int_equal(bed_update(f->store, "x", 1, "{}"), STORE_CONFLICT);
    assert_int_equal(bed_delete(f->store, "a", 7), STORE_CONFLICT);
    assert_int_equal(bed_delete(f->store, "x", 1), STORE_CONFLICT);
    assert_int_equal(bed_create(f->store, "lease", "a", "{}"), STORE_DONE);
    assert_records(f->store, "node/a@1/1={} lease/a@2/2={} ", 2);
}

static void a_change_set_happens_wholly_or_not_at_all(void **state)
{
    struct store_bed *f = *state;
    struct store_change change = {0};

    assert_int_equal(bed_create(f->store, "lease", "s", "{}"), STORE_DONE);
    store_add_create(&change, "node", "a", NULL, mem_strdup("{}"));
    store_add_create(&change, "lease", "s", NULL, mem_strdup("{}"));
    assert_int_equal(bed_commit_one(f->store, &change), STORE_CONFLICT);
    assert_records(f->store, "lease/s@1/1={} ", 1);
}

static void a_group_goes_in_order_and_one_conflict_spoils_only_itself(void **state)
{
    struct store_bed *f = *state;
    struct store_change changes[3] = {0};

    for (int i = 0; i < 3; i++) {
        store_add_create(&changes[i], "node", i == 2 ? "b" : "a", NULL, mem_strdup("{}"));
        changes[i].item.next = i < 2 ? &changes[i + 1].item : NULL;
    }
    assert_int_equal(store_commit(f->store, &changes[0]), 0);
    assert_int_equal(changes[0].outcome, STORE_DONE);
    assert_int_equal(changes[1].outcome, STORE_CONFLICT);
    assert_int_equal(changes[2].outcome, STORE_DONE);
    assert_int_equal(changes[0].revision, 1);
    assert_int_equal(changes[2].revision, 2);
    for (int i = 0; i < 3; i++)
        store_change_deinit(&changes[i]);
    assert_records(f->store, "node/a@1/1={} node/b@2/2={} ", 2);
}

static void a_probe_uses_no_revision(void **state)
{
    struct store_bed *f = *state;
    struct store_change probe = {0};

    assert_int_equal(bed_commit_one(f->store, &probe), STORE_DONE);
    assert_int_equal(bed_commit_one(f->store, &probe), STORE_DONE);
    assert_records(f->store, "", 0);
}

static void a_revision_is_never_given_twice(void **state)
{
    struct store_bed *f = *state;

    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_int_equal(bed_delete(f->store, "a", 1), STORE_DONE);
    store_bed_reopen(f);
    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_records(f->store, "node/a@3/3={} ", 3);
}

static void a_key_is_held_by_one_record_of_its_kind(void **state)
{
    struct store_bed *f = *state;
    struct store_change change = {0};

    assert_int_equal(bed_create_keyed(f->store, "node", "a", "10.0.0.1"), STORE_DONE);
    assert_int_equal(bed_create_keyed(f->store, "node", "b", "10.0.0.1"), STORE_CONFLICT);
    assert_int_equal(bed_create_keyed(f->store, "lease", "b", "10.0.0.1"), STORE_DONE);
    assert_int_equal(bed_create_keyed(f->store, "node", "b", NULL), STORE_DONE);
    assert_int_equal(bed_create_keyed(f->store, "node", "c", NULL), STORE_DONE);
    store_add_update(&change, "node", "a", 1, NULL, mem_strdup("{}"));
    store_add_update(&change, "node", "b", 3, "10.0.0.1", mem_strdup("{}"));
    assert_int_equal(bed_commit_one(f->store, &change), STORE_DONE);
    assert_int_equal(bed_create_keyed(f->store, "node", "d", "10.0.0.1"), STORE_CONFLICT);
}

#define BOTH(test)                                                           \
    {#test " (memory)", test, store_bed_make_memory, store_bed_drop, NULL},  \
    {                                                                        \
#test " (sqlite)", test, store_bed_make_sqlite, store_bed_drop, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_new_store_is_empty),
        BOTH(records_are_created_updated_and_deleted),
        BOTH(what_does_not_fit_is_a_conflict_and_changes_nothing),
        BOTH(a_change_set_happens_wholly_or_not_at_all),
        BOTH(a_group_goes_in_order_and_one_conflict_spoils_only_itself),
        BOTH(a_probe_uses_no_revision),
        BOTH(a_key_is_held_by_one_record_of_its_kind),
        BOTH(a_revision_is_never_given_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
