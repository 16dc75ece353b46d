/* Arrays in order, and empty ones. */
#include "lib/base/sorted.h"

#include <stdbool.h>

#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static int compare(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

static void each_key_has_its_place(void **unused)
{
    static const int items[] = {2, 4, 4, 4, 7};
    static const struct {
        int key;
        size_t place;
        bool is_there;
    } rows[] = {{1, 0, false}, {2, 0, true}, {3, 1, false}, {4, 1, true},
                {5, 4, false}, {7, 4, true}, {8, 5, false}};

    for (size_t count = 0; count <= ARRAY_LEN(items); count++)
        assert_int_equal(sorted_place(&items[0], items, count, sizeof items[0], compare), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const int *found =
            sorted_find(&rows[i].key, items, ARRAY_LEN(items), sizeof *items, compare);

        assert_int_equal(
            sorted_place(&rows[i].key, items, ARRAY_LEN(items), sizeof *items, compare),
            rows[i].place);
        assert_int_equal(found && *found == rows[i].key, rows[i].is_there);
    }
}

static void an_empty_array_may_be_null(void **unused)
{
    const int key = 3;

    sorted_sort(NULL, 0, sizeof key, compare);
    assert_null(sorted_find(&key, NULL, 0, sizeof key, compare));
    assert_int_equal(sorted_place(&key, NULL, 0, sizeof key, compare), 0);
}

static void sorting_puts_the_least_first(void **unused)
{
    int items[] = {5, 1, 3};

    sorted_sort(items, ARRAY_LEN(items), sizeof *items, compare);
    assert_int_equal(items[0], 1);
    assert_int_equal(items[2], 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_has_its_place),
        cmocka_unit_test(an_empty_array_may_be_null),
        cmocka_unit_test(sorting_puts_the_least_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
