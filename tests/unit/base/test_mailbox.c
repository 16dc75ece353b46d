/* The way between two threads: order, waking, closing. */
#include "lib/base/mailbox.h"

#include <poll.h>
#include <pthread.h>

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

#define COUNT 20000

struct letter {
    struct mailbox_item item;
    int number;
};

static struct letter letters[COUNT];

static int number_of(const struct mailbox_item *item)
{
    return CONTAINER_OF(item, const struct letter, item)->number;
}

static bool is_readable(struct mailbox *m)
{
    struct pollfd p = {.fd = mailbox_fd(m), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static int number_letters(void **state)
{
    for (int i = 0; i < COUNT; i++)
        letters[i].number = i;
    return 0;
}

static void items_come_out_in_order(void **state)
{
    struct mailbox_item *item;
    struct mailbox *m;

    assert_int_equal(mailbox_new(&m), 0);
    for (int i = 0; i < 10; i++)
        mailbox_push(m, &letters[i].item);
    item = mailbox_take_all(m);
    for (int i = 0; i < 10; i++, item = item->next)
        assert_int_equal(number_of(item), i);
    assert_null(item);
    assert_null(mailbox_take_all(m));
    mailbox_free(m);
}

static void the_descriptor_is_readable_while_there_is_something(void **state)
{
    struct mailbox *m;

    assert_int_equal(mailbox_new(&m), 0);
    assert_false(is_readable(m));
    mailbox_push(m, &letters[0].item);
    mailbox_push(m, &letters[1].item);
    assert_true(is_readable(m));
    assert_non_null(mailbox_take_all(m));
    assert_false(is_readable(m));
    mailbox_push(m, &letters[0].item);
    assert_true(is_readable(m));
    assert_non_null(mailbox_take_all(m));
    mailbox_free(m);
}

static void what_came_before_the_descriptor_was_asked_for_makes_it_readable(void **state)
{
    struct mailbox *m;

    assert_int_equal(mailbox_new(&m), 0);
    mailbox_push(m, &letters[0].item);
    assert_true(is_readable(m));
    assert_non_null(mailbox_take_all(m));
    assert_false(is_readable(m));
    mailbox_free(m);
}

static void what_was_pushed_before_closing_is_still_taken(void **state)
{
    struct mailbox *m;

    assert_int_equal(mailbox_new(&m), 0);
    mailbox_push(m, &letters[5].item);
    mailbox_close(m);
    assert_int_equal(number_of(mailbox_wait(m)), 5);
    assert_null(mailbox_wait(m));
    assert_null(mailbox_wait(m));
    mailbox_free(m);
}

/* Sends back all that it gets, until the way in is closed. */
struct echo {
    struct mailbox *in, *out;
    int taken;
};

static void *run_echo(void *data)
{
    struct echo *e = data;
    struct mailbox_item *item, *next;

    while ((item = mailbox_wait(e->in)))
        for (; item; item = next) {
            next = item->next;
            e->taken++;
            mailbox_push(e->out, item);
        }
    return NULL;
}

static void every_item_makes_the_round_through_a_thread(void **state)
{
    struct echo e = {0};
    pthread_t thread;
    int next = 0;

    assert_int_equal(mailbox_new(&e.in), 0);
    assert_int_equal(mailbox_new(&e.out), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_echo, &e), 0);
    for (int i = 0; i < COUNT; i++)
        mailbox_push(e.in, &letters[i].item);
    while (next < COUNT) {
        struct pollfd p = {.fd = mailbox_fd(e.out), .events = POLLIN};

        assert_int_equal(poll(&p, 1, 10000), 1);
        for (struct mailbox_item *i = mailbox_take_all(e.out); i; i = i->next)
            assert_int_equal(number_of(i), next++);
    }
    mailbox_close(e.in);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(e.taken, COUNT);
    mailbox_free(e.in);
    mailbox_free(e.out);
}

static void closing_wakes_a_sleeper(void **state)
{
    struct echo e = {0};
    pthread_t thread;

    assert_int_equal(mailbox_new(&e.in), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_echo, &e), 0);
    mailbox_close(e.in);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(e.taken, 0);
    mailbox_free(e.in);
    mailbox_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order),
        cmocka_unit_test(the_descriptor_is_readable_while_there_is_something),
        cmocka_unit_test(what_came_before_the_descriptor_was_asked_for_makes_it_readable),
        cmocka_unit_test(what_was_pushed_before_closing_is_still_taken),
        cmocka_unit_test(every_item_makes_the_round_through_a_thread),
        cmocka_unit_test(closing_wakes_a_sleeper),
    };

    return cmocka_run_group_tests(tests, number_letters, NULL);
}
