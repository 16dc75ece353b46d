/* The event loop: timers, deferred work, descriptors, signals. */
#include "lib/base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

/* What happened, in order, a letter each. */
struct story {
    struct loop *loop;
    struct loop_source *a, *b, *c;
    char letters[32];
    int left; /* calls until the loop ends */
    int fd;
};

static void note(struct story *s, char letter)
{
    size_t n = strlen(s->letters);

    assert_true(n + 1 < sizeof s->letters);
    s->letters[n] = letter;
}

static int new_story(void **state)
{
    struct story *s = NEW(struct story);

    *state = s;
    return loop_new(&s->loop);
}

static int free_story(void **state)
{
    struct story *s = *state;

    loop_source_free(s->a);
    loop_source_free(s->b);
    loop_source_free(s->c);
    loop_free(s->loop);
    free(s);
    return 0;
}

static void on_a(void *data)
{
    note(data, 'a');
}

static void on_b(void *data)
{
    note(data, 'b');
}

static void on_end(void *data)
{
    struct story *s = data;

    note(s, '.');
    loop_exit(s->loop, 7);
}

static void timers_fire_in_order_once_each(void **state)
{
    struct story *s = *state;
    int64_t start_ms = clock_boot_ms();

    assert_int_equal(loop_add_timer(s->loop, on_a, s, &s->a), 0);
    assert_int_equal(loop_add_timer(s->loop, on_b, s, &s->b), 0);
    assert_int_equal(loop_add_timer(s->loop, on_end, s, &s->c), 0);
    assert_false(loop_timer_is_armed(s->a));
    loop_timer_set_in(s->c, 200);
    loop_timer_set_in(s->b, 5);
    loop_timer_set_at(s->a, start_ms + 100);
    assert_true(loop_timer_is_armed(s->a));
    assert_int_equal(loop_run(s->loop), 7);
    assert_string_equal(s->letters, "ba.");
    assert_true(clock_boot_ms() - start_ms >= 200);
    assert_false(loop_timer_is_armed(s->a));
}

static void a_disarmed_timer_is_silent_and_the_past_is_now(void **state)
{
    struct story *s = *state;

    assert_int_equal(loop_add_timer(s->loop, on_a, s, &s->a), 0);
    assert_int_equal(loop_add_timer(s->loop, on_end, s, &s->c), 0);
    loop_timer_set_in(s->a, 0);
    loop_timer_disarm(s->a);
    loop_timer_set_at(s->c, -5);
    assert_int_equal(loop_run(s->loop), 7);
    assert_string_equal(s->letters, ".");
}

static void on_tick(void *data)
{
    struct story *s = data;

    note(s, 't');
    if (--s->left == 0)
        loop_exit(s->loop, 0);
    else
        loop_timer_set_in(s->a, 1);
}

static void a_timer_may_arm_itself_again(void **state)
{
    struct story *s = *state;

    s->left = 5;
    assert_int_equal(loop_add_timer(s->loop, on_tick, s, &s->a), 0);
    loop_timer_set_in(s->a, 1);
    assert_int_equal(loop_run(s->loop), 0);
    assert_string_equal(s->letters, "ttttt");
}

static void on_arm_twice(void *data)
{
    struct story *s = data;

    note(s, 'a');
    loop_defer_arm(s->b);
    loop_defer_arm(s->b);
}

static void on_deferred(void *data)
{
    struct story *s = data;

    note(s, 'd');
    if (--s->left == 0)
        loop_exit(s->loop, 0);
    else
        loop_timer_set_in(s->a, 0);
}

static void deferred_work_runs_once_however_often_it_was_asked_for(void **state)
{
    struct story *s = *state;

    s->left = 2;
    assert_int_equal(loop_add_timer(s->loop, on_arm_twice, s, &s->a), 0);
    assert_int_equal(loop_add_defer(s->loop, on_deferred, s, &s->b), 0);
    loop_timer_set_in(s->a, 0);
    assert_int_equal(loop_run(s->loop), 0);
    assert_string_equal(s->letters, "adad");
}

