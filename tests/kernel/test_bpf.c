/* Programs and maps in the kernel: loaded, pinned, attached, replaced, taken away. */
#include <bpf/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bpf/fastpath.h"
#include "lib/bpf/bpffs.h"
#include "lib/bpf/hook.h"
#include "lib/bpf/hook_clsact.h"
#include "lib/bpf/map.h"
#include "lib/bpf/pins.h"
#include "lib/bpf/set.h"
#include "lib/net/tc.h"
#include "tests/kernel/lab.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define LAYOUT_DIR BPFFS_DIR "/" TEXT(FASTPATH_LAYOUT)
#define DIR LAYOUT_DIR "/"
#define TCX_INGRESS ((enum bpf_attach_type)46)

/* A BPF file system of the test's own, not mounted yet. */
static int setup(void **state)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -1;
    if (mount("none", BPFFS_ROOT, "tmpfs", 0, NULL) < 0)
        return -1;
    return lab_setup(state);
}

#define BPF_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, lab_teardown)

static int make_device(struct nl *nl)
{
    lab_do("ip", "link", "add", "d0", "type", "bridge");
    return lab_ifindex(nl, "d0");
}

/* How many programs the device has; *ret_id: the first one's. */
static uint32_t attached(int ifindex, uint32_t *ret_id)
{
    uint32_t ids[8] = {0}, count = 8, flags;

    assert_int_equal(bpf_prog_query(ifindex, TCX_INGRESS, 0, &flags, ids, &count), 0);
    *ret_id = ids[0];
    return count;
}

static struct set *load(void)
{
    struct set *set;

    assert_ok(set_load(&set));
    return set;
}

static void nobody_has_loaded_anything_at_first_and_after_removal(void **state)
{
    AUTO_SET struct set *set = NULL;
    struct set *opened;

    assert_int_equal(set_open(&opened), SET_NONE);
    set = load();
    assert_true(set_is_current(set));
    assert_int_equal(set_open(&opened), 0);
    assert_true(set_is_same(set, opened));
    set_free(opened);
    assert_ok(set_remove_all());
    assert_int_equal(set_open(&opened), SET_NONE);
    assert_false(set_is_current(set));
    assert_ok(set_remove_all());
}

static void loading_the_same_again_changes_nothing(void **state)
{
    AUTO_SET struct set *first = load();
    AUTO_SET struct set *second = load();

    assert_true(set_is_same(first, second));
    assert_int_equal(first->programs[SET_FROM_CONTAINER].id,
                     second->programs[SET_FROM_CONTAINER].id);
    assert_int_equal(second->programs[SET_FROM_CONTAINER].old_fd, -1);
}

static void a_program_is_attached_once_and_taken_off(void **state)
{
    AUTO_SET struct set *set = load();
    const struct set_loaded *program = &set->programs[SET_TO_CONTAINER];
    int ifindex = make_device(*state);
    uint32_t id;

    assert_true(hook_has_tcx());
    assert_int_equal(hook_attach(ifindex, program), 1);
    assert_int_equal(hook_attach(ifindex, program), 0);
    assert_int_equal(attached(ifindex, &id), 1);
    assert_int_equal(id, program->id);
    assert_int_equal(hook_detach(ifindex, program), 1);
    assert_int_equal(hook_detach(ifindex, program), 0);
    assert_int_equal(attached(ifindex, &id), 0);
    assert_error(hook_attach(999999, program), ENODEV);
}

static void the_same_by_clsact_where_there_is_no_tcx(void **state)
{
    AUTO_SET struct set *set = load();
    const struct set_loaded *first = &set->programs[SET_FROM_CONTAINER];
    const struct set_loaded *second = &set->programs[SET_TO_CONTAINER];
    int ifindex = make_device(*state);
    uint32_t id;

    assert_int_equal(hook_clsact_detach(ifindex), 0);
    assert_int_equal(hook_clsact_attach(ifindex, first), 1);
    assert_int_equal(hook_clsact_attach(ifindex, first), 0);
    assert_ok(tc_get_ingress(*state, ifindex, &id));
    assert_int_equal(id, first->id);
    assert_int_equal(hook_clsact_attach(ifindex, second), 1);
    assert_ok(tc_get_ingress(*state, ifindex, &id));
    assert_int_equal(id, second->id);
    assert_int_equal(hook_clsact_detach(ifindex), 1);
    assert_error(tc_get_ingress(*state, ifindex, &id), ENOENT);
    assert_ok(tc_remove_ingress(*state, ifindex));
    assert_error(hook_clsact_attach(999999, first), ENODEV);
}

/* The pins change places: to the next load each is the program of another build. */
static void swap_pins(void)
{
    assert_int_equal(rename(DIR "from_container", DIR "x"), 0);
    assert_int_equal(rename(DIR "to_container", DIR "from_container"), 0);
    assert_int_equal(rename(DIR "x", DIR "to_container"), 0);
}

static void another_builds_program_is_replaced_and_the_records_stay(void **state)
{
    AUTO_SET struct set *old = load(), *new = NULL;
    const struct fastpath_endpoint record = {.ifindex = 7};
    struct fastpath_endpoint found;
    uint32_t key = 5, id;
    int ifindex = make_device(*state);

    assert_ok(map_put(old->maps[SET_ENDPOINTS], &key, &record));
    assert_int_equal(hook_attach(ifindex, &old->programs[SET_TO_CONTAINER]), 1);
    swap_pins(); /* what d0 has is from_container's now */
    new = load();
    assert_true(set_is_same(old, new));
    assert_int_equal(new->programs[SET_FROM_CONTAINER].old_id, old->programs[SET_TO_CONTAINER].id);
    assert_int_equal(hook_attach(ifindex, &new->programs[SET_FROM_CONTAINER]), 1);
    assert_int_equal(attached(ifindex, &id), 1);
    assert_int_equal(id, new->programs[SET_FROM_CONTAINER].id);
    assert_int_equal(map_get(new->maps[SET_ENDPOINTS], &key, &found), 0);
    assert_memory_equal(&found, &record, sizeof record);
}

