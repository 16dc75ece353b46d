/* Next hops and their records: who has one, and when it is written. The kernel is played (--wrap),
 * and holds that nothing is written over what may be read. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "agent/fastpath/hops.h"
#include "lib/base/mem.h"
#include "lib/bpf/map.h"
#include "lib/net/neigh.h"
#include "tests/unit/cmocka.h"

#define MAP_FD 5
#define DEVICE 3
/* Two with the same index, and one with another. */
#define FIRST 0xc0000201u  /* 192.0.2.1 */
#define SECOND 0xc0001201u /* 192.0.18.1 */
#define THIRD 0xc0000203u

static struct fastpath_hop records[FASTPATH_HOPS_MAX];
static bool may_be_read[FASTPATH_HOPS_MAX]; /* by programs that found it before it was taken away */
static unsigned waits;
static struct neigh_entry neighbours[3];
static size_t neighbour_count;

int __wrap_map_get(int fd, const void *key, void *ret_value);
int __wrap_map_put(int fd, const void *key, const void *value);
int __wrap_map_read_array(int fd, size_t value_size, uint32_t count, void **ret_values);
int __wrap_map_wait_readers(void);
int __wrap_neigh_dump(struct nl *nl, int ifindex, struct neigh_entry **ret_entries,
                      size_t *ret_count);
int __wrap_neigh_get(struct nl *nl, int ifindex, uint32_t addr, struct neigh_entry *ret_entry);

int __wrap_map_get(int fd, const void *key, void *ret_value)
{
    const uint32_t *index = key;

    assert_int_equal(fd, MAP_FD);
    memcpy(ret_value, &records[*index], sizeof records[*index]);
    return 0;
}

/* Whose it is goes first and comes last; between them nobody reads it. */
int __wrap_map_put(int fd, const void *key, const void *value)
{
    const uint32_t *index = key;
    struct fastpath_hop *have = &records[*index];
    const struct fastpath_hop *put = value;

    assert_int_equal(fd, MAP_FD);
    if (have->next_hop_be == 0 && put->next_hop_be == 0) {
        assert_false(may_be_read[*index]);
    } else {
        assert_true(have->next_hop_be == 0 || put->next_hop_be == 0);
        assert_memory_equal((const char *)have + sizeof have->next_hop_be,
                            (const char *)put + sizeof put->next_hop_be,
                            sizeof *have - sizeof have->next_hop_be);
        assert_false(put->next_hop_be && may_be_read[*index]);
        may_be_read[*index] = have->next_hop_be != 0;
    }
    *have = *put;
    return 0;
}

int __wrap_map_read_array(int fd, size_t value_size, uint32_t count, void **ret_values)
{
    assert_int_equal(value_size * count, sizeof records);
    *ret_values = mem_zalloc(sizeof records);
    memcpy(*ret_values, records, sizeof records);
    return 0;
}

int __wrap_map_wait_readers(void)
{
    waits++;
    memset(may_be_read, 0, sizeof may_be_read);
    return 0;
}

int __wrap_neigh_dump(struct nl *nl, int ifindex, struct neigh_entry **ret_entries,
                      size_t *ret_count)
{
    *ret_entries = mem_array(neighbour_count + 1, sizeof **ret_entries);
    memcpy(*ret_entries, neighbours, neighbour_count * sizeof *neighbours);
    *ret_count = neighbour_count;
    return 0;
}

int __wrap_neigh_get(struct nl *nl, int ifindex, uint32_t addr, struct neigh_entry *ret_entry)
{
    for (size_t i = 0; i < neighbour_count; i++)
        if (neighbours[i].addr == addr) {
            *ret_entry = neighbours[i];
            return 0;
        }
    return -ENOENT;
}

/* ---- a host -------------------------------------------------------------------------------- */

static struct mac mac_of(uint8_t last)
{
    return (struct mac){{2, 0, 0, 0, 0, last}};
}