static void always_readable(void *data, uint32_t events)
{
    struct story *s = data;

    /* The byte stays where it is: there is an event in every round. */
    if (++s->left == 1000)
        loop_exit(s->loop, 1);
}

static void deferred_work_has_its_turn_in_a_loop_that_is_never_idle(void **state)
{
    struct story *s = *state;
    int pipes[2];

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    assert_int_equal(loop_add_io(s->loop, pipes[0], EPOLLIN, always_readable, s, &s->a), 0);
    assert_int_equal(loop_add_defer(s->loop, on_end, s, &s->c), 0);
    loop_defer_arm(s->c);
    assert_int_equal(loop_run(s->loop), 7);
    close(pipes[0]);
    close(pipes[1]);
}

static void on_busy(void *data)
{
    struct story *s = data;

    if (++s->left == 1000)
        loop_exit(s->loop, 1);
    loop_defer_arm(s->c);
}

static void ends_when_readable(void *data, uint32_t events)
{
    struct story *s = data;

    loop_exit(s->loop, 0);
}

static void write_a_byte(void *data)
{
    struct story *s = data;

    assert_int_equal(write(s->fd, "x", 1), 1);
}

static void deferred_work_that_is_never_done_leaves_others_their_turn(void **state)
{
    struct story *s = *state;
    int pipes[2];

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    s->fd = pipes[1];
    assert_int_equal(loop_add_io(s->loop, pipes[0], EPOLLIN, ends_when_readable, s, &s->a), 0);
    assert_int_equal(loop_add_defer(s->loop, on_busy, s, &s->c), 0);
    assert_int_equal(loop_add_timer(s->loop, write_a_byte, s, &s->b), 0);
    loop_defer_arm(s->c);
    loop_timer_set_in(s->b, 0);
    assert_int_equal(loop_run(s->loop), 0);
    close(pipes[0]);
    close(pipes[1]);
}

static void arming_deferred_work_when_the_loop_has_ended_does_nothing(void **state)
{
    struct story *s = *state;

    s->left = 1;
    assert_int_equal(loop_add_defer(s->loop, on_deferred, s, &s->b), 0);
    loop_defer_arm(s->b);
    assert_int_equal(loop_run(s->loop), 0);
    loop_defer_arm(s->b);
    assert_string_equal(s->letters, "d");
}

static void on_readable(void *data, uint32_t events)
{
    struct story *s = data;
    char letter;

    assert_true(events & EPOLLIN);
    assert_int_equal(read(s->fd, &letter, 1), 1);
    note(s, letter);
    if (letter == '.')
        loop_exit(s->loop, 0);
}

static void a_descriptor_calls_while_it_is_readable(void **state)
{
    struct story *s = *state;
    int pipes[2];

    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    s->fd = pipes[0];
    assert_int_equal(loop_add_io(s->loop, pipes[0], EPOLLIN, on_readable, s, &s->a), 0);
    assert_int_equal(write(pipes[1], "xy.", 3), 3);
    assert_int_equal(loop_run(s->loop), 0);
    assert_string_equal(s->letters, "xy.");
    loop_source_free(TAKE_PTR(s->a));
    close(pipes[0]);
    close(pipes[1]);
}

static void a_descriptor_whose_events_are_off_is_silent(void **state)
{
    struct story *s = *state;
    int pipes[2];

    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    s->fd = pipes[0];
    assert_int_equal(loop_add_io(s->loop, pipes[0], EPOLLIN, on_readable, s, &s->a), 0);
    assert_int_equal(loop_io_set_events(s->a, 0), 0);
    assert_int_equal(loop_add_timer(s->loop, on_end, s, &s->c), 0);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    loop_timer_set_in(s->c, 5);
    assert_int_equal(loop_run(s->loop), 7);
    assert_string_equal(s->letters, ".");
    loop_source_free(TAKE_PTR(s->a));
    close(pipes[0]);
    close(pipes[1]);
}