static void a_program_whose_pins_are_lost_is_taken_off_and_anothers_is_left(void **state)
{
    AUTO_SET struct set *lost = load(), *new = NULL;
    int ifindex = make_device(*state);
    uint32_t id;

    assert_int_equal(hook_attach(ifindex, &lost->programs[SET_FROM_CONTAINER]), 1);
    assert_int_equal(hook_attach(ifindex, &lost->programs[SET_TO_CONTAINER]), 1);
    assert_ok(set_remove_all());
    new = load();
    assert_int_equal(hook_attach(ifindex, &new->programs[SET_TO_CONTAINER]), 1);
    assert_int_equal(attached(ifindex, &id), 2);
    assert_int_equal(id, lost->programs[SET_FROM_CONTAINER].id);
}

static void half_a_set_and_another_layout_are_cleared_away(void **state)
{
    struct fastpath_config config = {.is_enabled = 1};
    AUTO_SET struct set *set = load(), *new = NULL;
    uint32_t zero = 0;

    assert_ok(map_put(set->maps[SET_CONFIG], &zero, &config));
    assert_int_equal(rename(LAYOUT_DIR, BPFFS_DIR "/0"), 0);
    new = load();
    assert_false(set_is_same(set, new));
    assert_int_equal(map_get(set->maps[SET_CONFIG], &zero, &config), 0);
    assert_int_equal(config.is_enabled, 0);
    assert_int_equal(access(BPFFS_DIR "/0", F_OK), -1);
    assert_int_equal(unlink(DIR "peers"), 0);
    set_free(TAKE_PTR(set));
    set = load();
    assert_false(set_is_same(set, new));
}

static void an_array_is_read_whole(void **state)
{
    AUTO_SET struct set *set = load();
    AUTO_FREE void *values = NULL;
    int fd = set->maps[SET_ENDPOINTS];
    const struct fastpath_endpoint *found;

    for (uint32_t i = 0; i < 200; i++) {
        const struct fastpath_endpoint record = {.ifindex = i + 1};
        uint32_t index = i * 80;

        assert_ok(map_put(fd, &index, &record));
    }
    assert_ok(map_read_array(fd, sizeof *found, FASTPATH_ENDPOINTS_MAX, &values));
    found = values;
    for (uint32_t i = 0; i < FASTPATH_ENDPOINTS_MAX; i++)
        assert_int_equal(found[i].ifindex, i % 80 == 0 && i < 16000 ? i / 80 + 1 : 0);
}

static void readers_are_waited_for(void **state)
{
    assert_ok(map_wait_readers());
}

/* ---- hearing of pins ------------------------------------------------------------------------ */

#define STEP_MS 400

static void do_nothing(void)
{
}

static void remove_all(void)
{
    assert_ok(set_remove_all());
}

static void load_again(void)
{
    set_free(load());
}

static void remove_one(void)
{
    assert_int_equal(unlink(DIR "hops"), 0);
}

static const struct {
    void (*fn)(void);
    bool is_heard;
} steps[] = {{do_nothing, false}, {remove_all, true}, {load_again, true},
             {do_nothing, false}, {remove_one, true}, {do_nothing, false}};

struct ear {
    struct loop *loop;
    struct loop_source *next;
    struct pins_watch *watch;
    size_t step;
    bool has_heard[ARRAY_LEN(steps)];
};

static void on_pins(void *data)
{
    struct ear *ear = data;

    ear->has_heard[ear->step] = true;
    pins_watch_follow(ear->watch);
}

static void on_next(void *data)
{
    struct ear *ear = data;

    if (++ear->step == ARRAY_LEN(steps)) {
        loop_exit(ear->loop, 0);
        return;
    }
    steps[ear->step].fn();
    loop_timer_set_in(ear->next, STEP_MS);
}

static void pins_that_come_and_go_are_heard_of_by_anybodys_hand(void **state)
{
    AUTO_SET struct set *set = load();
    struct ear ear = {.step = 0};

    assert_true(set_is_current(set));
    assert_ok(loop_new(&ear.loop));
    assert_ok(loop_add_timer(ear.loop, on_next, &ear, &ear.next));
    assert_ok(pins_watch_new(ear.loop, on_pins, &ear, &ear.watch));
    pins_watch_follow(ear.watch);
    loop_timer_set_in(ear.next, STEP_MS);
    assert_int_equal(loop_run(ear.loop), 0);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        assert_int_equal(ear.has_heard[i], steps[i].is_heard);
    pins_watch_free(ear.watch);
    loop_source_free(ear.next);
    loop_free(ear.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BPF_TEST(nobody_has_loaded_anything_at_first_and_after_removal),
        BPF_TEST(loading_the_same_again_changes_nothing),
        BPF_TEST(a_program_is_attached_once_and_taken_off),
        BPF_TEST(the_same_by_clsact_where_there_is_no_tcx),
        BPF_TEST(another_builds_program_is_replaced_and_the_records_stay),
        BPF_TEST(a_program_whose_pins_are_lost_is_taken_off_and_anothers_is_left),
        BPF_TEST(half_a_set_and_another_layout_are_cleared_away),
        BPF_TEST(an_array_is_read_whole),
        BPF_TEST(readers_are_waited_for),
        BPF_TEST(pins_that_come_and_go_are_heard_of_by_anybodys_hand),
    };

    lab_require();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
