/* A disk that is full or broken. SQLite lets its system calls be replaced; one of ours stands for
 * it. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/store/memory.h"
#include "control/store/sqlite.h"
#include "control/store/wal_look.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/strbuf.h"
#include "tests/unit/cmocka.h"
#include "tests/unit/control/mesh.h"
#include "tests/unit/control/store_bed.h"

static int pwrite_errno;
static bool fails_growing_only; /* of the file; the log has its room */

static bool is_growing_file(int fd, off_t at)
{
    struct stat st;
    char link[64], name[256] = "";

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    assert_true(readlink(link, name, sizeof name - 1) > 0);
    assert_int_equal(fstat(fd, &st), 0);
    return !strstr(name, "-wal") && at >= st.st_size;
}

static ssize_t failing_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    if (pwrite_errno == 0 || (fails_growing_only && !is_growing_file(fd, at)))
        return pwrite(fd, bytes, n, at);
    errno = pwrite_errno;
    return -1;
}

static void replace_pwrite(sqlite3_syscall_ptr fn)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    (void)vfs->xSetSystemCall(vfs, "pwrite", fn);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", fn);
}

static int setup_failing(void **state)
{
    pwrite_errno = 0;
    fails_growing_only = false;
    replace_pwrite((sqlite3_syscall_ptr)failing_pwrite);
    return store_bed_make_sqlite(state);
}

static int teardown_failing(void **state)
{
    pwrite_errno = 0;
    replace_pwrite(NULL);
    return store_bed_drop(state);
}

static void a_full_disk_refuses_the_group_and_recovers_by_itself(void **state)
{
    struct store_bed *f = *state;
    struct store_change probe = {0};

    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    pwrite_errno = ENOSPC;
    assert_int_equal(bed_create(f->store, "node", "b", "{}"), STORE_FULL);
    assert_int_equal(bed_commit_one(f->store, &probe), STORE_FULL);
    pwrite_errno = 0;
    assert_int_equal(bed_create(f->store, "node", "c", "{}"), STORE_DONE);
    store_bed_reopen(f);
    assert_records(f->store, "node/a@1/1={} node/c@2/2={} ", 2);
}

/* SQLite itself knows no quota. */
static void a_quota_that_is_used_up_is_a_full_disk(void **state)
{
    struct store_bed *f = *state;

    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    pwrite_errno = EDQUOT;
    assert_int_equal(bed_create(f->store, "node", "b", "{}"), STORE_FULL);
    pwrite_errno = 0;
    assert_int_equal(bed_create(f->store, "node", "c", "{}"), STORE_DONE);
    store_bed_reopen(f);
    assert_records(f->store, "node/a@1/1={} node/c@2/2={} ", 2);
}

/* What a refused group has written behind the log's end is of salts that never come again. */
static void a_group_that_was_refused_leaves_nothing_for_the_next_ones(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *wal = mem_printf("%s-wal", f->path);
    uint32_t before, after;

    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    assert_int_equal(wal_read_salt(wal, &before), 0);
    pwrite_errno = ENOSPC;
    assert_int_equal(bed_create(f->store, "node", "b", "{}"), STORE_FULL);
    pwrite_errno = 0;
    assert_int_equal(bed_create(f->store, "node", "c", "{}"), STORE_DONE);
    assert_int_equal(wal_read_salt(wal, &after), 0);
    assert_true(after - before >= 1 && after - before <= 2);
}

static void a_full_disk_at_the_start_refuses_changes_until_there_is_room(void **state)
{
    struct store_bed *f = *state;

    assert_int_equal(bed_create(f->store, "node", "a", "{}"), STORE_DONE);
    store_free(TAKE_PTR(f->store));
    pwrite_errno = ENOSPC;
    assert_int_equal(store_sqlite_open(f->path, NULL, &f->store), 0);
    assert_records(f->store, "node/a@1/1={} ", 1);
    assert_int_equal(bed_create(f->store, "node", "b", "{}"), STORE_FULL);
    pwrite_errno = 0;
    assert_int_equal(bed_create(f->store, "node", "b", "{}"), STORE_DONE);
    store_bed_reopen(f);
    assert_records(f->store, "node/a@1/1={} node/b@2/2={} ", 2);
}

/* The log is long, and goes back into a file that cannot grow. */
static void a_full_disk_when_the_log_goes_back_refuses_changes_until_there_is_room(void **state)
{
    struct store_bed *f = *state;
    AUTO_FREE char *body = mem_zalloc(500001);
    int done = 0, refused = 0;

    memset(body, ' ', 500000);
    body[0] = '{';
    body[1] = '}';
    fails_growing_only = true;
    pwrite_errno = ENOSPC;
    for (char id[] = "a"; id[0] <= 'z'; id[0]++) {
        int outcome = bed_create(f->store, "node", id, body);

        done += outcome == STORE_DONE;
        refused += outcome == STORE_FULL;
    }
    assert_in_range(done, 18, 22);
    assert_int_equal(done + refused, 26);
    pwrite_errno = 0;
    assert_int_equal(bed_create(f->store, "node", "new", "{}"), STORE_DONE);
    store_free(TAKE_PTR(f->store));
    assert_int_equal(bed_read_number(f->path, "SELECT count(*) FROM nodes"), done + 1);
}

