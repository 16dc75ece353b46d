/* Arrays in order: qsort(3) and bsearch(3) for those that may be NULL while they are empty, and
 * where something belongs in one. compare is as theirs; a key is an item as far as that looks. */
#pragma once

#include <stddef.h>

typedef int (*sorted_compare_fn)(const void *a, const void *b);

void sorted_sort(void *items, size_t count, size_t item_size, sorted_compare_fn compare);
/* One that equals the key, or NULL. */
void *sorted_find(const void *key, const void *items, size_t count, size_t item_size,
                  sorted_compare_fn compare);
/* The index of the first that is not below the key: where it is, or would be; count: behind all. */
size_t sorted_place(const void *key, const void *items, size_t count, size_t item_size,
                    sorted_compare_fn compare);