static void meet_neighbour(uint32_t addr, uint8_t last)
{
    neighbours[neighbour_count++] =
        (struct neigh_entry){.ifindex = DEVICE, .addr = addr, .mac = mac_of(last)};
}

/* The kernel knows the two: 192.0.2.1 by ...:01, 192.0.18.1 by ...:02. */
static int setup(void **state)
{
    memset(records, 0, sizeof records);
    memset(may_be_read, 0, sizeof may_be_read);
    waits = 0;
    neighbour_count = 0;
    meet_neighbour(FIRST, 1);
    meet_neighbour(SECOND, 2);
    return 0;
}

static struct fastpath_way ways_to[3];
static struct link_info device = {.ifindex = DEVICE, .mac = {{2, 0, 0, 0, 0, 9}}};
static int devices[] = {DEVICE};

static struct ways ways_of(const uint32_t *next_hops, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ways_to[i] = (struct fastpath_way){.ifindex = DEVICE, .next_hop = next_hops[i]};
    return (struct ways){
        .links = &device, .link_count = 1, .peers = ways_to, .devices = devices, .device_count = 1};
}

static void look_at(struct hops *hops, const uint32_t *next_hops, size_t count)
{
    const struct ways ways = ways_of(next_hops, count);
    uint64_t writes = 0;

    assert_int_equal(hops_look(hops, NULL, &ways, count), 0);
    assert_int_equal(hops_write(hops, MAP_FD, &writes), 0);
}

static void look_at_more(struct hops *hops, uint32_t next_hop)
{
    const struct ways ways = ways_of(&next_hop, 1);
    uint64_t writes = 0;

    assert_int_equal(hops_look_more(hops, NULL, &ways, 1, MAP_FD, &writes), 0);
}

/* The kernel says something of a neighbour. */
static void hear(struct hops *hops, uint32_t addr, struct mac mac)
{
    uint64_t writes = 0;

    assert_true(hops_meet(hops, DEVICE, addr, mac));
    assert_int_equal(hops_write_one(hops, DEVICE, addr, MAP_FD, &writes), 0);
}

static void beat(struct hops *hops)
{
    uint64_t writes = 0;

    assert_int_equal(hops_settle(hops, MAP_FD, &writes), 0);
}

static void assert_record(uint32_t addr, uint8_t last)
{
    const struct fastpath_hop want = fastpath_make_hop(addr, DEVICE, mac_of(last), device.mac);

    assert_memory_equal(&records[fastpath_hop_index(addr)], &want, sizeof want);
}

