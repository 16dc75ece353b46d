/* The agent's half of the fast path, on a host of its own. */
#include <sched.h>
#include <sys/mount.h>

#include "agent/fastpath/fastpath.h"
#include "lib/bpf/bpffs.h"
#include "tests/kernel/lab.h"

#define BEAT_MS 1000 /* fastpath.c */

/* A BPF file system of the test's own, not mounted yet. */
static int setup(void **state)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -1;
    if (mount("none", BPFFS_ROOT, "tmpfs", 0, NULL) < 0)
        return -1;
    return lab_setup(state);
}

#define FASTPATH_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, lab_teardown)

struct story {
    struct loop *loop;
    struct fastpath *fastpath;
    struct loop_source *timer;
    bool is_removed;
};

static bool is_used(const struct story *s)
{
    struct fastpath_status status;

    fastpath_status(s->fastpath, &status);
    return status.is_used;
}

/* Takes it away as soon as it is used, and ends when the next beat would have been. */
static void on_time(void *data)
{
    struct story *s = data;

    if (s->is_removed) {
        loop_exit(s->loop, 0);
        return;
    }
    s->is_removed = is_used(s);
    if (s->is_removed)
        assert_ok(fastpath_remove(s->fastpath));
    loop_timer_set_in(s->timer, s->is_removed ? BEAT_MS * 3 / 2 : 10);
}

/* d0 has the host's address, and there is no peer. */
static void who_has_taken_it_away_goes_on_for_a_beat(void **state)
{
    const struct overlay_want want = {
        .vni = 100, .port = 4789, .local = 0xc0000201, .subnet = {0x0a2a0100, 24}};
    struct story s = {0};

    lab_do("ip", "link", "add", "d0", "type", "veth", "peer", "d1");
    lab_do("ip", "address", "add", "192.0.2.1/24", "dev", "d0");
    lab_do("ip", "link", "set", "d0", "up");
    assert_ok(loop_new(&s.loop));
    assert_ok(loop_add_timer(s.loop, on_time, &s, &s.timer));
    assert_ok(fastpath_new(s.loop, FASTPATH_INSIST, &s.fastpath));
    fastpath_set_want(s.fastpath, &want);
    loop_timer_set_in(s.timer, 0);
    assert_int_equal(loop_run(s.loop), 0);
    assert_false(is_used(&s));
    fastpath_free(s.fastpath);
    loop_source_free(s.timer);
    loop_free(s.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {FASTPATH_TEST(who_has_taken_it_away_goes_on_for_a_beat)};

    lab_require();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
