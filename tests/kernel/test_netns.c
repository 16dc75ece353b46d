/* Other namespaces, and settings of this one. */
#include "lib/net/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/net/sysctl.h"
#include "tests/kernel/lab.h"

/* A directory of the test's own, with a namespace mounted in it as `ip netns add` does. */
struct place {
    char dir[64];
    char ns[96];
    char other[96];
};

static int place_setup(void **state)
{
    struct place *p = NEW(struct place);
    int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    (void)snprintf(p->dir, sizeof p->dir, "/tmp/quilt-netns-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->ns, sizeof p->ns, "%s/ns", p->dir);
    (void)snprintf(p->other, sizeof p->other, "%s/other", p->dir);
    close(open(p->ns, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    assert_int_equal(mount("/proc/thread-self/ns/net", p->ns, NULL, MS_BIND, NULL), 0);
    assert_int_equal(setns(own, CLONE_NEWNET), 0);
    close(own);
    *state = p;
    return 0;
}

static int place_teardown(void **state)
{
    struct place *p = *state;

    (void)umount2(p->ns, MNT_DETACH);
    (void)unlink(p->ns);
    (void)unlink(p->other);
    (void)rmdir(p->dir);
    free(p);
    return 0;
}

static int own_id(void *data)
{
    struct netns_id *id = data;
    struct stat st;

    assert_int_equal(stat("/proc/thread-self/ns/net", &st), 0);
    *id = (struct netns_id){.dev = st.st_dev, .ino = st.st_ino};
    return 42;
}

static void a_mounted_namespace_is_opened_and_entered(void **state)
{
    struct place *p = *state;
    AUTO_CLOSE int fd = -1;
    struct netns_id id;
    struct netns_id inside;
    struct netns_id before;
    struct netns_id after;

    (void)own_id(&before);
    assert_ok(netns_open(p->ns, &fd, &id));
    assert_int_equal(netns_run(fd, own_id, &inside), 42);
    (void)own_id(&after);
    assert_int_equal(inside.ino, id.ino);
    assert_int_equal(inside.dev, id.dev);
    assert_int_equal(after.ino, before.ino);
    assert_true(before.ino != id.ino);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void what_is_not_there_or_no_more_is_enoent(void **state)
{
    struct place *p = *state;
    struct netns_id id;
    int fd = -1;

    assert_error(netns_open(p->other, &fd, &id), ENOENT);
    assert_int_equal(umount2(p->ns, MNT_DETACH), 0);
    assert_error(netns_open(p->ns, &fd, &id), ENOENT);
    assert_non_null(strstr(err_text(), "is no namespace any more"));
    assert_int_equal(fd, -1);
}

/* A fifo that nobody writes to would hold up an open() for ever. */
static void other_kinds_of_file_are_einval(void **state)
{
    struct place *p = *state;
    struct netns_id id;
    int fd = -1;

    assert_int_equal(mkfifo(p->other, 0600), 0);
    assert_error(netns_open(p->other, &fd, &id), EINVAL);
    assert_error(netns_open(p->dir, &fd, &id), EINVAL);
    assert_error(netns_open("/dev/zero", &fd, &id), EINVAL);
    assert_error(netns_open("/etc/passwd", &fd, &id), EINVAL);
    assert_error(netns_open("/proc/self/ns/uts", &fd, &id), EINVAL);
    assert_non_null(strstr(err_text(), "no network namespace"));
    assert_error(netns_open("/proc/self/ns/net", &fd, &id), EINVAL);
    assert_non_null(strstr(err_text(), "own network namespace"));
    assert_int_equal(fd, -1);
}

static void a_socket_can_be_opened_inside(void **state)
{
    struct place *p = *state;
    AUTO_CLOSE int fd = -1;
    AUTO_NL struct nl *inside = NULL;
    struct netns_id id;
    struct link_info info;

    assert_ok(netns_open(p->ns, &fd, &id));
    assert_ok(nl_open_in(fd, &inside));
    assert_ok(link_get(inside, "lo", &info));
    assert_ok(link_set_alias(inside, info.ifindex, "inside"));
    assert_ok(link_get(inside, "lo", &info));
    assert_string_equal(info.alias, "inside");
}

static void a_setting_is_written_only_when_it_differs(void **state)
{
    assert_int_equal(sysctl_ensure("net/ipv4/conf/lo/rp_filter", "2"), 1);
    assert_int_equal(sysctl_ensure("net/ipv4/conf/lo/rp_filter", "2"), 0);
    assert_int_equal(sysctl_ensure("net/ipv4/conf/lo/rp_filter", "0"), 1);
    assert_int_equal(sysctl_ensure("net/ipv4/ip_forward", "1"), 1);
    assert_int_equal(sysctl_ensure("net/ipv4/ip_forward", "1"), 0);
}

static void a_setting_is_what_it_says(void **state)
{
    assert_int_equal(sysctl_ensure("net/ipv4/conf/lo/arp_ignore", "8"), 1);
    assert_true(sysctl_is("net/ipv4/conf/lo/arp_ignore", "8"));
    assert_false(sysctl_is("net/ipv4/conf/lo/arp_ignore", "0"));
    assert_false(sysctl_is("net/ipv4/conf/nosuchdev/arp_ignore", "0"));
}

static void settings_that_are_not_there_or_not_so_are_errors(void **state)
{
    char path[512];

    assert_error(sysctl_ensure("net/ipv4/conf/nosuchdev/rp_filter", "2"), ENOENT);
    assert_error(sysctl_ensure("net/ipv4/conf/lo/rp_filter", "x"), EINVAL);
    assert_error(sysctl_ensure("net/../kernel/hostname", "x"), EINVAL);
    assert_error(sysctl_ensure("/proc/sys/net/ipv4/ip_forward", "1"), EINVAL);
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_error(sysctl_ensure(path, "1"), EINVAL);
}

/* A device may have dots in its name; the path does not care. */
static void a_devices_dots_are_no_harm(void **state)
{
    lab_do("ip", "link", "add", "a.b", "type", "veth", "peer", "name", "p0");
    assert_int_equal(sysctl_ensure("net/ipv4/conf/a.b/rp_filter", "2"), 1);
}

#define PLACE_TEST(fn) cmocka_unit_test_setup_teardown(fn, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(a_mounted_namespace_is_opened_and_entered),
        PLACE_TEST(what_is_not_there_or_no_more_is_enoent),
        PLACE_TEST(other_kinds_of_file_are_einval),
        PLACE_TEST(a_socket_can_be_opened_inside),
        LAB_TEST(a_setting_is_written_only_when_it_differs),
        LAB_TEST(a_setting_is_what_it_says),
        LAB_TEST(settings_that_are_not_there_or_not_so_are_errors),
        LAB_TEST(a_devices_dots_are_no_harm),
    };

    lab_require();
    /* Mounts of a test that dies go with this. */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
