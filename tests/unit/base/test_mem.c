/* Memory: zeroed, copied, and the end of the process when there is none. */
#include "lib/base/mem.h"

#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/unit/cmocka.h"

static void what_is_new_is_zeroed(void **state)
{
    AUTO_FREE unsigned char *p = mem_zalloc(1000);

    for (int i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
}

static void sizes_of_zero_are_fine(void **state)
{
    free(mem_alloc(0));
    free(mem_zalloc(0));
    free(mem_array(0, 8));
    free(mem_copy("", 0));
}

static void copies_and_formats_are_owned(void **state)
{
    AUTO_FREE char *a = mem_strdup("word");
    AUTO_FREE char *b = mem_printf("%s-%d", a, 5);
    AUTO_FREE char *c = mem_copy("x\0y", 3);

    assert_string_equal(b, "word-5");
    assert_memory_equal(c, "x\0y", 3);
}

static void resizing_keeps_the_content(void **state)
{
    AUTO_FREE char *p = mem_copy("abcd", 4);

    p = mem_resize(p, 1000, 1);
    assert_memory_equal(p, "abcd", 4);
}

static void taking_empties_the_local(void **state)
{
    char *p = mem_strdup("x"), *q = TAKE_PTR(p);
    int fd = 5;

    assert_null(p);
    free(q);
    assert_int_equal(TAKE_FD(fd), 5);
    assert_int_equal(fd, -1);
}

struct outer {
    int first;
    int second;
};

static void a_member_leads_to_its_struct(void **state)
{
    struct outer o = {1, 2};

    assert_ptr_equal(CONTAINER_OF(&o.second, struct outer, second), &o);
}

static void a_product_that_overflows_ends_the_process(void **state)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        close(STDERR_FILENO);
        free(mem_resize(NULL, SIZE_MAX / 2, 3));
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_new_is_zeroed),
        cmocka_unit_test(sizes_of_zero_are_fine),
        cmocka_unit_test(copies_and_formats_are_owned),
        cmocka_unit_test(resizing_keeps_the_content),
        cmocka_unit_test(taking_empties_the_local),
        cmocka_unit_test(a_member_leads_to_its_struct),
        cmocka_unit_test(a_product_that_overflows_ends_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
