/* Error texts: how they start, grow, and stay whole. */
#include "lib/base/error.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/cmocka.h"

static void a_failure_of_our_own_words_returns_the_negative_number(void **state)
{
    assert_int_equal(err_fail(EINVAL, "port %d is taken", 80), -EINVAL);
    assert_string_equal(err_text(), "port 80 is taken");
}

static void a_system_failure_ends_in_the_systems_words(void **state)
{
    assert_int_equal(err_sys(ENODEV, "add FDB entry on %s", "vxlan100"), -ENODEV);
    assert_string_equal(err_text(), "add FDB entry on vxlan100: No such device");
}

static void a_number_the_c_library_does_not_know_is_shown_as_a_number(void **state)
{
    assert_int_equal(err_sys(524, "set feature"), -524);
    assert_string_equal(err_text(), "set feature: error 524");
}

static void wrapping_puts_words_in_front_and_keeps_the_number(void **state)
{
    int r = err_sys(EPERM, "open socket");

    assert_int_equal(err_wrap(err_wrap(r, "listen on %d", 80), "start"), -EPERM);
    assert_string_equal(err_text(), "start: listen on 80: open socket: Operation not permitted");
}

static void a_new_failure_replaces_the_old_text(void **state)
{
    (void)err_fail(EINVAL, "a long text that is all gone later");
    (void)err_fail(EINVAL, "b");
    assert_string_equal(err_text(), "b");
}

static void a_failure_may_quote_the_text_before_it(void **state)
{
    (void)err_fail(EINVAL, "inner");
    (void)err_fail(EIO, "outer (%s)", err_text());
    assert_string_equal(err_text(), "outer (inner)");
    (void)err_wrap(-EIO, "again [%s]", err_text());
    assert_string_equal(err_text(), "again [outer (inner)]: outer (inner)");
}

static void a_text_that_is_too_long_loses_its_end(void **state)
{
    char words[2 * ERR_TEXT_MAX];

    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    (void)err_fail(EINVAL, "%s", words);
    assert_int_equal(strlen(err_text()), ERR_TEXT_MAX - 1);
    (void)err_wrap(-EINVAL, "front");
    assert_int_equal(strlen(err_text()), ERR_TEXT_MAX - 1);
    assert_memory_equal(err_text(), "front: xxx", 10);
}

static void *fail_elsewhere(void *data)
{
    *(int *)data = err_fail(EBUSY, "another thread");
    return NULL;
}

static void each_thread_has_a_text_of_its_own(void **state)
{
    pthread_t thread;
    int r = 0;

    (void)err_fail(EINVAL, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &r), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(r, -EBUSY);
    assert_string_equal(err_text(), "mine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_of_our_own_words_returns_the_negative_number),
        cmocka_unit_test(a_system_failure_ends_in_the_systems_words),
        cmocka_unit_test(a_number_the_c_library_does_not_know_is_shown_as_a_number),
        cmocka_unit_test(wrapping_puts_words_in_front_and_keeps_the_number),
        cmocka_unit_test(a_new_failure_replaces_the_old_text),
        cmocka_unit_test(a_failure_may_quote_the_text_before_it),
        cmocka_unit_test(a_text_that_is_too_long_loses_its_end),
        cmocka_unit_test(each_thread_has_a_text_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
