/* Arrays in order. */
#include "lib/base/sorted.h"

#include <stdlib.h>

void sorted_sort(void *items, size_t count, size_t item_size, sorted_compare_fn compare)
{
    if (count > 1)
        qsort(items, count, item_size, compare);
}

void *sorted_find(const void *key, const void *items, size_t count, size_t item_size,
                  sorted_compare_fn compare)
{
    return count > 0 ? bsearch(key, items, count, item_size, compare) : NULL;
}

size_t sorted_place(const void *key, const void *items, size_t count, size_t item_size,
                    sorted_compare_fn compare)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare((const char *)items + middle * item_size, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
