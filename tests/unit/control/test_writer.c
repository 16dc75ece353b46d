/* The store's thread: what is handed in comes back, in order and in groups; and a store that fails
 * is not touched again. The store here is a gate that the test opens. */
#include <pthread.h>
#include <string.h>

#include "control/store/writer.h"
#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

struct gate {
    struct store store;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_open;
    bool is_busy; /* the thread is in the gate */
    bool fails;
    size_t group_sizes[8];
    size_t groups;
};

static int gate_commit(struct store *store, struct store_change *first)
{
    struct gate *gate = CONTAINER_OF(store, struct gate, store);
    size_t count = 0;
    bool fails;

    pthread_mutex_lock(&gate->lock);
    gate->is_busy = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->is_open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    for (struct store_change *c = first; c; c = store_change_next(c)) {
        c->outcome = STORE_DONE;
        count++;
    }
    gate->group_sizes[gate->groups++] = count;
    fails = gate->fails;
    pthread_mutex_unlock(&gate->lock);
    return fails ? err_fail(EIO, "the disk is gone") : 0;
}

static void gate_wait_busy(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    while (!gate->is_busy)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->is_open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

struct fixture {
    struct gate gate;
    struct loop *loop;
    struct writer *writer;
    struct store_change changes[6];
    size_t expected; /* the loop ends when so many are back */
    struct store_change *back[6];
    size_t back_count;
    char broken[64];
};

static void on_done(struct store_change *change, void *data)
{
    struct fixture *f = data;

    f->back[f->back_count++] = change;
    if (f->back_count == f->expected)
        loop_exit(f->loop, 0);
}

static void on_broken(const char *text, void *data)
{
    struct fixture *f = data;

    assert_string_equal(f->broken, ""); /* only once */
    (void)stpncpy(f->broken, text, sizeof f->broken - 1);
    loop_exit(f->loop, 0);
}

static int setup(void **state)
{
    static const struct store_ops ops = {.commit = gate_commit};
    struct fixture *f = NEW(struct fixture);
    const struct writer_callbacks callbacks = {on_done, on_broken, f};

    f->gate.store.ops = &ops;
    pthread_mutex_init(&f->gate.lock, NULL);
    pthread_cond_init(&f->gate.changed, NULL);
    assert_int_equal(loop_new(&f->loop), 0);
    assert_int_equal(writer_new(f->loop, &f->gate.store, &callbacks, &f->writer), 0);
    for (size_t i = 0; i < ARRAY_LEN(f->changes); i++)
        store_add_delete(&f->changes[i], "node", "x", i);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    writer_free(f->writer);
    loop_free(f->loop);
    for (size_t i = 0; i < ARRAY_LEN(f->changes); i++)
        store_change_deinit(&f->changes[i]);
    pthread_cond_destroy(&f->gate.changed);
    pthread_mutex_destroy(&f->gate.lock);
    free(f);
    return 0;
}

static void what_gathers_during_a_commit_goes_in_one_group(void **state)
{
    struct fixture *f = *state;

    writer_submit(f->writer, &f->changes[0]);
    gate_wait_busy(&f->gate);
    for (size_t i = 1; i < 6; i++)
        writer_submit(f->writer, &f->changes[i]);
    assert_int_equal(writer_pending(f->writer), 6);
    gate_open(&f->gate);
    f->expected = 6;
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->gate.groups, 2);
    assert_int_equal(f->gate.group_sizes[0], 1);
    assert_int_equal(f->gate.group_sizes[1], 5);
    for (size_t i = 0; i < 6; i++)
        assert_ptr_equal(f->back[i], &f->changes[i]);
    assert_int_equal(writer_pending(f->writer), 0);
    assert_int_equal(writer_stats(f->writer)->commits, 2);
    assert_int_equal(writer_stats(f->writer)->changes, 6);
}

static void a_failing_store_is_told_once_and_not_touched_again(void **state)
{
    struct fixture *f = *state;

    f->gate.fails = true;
    writer_submit(f->writer, &f->changes[0]);
    gate_wait_busy(&f->gate);
    writer_submit(f->writer, &f->changes[1]);
    gate_open(&f->gate);
    assert_int_equal(loop_run(f->loop), 0);
    assert_string_equal(f->broken, "the disk is gone");
    assert_int_equal(f->back_count, 0);
    writer_submit(f->writer, &f->changes[2]);
    writer_free(f->writer);
    f->writer = NULL;
    assert_int_equal(f->gate.groups, 1);
    assert_int_equal(f->back_count, 0);
}

static void ending_commits_what_is_queued(void **state)
{
    struct fixture *f = *state;

    gate_open(&f->gate);
    writer_submit(f->writer, &f->changes[0]);
    writer_free(f->writer);
    f->writer = NULL;
    assert_int_equal(f->gate.groups, 1);
}

#define WRITER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER(what_gathers_during_a_commit_goes_in_one_group),
        WRITER(a_failing_store_is_told_once_and_not_touched_again),
        WRITER(ending_commits_what_is_queued),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
