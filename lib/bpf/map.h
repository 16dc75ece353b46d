/* Records in BPF maps, by the map's descriptor. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Replaces whatever the key has. */
int map_put(int fd, const void *key, const void *value);
/* -ENOENT without a text when there is none. */
int map_get(int fd, const void *key, void *ret_value);

/* All `count` records of an array map, which the caller owns; in one system call where the kernel
 * can (5.6). */
int map_read_array(int fd, size_t value_size, uint32_t count, void **ret_values);

/* Returns when no program runs any more that may have read what was in a map before. */
int map_wait_readers(void);

/* An element of a per-CPU map, its 64-bit counters added up over all CPUs. */
int map_sum(int fd, uint32_t key, uint64_t *ret_sums, size_t count);
/* Sets such an element to zero on every CPU. */
int map_clear(int fd, uint32_t key, size_t value_size);
