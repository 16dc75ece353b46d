/* Records in BPF maps. */
#include "lib/bpf/map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

int map_put(int fd, const void *key, const void *value)
{
    int r = bpf_map_update_elem(fd, key, value, BPF_ANY);

    return r < 0 ? err_sys(-r, "write a BPF map") : 0;
}

int map_get(int fd, const void *key, void *ret_value)
{
    int r = bpf_map_lookup_elem(fd, key, ret_value);

    return r < 0 && r != -ENOENT ? err_sys(-r, "read a BPF map") : r;
}

static int read_each(int fd, size_t value_size, uint32_t count, char *values)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < count; i++)
        r = map_get(fd, &i, values + i * value_size);
    return r;
}

int map_read_array(int fd, size_t value_size, uint32_t count, void **ret_values)
{
    LIBBPF_OPTS(bpf_map_batch_opts, options);
    AUTO_FREE uint32_t *keys = mem_array(count, sizeof *keys);
    AUTO_FREE char *values = mem_array(count, value_size);
    uint32_t done = count, place;
    int r = bpf_map_lookup_batch(fd, NULL, &place, keys, values, &done, &options);

    if ((r < 0 && r != -ENOENT) || done != count)
        r = read_each(fd, value_size, count, values);
    if (r < 0 && r != -ENOENT)
        return r;
    *ret_values = TAKE_PTR(values);
    return 0;
}

/* The kernel promises it for maps of maps only (kernel/bpf/syscall.c, maybe_wait_bpf_programs). */
int map_wait_readers(void)
{
    LIBBPF_OPTS(bpf_map_create_opts, options);
    AUTO_CLOSE int inner = -1, outer = -1;
    const uint32_t zero = 0;
    int r;

    inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, NULL, sizeof zero, sizeof zero, 1, NULL);
    if (inner < 0)
        return err_sys(-inner, "make a BPF map");
    options.inner_map_fd = (uint32_t)inner;
    outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, NULL, sizeof zero, sizeof zero, 1, &options);
    if (outer < 0)
        return err_sys(-outer, "make a BPF map of maps");
    r = bpf_map_update_elem(outer, &zero, &inner, BPF_ANY);
    return r < 0 ? err_sys(-r, "wait for the BPF programs that run") : 0;
}

int map_sum(int fd, uint32_t key, uint64_t *ret_sums, size_t count)
{
    int cpus = libbpf_num_possible_cpus();
    AUTO_FREE uint64_t *values = NULL;
    int r;

    if (cpus < 0)
        return err_sys(-cpus, "count the CPUs");
    values = mem_zalloc((size_t)cpus * count * sizeof *values);
    r = map_get(fd, &key, values);
    if (r < 0)
        return r;
    memset(ret_sums, 0, count * sizeof *ret_sums);
    for (size_t i = 0; i < (size_t)cpus * count; i++)
        ret_sums[i % count] += values[i];
    return 0;
}

int map_clear(int fd, uint32_t key, size_t value_size)
{
    int cpus = libbpf_num_possible_cpus();
    AUTO_FREE void *zeros = NULL;

    if (cpus < 0)
        return err_sys(-cpus, "count the CPUs");
    zeros = mem_zalloc((size_t)cpus * value_size);
    return map_put(fd, &key, zeros);
}