/* Of the group that found no room nothing is left: neither what it made, nor what it changed. */
static void a_group_that_was_refused_can_come_again(void **state)
{
    struct store_bed *f = *state;
    struct store_change change = {0};

    assert_int_equal(bed_create_keyed(f->store, "node", "a", "10.0.0.1"), STORE_DONE);
    assert_int_equal(bed_create_keyed(f->store, "node", "b", NULL), STORE_DONE);
    for (int attempt = 0; attempt < 3; attempt++) {
        pwrite_errno = attempt < 2 ? ENOSPC : 0;
        store_add_update(&change, "node", "a", 1, NULL, mem_strdup("{}"));
        store_add_create(&change, "node", "c", "10.0.0.1", mem_strdup("{}"));
        store_add_delete(&change, "node", "b", 2);
        assert_int_equal(bed_commit_one(f->store, &change), attempt < 2 ? STORE_FULL : STORE_DONE);
    }
    store_bed_reopen(f);
    assert_records(f->store, "node/a@1/3={} node/c@3/3={} ", 3);
    assert_int_equal(bed_create_keyed(f->store, "node", "b", "10.0.0.1"), STORE_CONFLICT);
}

/* ---- beside one in memory, by the same story ----------------------------------------------- */

static uint32_t draw(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525 + 1013904223;
    return (*state >> 16) % below;
}

#define KINDS 2
#define IDS 4

/* The revisions of i0, i1, ... of each kind; 0: there is none. */
struct known {
    uint64_t revisions[KINDS][IDS];
};

static const char *const kinds[KINDS] = {"node", "lease"};

static int note_known(const struct store_record *record, void *data)
{
    struct known *known = data;

    known->revisions[strcmp(record->kind, kinds[0]) != 0][record->id[1] - '0'] = record->revision;
    return 0;
}

/* Few names, few keys and mostly the right revision: much fits, and much does not. */
static void add_any(struct store_change *change, uint32_t *state, const struct known *known)
{
    uint32_t kind = draw(state, KINDS), number = draw(state, IDS);
    uint64_t revision = known->revisions[kind][number] - (draw(state, 5) == 0);
    char id[] = {'i', (char)('0' + number), '\0'};
    char key[] = {'k', (char)('0' + draw(state, 6)), '\0'};
    const char *held = draw(state, 2) ? key : NULL;

    switch ((enum store_verb)draw(state, 3)) {
    case STORE_CREATE:
        store_add_create(change, kinds[kind], id, held, mem_strdup("{}"));
        break;
    case STORE_UPDATE:
        store_add_update(change, kinds[kind], id, revision, held, mem_strdup("1"));
        break;
    case STORE_DELETE:
        store_add_delete(change, kinds[kind], id, revision);
        break;
    }
}

static void make_group(struct store_change changes[static 4], uint32_t seed,
                       const struct known *known)
{
    memset(changes, 0, 4 * sizeof *changes);
    for (int i = 0; i < 4; i++) {
        add_any(&changes[i], &seed, known);
        changes[i].item.next = i < 3 ? &changes[i + 1].item : NULL;
    }
}

static void assert_alike(struct store *one, struct store *other)
{
    AUTO_STRBUF struct strbuf text = {0};
    uint64_t revision = 0;

    strbuf_adds(&text, "");
    assert_int_equal(store_load(other, bed_add_text, &text, &revision), 0);
    assert_records(one, text.data, revision);
}

static void both_stores_tell_the_same_story_with_full_disks_and_restarts_in_between(void **state)
{
    struct store_bed *f = *state;
    struct store *model = store_memory_new();
    int done = 0, conflicts = 0;

    for (uint32_t round = 1; round <= 300; round++) {
        struct store_change ours[4], theirs[4];
        struct known known = {0};
        bool is_full = round % 5 == 0;
        uint64_t revision;

        assert_int_equal(store_load(model, note_known, &known, &revision), 0);
        make_group(ours, round, &known);
        make_group(theirs, round, &known);
        pwrite_errno = is_full ? ENOSPC : 0;
        store_memory_set_full(model, is_full);
        assert_int_equal(store_commit(f->store, ours), 0);
        assert_int_equal(store_commit(model, theirs), 0);
        pwrite_errno = 0;
        for (int i = 0; i < 4; i++) {
            if (is_full) /* which it is not asked for what does not fit anyway */
                assert_int_not_equal(ours[i].outcome, STORE_DONE);
            else
                assert_int_equal(ours[i].outcome, theirs[i].outcome);
            assert_int_equal(ours[i].revision, theirs[i].revision);
            done += ours[i].outcome == STORE_DONE;
            conflicts += ours[i].outcome == STORE_CONFLICT;
            store_change_deinit(&ours[i]);
            store_change_deinit(&theirs[i]);
        }
        if (round % 30 == 0)
            store_bed_reopen(f);
        assert_alike(f->store, model);
    }
    if (done < 200 || conflicts < 200)
        fail_msg("%d done and %d conflicts are no test", done, conflicts);
    store_free(model);
}

static void a_broken_disk_leaves_the_outcome_unknown(void **state)
{
    struct store_bed *f = *state;
    struct store_change change = {0};

    pwrite_errno = EROFS;
    store_add_create(&change, "node", "a", NULL, mem_strdup("{}"));
    assert_int_equal(store_commit(f->store, &change), -EROFS);
    assert_says(f->path);
    assert_says("Read-only file system");
    store_change_deinit(&change);
}

#define FAILING(test) cmocka_unit_test_setup_teardown(test, setup_failing, teardown_failing)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAILING(a_full_disk_refuses_the_group_and_recovers_by_itself),
        FAILING(a_quota_that_is_used_up_is_a_full_disk),
        FAILING(a_group_that_was_refused_leaves_nothing_for_the_next_ones),
        FAILING(a_full_disk_at_the_start_refuses_changes_until_there_is_room),
        FAILING(a_full_disk_when_the_log_goes_back_refuses_changes_until_there_is_room),
        FAILING(a_group_that_was_refused_can_come_again),
        FAILING(both_stores_tell_the_same_story_with_full_disks_and_restarts_in_between),
        FAILING(a_broken_disk_leaves_the_outcome_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
