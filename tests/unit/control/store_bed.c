/* Where the store tests begin, and what they say to a store. */
#include "tests/unit/control/store_bed.h"

#include <string.h>
#include <unistd.h>

#include "control/store/memory.h"
#include "control/store/sqlite.h"
#include "lib/base/mem.h"
#include "lib/base/strbuf.h"
#include "tests/unit/cmocka.h"

int store_bed_make(void **state)
{
    struct store_bed *f = NEW(struct store_bed);

    (void)stpcpy(f->dir, "/tmp/quilt-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = mem_printf("%s/mesh.db", f->dir);
    *state = f;
    return 0;
}

int store_bed_make_memory(void **state)
{
    struct store_bed *f;

    (void)store_bed_make(state);
    f = *state;
    f->store = store_memory_new();
    return 0;
}

int store_bed_make_sqlite(void **state)
{
    struct store_bed *f;

    (void)store_bed_make(state);
    f = *state;
    f->is_sqlite = true;
    assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
    return 0;
}

int store_bed_drop(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = mem_printf("%s-wal", f->path);

    store_free(f->store);
    (void)unlink(f->path);
    (void)unlink(wal);
    assert_int_equal(rmdir(f->dir), 0); /* nothing else may be left in it */
    free(f->path);
    free(f);
    return 0;
}

void store_bed_reopen(struct store_bed *f)
{
    if (!f->is_sqlite)
        return;
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
}

int bed_add_text(const struct store_record *record, void *data)
{
    strbuf_addf(data, "%s/%s@%llu/%llu=%s ", record->kind, record->id,
                (unsigned long long)record->created_revision, (unsigned long long)record->revision,
                record->body);
    return 0;
}

void assert_records(struct store *store, const char *expected, uint64_t expected_revision)
{
    AUTO_STRBUF struct strbuf text = {0};
    uint64_t revision = 99;

    strbuf_adds(&text, "");
    assert_int_equal(store_load(store, bed_add_text, &text, &revision), 0);
    assert_string_equal(text.data ? text.data : "", expected);
    assert_int_equal(revision, expected_revision);
}

int bed_commit_one(struct store *store, struct store_change *change)
{
    int outcome;

    change->item.next = NULL;
    assert_int_equal(store_commit(store, change), 0);
    outcome = change->outcome;
    assert_int_equal(change->revision > 0, outcome == STORE_DONE && change->op_count > 0);
    store_change_deinit(change);
    return outcome;
}

int bed_create(struct store *store, const char *kind, const char *id, const char *body)
{
    struct store_change change = {0};

    store_add_create(&change, kind, id, NULL, mem_strdup(body));
    return bed_commit_one(store, &change);
}

int bed_create_keyed(struct store *store, const char *kind, const char *id, const char *key)
{
    struct store_change change = {0};

    store_add_create(&change, kind, id, key, mem_strdup("{}"));
    return bed_commit_one(store, &change);
}

int bed_update(struct store *store, const char *id, uint64_t if_revision, const char *body)
{
    struct store_change change = {0};

    store_add_update(&change, "node", id, if_revision, NULL, mem_strdup(body));
    return bed_commit_one(store, &change);
}

int bed_delete(struct store *store, const char *id, uint64_t if_revision)
{
    struct store_change change = {0};

    store_add_delete(&change, "node", id, if_revision);
    return bed_commit_one(store, &change);
}