static void a_bad_descriptor_is_refused(void **state)
{
    struct story *s = *state;

    assert_int_equal(loop_add_io(s->loop, 999, EPOLLIN, on_readable, s, &s->a), -EBADF);
    assert_string_equal(err_text(), "add a descriptor to the event loop: Bad file descriptor");
    assert_null(s->a);
}

static void on_free_itself(void *data)
{
    struct story *s = data;

    note(s, 'f');
    loop_source_free(TAKE_PTR(s->a));
    loop_source_free(TAKE_PTR(s->b));
}

static void a_callback_may_free_its_own_source_and_others_that_wait(void **state)
{
    struct story *s = *state;

    assert_int_equal(loop_add_timer(s->loop, on_free_itself, s, &s->a), 0);
    assert_int_equal(loop_add_timer(s->loop, on_b, s, &s->b), 0);
    assert_int_equal(loop_add_timer(s->loop, on_end, s, &s->c), 0);
    loop_timer_set_at(s->a, 0);
    loop_timer_set_at(s->b, 1);
    loop_timer_set_in(s->c, 5);
    assert_int_equal(loop_run(s->loop), 7);
    assert_string_equal(s->letters, "f.");
}

static void a_signal_arrives_as_a_call(void **state)
{
    struct story *s = *state;
    sigset_t old;

    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &old), 0);
    assert_int_equal(loop_add_signal(s->loop, SIGUSR1, on_end, s, &s->a), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(loop_run(s->loop), 7);
    assert_string_equal(s->letters, ".");
    loop_source_free(TAKE_PTR(s->a));
    assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
}

static void lag_is_how_late_the_worst_timer_was(void **state)
{
    struct story *s = *state;
    int64_t lag_ms;

    assert_int_equal(loop_add_timer(s->loop, on_end, s, &s->c), 0);
    loop_timer_set_at(s->c, clock_boot_ms() - 500);
    assert_int_equal(loop_run(s->loop), 7);
    lag_ms = loop_take_lag_ms(s->loop);
    assert_in_range(lag_ms, 500, 20000);
    assert_int_equal(loop_take_lag_ms(s->loop), 0);
}

/* The daemon's own tick: looks how late it is, before a timer that came due a little later. */
static void on_look(void *data)
{
    struct story *s = data;

    note(s, 'l');
    assert_in_range(loop_take_lag_ms(s->loop), 60000, 80000);
}

static void one_absence_is_told_once_though_it_delayed_several_timers(void **state)
{
    struct story *s = *state;
    int64_t now_ms = clock_boot_ms();

    assert_int_equal(loop_add_timer(s->loop, on_look, s, &s->a), 0);
    assert_int_equal(loop_add_timer(s->loop, on_end, s, &s->c), 0);
    loop_timer_set_at(s->a, now_ms - 60000);
    loop_timer_set_at(s->c, now_ms - 59000);
    assert_int_equal(loop_run(s->loop), 7);
    assert_string_equal(s->letters, "l.");
    assert_in_range(loop_take_lag_ms(s->loop), 0, 20000);
}

#define TOLD(fn) cmocka_unit_test_setup_teardown(fn, new_story, free_story)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOLD(timers_fire_in_order_once_each),
        TOLD(a_disarmed_timer_is_silent_and_the_past_is_now),
        TOLD(a_timer_may_arm_itself_again),
        TOLD(deferred_work_runs_once_however_often_it_was_asked_for),
        TOLD(deferred_work_has_its_turn_in_a_loop_that_is_never_idle),
        TOLD(deferred_work_that_is_never_done_leaves_others_their_turn),
        TOLD(arming_deferred_work_when_the_loop_has_ended_does_nothing),
        TOLD(a_descriptor_calls_while_it_is_readable),
        TOLD(a_descriptor_whose_events_are_off_is_silent),
        TOLD(a_bad_descriptor_is_refused),
        TOLD(a_callback_may_free_its_own_source_and_others_that_wait),
        TOLD(a_signal_arrives_as_a_call),
        TOLD(lag_is_how_late_the_worst_timer_was),
        TOLD(one_absence_is_told_once_though_it_delayed_several_timers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