static void assert_none(uint32_t addr)
{
    assert_int_equal(records[fastpath_hop_index(addr)].next_hop_be, 0);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void those_that_the_kernel_knows_have_records_and_others_none(void **state)
{
    const uint32_t both[] = {FIRST, THIRD};
    struct hops hops = {0};

    look_at(&hops, both, 2);
    assert_record(FIRST, 1);
    assert_none(THIRD);
    look_at_more(&hops, SECOND + 4); /* nor has the kernel met this one */
    assert_none(SECOND + 4);
    hear(&hops, SECOND + 4, mac_of(4));
    assert_record(SECOND + 4, 4);
    assert_int_equal(waits, 0);
    hops_deinit(&hops);
}

static void what_is_right_is_not_written(void **state)
{
    const uint32_t first = FIRST;
    const struct ways ways = ways_of(&first, 1);
    struct hops hops = {0};
    uint64_t writes = 0;

    look_at(&hops, &first, 1);
    records[fastpath_hop_index(FIRST)].seen_beat = 7; /* the programs' own */
    assert_int_equal(hops_look(&hops, NULL, &ways, 1), 0);
    assert_int_equal(hops_write(&hops, MAP_FD, &writes), 0);
    assert_int_equal(hops_write_one(&hops, DEVICE, FIRST, MAP_FD, &writes), 0);
    assert_int_equal(hops_settle(&hops, MAP_FD, &writes), 0);
    assert_int_equal(writes, 0);
    assert_int_equal(waits, 0);
    hops_deinit(&hops);
}

static void another_one_comes_when_nobody_reads_the_one_before(void **state)
{
    const uint32_t first = FIRST, second = SECOND;
    struct hops hops = {0};

    look_at(&hops, &first, 1);
    look_at(&hops, &second, 1);
    assert_record(SECOND, 2);
    assert_int_equal(waits, 1);
    hops_deinit(&hops);
}

static void a_new_mac_address_is_used_from_the_next_beat_and_the_old_one_never_more(void **state)
{
    const uint32_t first = FIRST;
    struct hops hops = {0};

    look_at(&hops, &first, 1);
    hear(&hops, FIRST, mac_of(0x11));
    assert_none(FIRST);
    hear(&hops, FIRST, mac_of(0x12));
    assert_none(FIRST);
    assert_int_equal(waits, 0);
    beat(&hops);
    assert_record(FIRST, 0x12);
    assert_int_equal(waits, 1);
    hops_deinit(&hops);
}

static void of_two_with_an_index_the_one_that_has_it_keeps_it(void **state)
{
    const uint32_t second = SECOND, both[] = {FIRST, SECOND}, three[] = {FIRST, SECOND, THIRD};
    struct hops hops = {0};

    look_at(&hops, &second, 1);
    look_at_more(&hops, FIRST);
    assert_record(SECOND, 2);
    hear(&hops, FIRST, mac_of(0x11));
    hear(&hops, FIRST, (struct mac){{0}});
    hear(&hops, FIRST, mac_of(0x12));
    beat(&hops);
    assert_record(SECOND, 2);
    look_at(&hops, both, 2);
    assert_record(SECOND, 2);
    look_at(&hops, three, 3);
    assert_record(SECOND, 2);
    assert_int_equal(waits, 0);
    hops_deinit(&hops);
}

static void the_other_one_has_it_a_beat_after_the_first_is_unknown(void **state)
{
    const uint32_t both[] = {FIRST, SECOND};
    struct hops hops = {0};

    look_at(&hops, both, 2);
    assert_record(FIRST, 1);
    hear(&hops, FIRST, (struct mac){{0}});
    assert_none(FIRST);
    hear(&hops, SECOND, mac_of(0x22));
    assert_none(SECOND);
    beat(&hops);
    assert_record(SECOND, 0x22);
    hear(&hops, FIRST, mac_of(1));
    beat(&hops);
    assert_record(SECOND, 0x22);
    hops_deinit(&hops);
}

static void what_was_taken_away_is_remembered_over_a_look(void **state)
{
    const uint32_t first = FIRST;
    const struct ways ways = ways_of(&first, 1);
    struct hops hops = {0};
    uint64_t writes = 0;

    look_at(&hops, &first, 1);
    hear(&hops, FIRST, (struct mac){{0}});
    neighbours[0].mac = mac_of(0x11);
    assert_int_equal(hops_look(&hops, NULL, &ways, 1), 0);
    assert_int_equal(hops_write(&hops, MAP_FD, &writes), 0);
    assert_record(FIRST, 0x11);
    assert_int_equal(waits, 1);
    hops_deinit(&hops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(those_that_the_kernel_knows_have_records_and_others_none, setup),
        cmocka_unit_test_setup(what_is_right_is_not_written, setup),
        cmocka_unit_test_setup(another_one_comes_when_nobody_reads_the_one_before, setup),
        cmocka_unit_test_setup(
            a_new_mac_address_is_used_from_the_next_beat_and_the_old_one_never_more, setup),
        cmocka_unit_test_setup(of_two_with_an_index_the_one_that_has_it_keeps_it, setup),
        cmocka_unit_test_setup(the_other_one_has_it_a_beat_after_the_first_is_unknown, setup),
        cmocka_unit_test_setup(what_was_taken_away_is_remembered_over_a_look, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
