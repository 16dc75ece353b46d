/* A host for the runtime, in a real kernel. */
#include "tests/kernel/runtime_bed.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "lib/net/netns.h"

void bed_make_netns(const struct bed *bed, const char *path)
{
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    assert_int_equal(mount("/proc/thread-self/ns/net", path, NULL, MS_BIND, NULL), 0);
    assert_int_equal(setns(bed->host_fd, CLONE_NEWNET), 0);
}

void bed_drop_netns(const char *path)
{
    (void)umount2(path, MNT_DETACH);
    (void)unlink(path);
}

static void count_save(void *data)
{
    ((struct bed *)data)->saves++;
}

int bed_setup(void **state)
{
    struct bed *bed = NEW(struct bed);

    memcpy(bed->dir, "/tmp/quilt-plug-XXXXXX", 23);
    assert_non_null(mkdtemp(bed->dir));
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    bed->host_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(bed->paths[i], sizeof bed->paths[i], "%s/%c", bed->dir, "ab"[i]);
        bed_make_netns(bed, bed->paths[i]);
    }
    assert_ok(loop_new(&bed->loop));
    assert_ok(kernel_open(&bed->kernel));
    assert_ok(link_set_up(bed->kernel.nl, lab_ifindex(bed->kernel.nl, "lo"), true));
    state_init(&bed->state, BOOT);
    assert_ok(
        state_configure(&bed->state, (struct ip4_prefix){0x0a2a0100, 24}, MESH_CLUSTER_DEFAULT));
    assert_ok(reconcile_init(&bed->rc, bed->loop, &bed->kernel, &bed->state,
                             &(struct firewall_policy){0}, count_save, bed));
    *state = bed;
    return 0;
}

int bed_teardown(void **state)
{
    struct bed *bed = *state;

    reconcile_deinit(&bed->rc);
    state_deinit(&bed->state);
    kernel_close(&bed->kernel);
    loop_free(bed->loop);
    for (size_t i = 0; i < 2; i++)
        bed_drop_netns(bed->paths[i]);
    assert_int_equal(rmdir(bed->dir), 0);
    close(bed->host_fd);
    free(bed);
    return 0;
}

const struct endpoint *bed_enter(struct bed *bed, size_t which)
{
    char ids[2][2] = {"a", "b"};
    struct endpoint wanted = {.id = ids[which],
                              .netns_path = bed->paths[which],
                              .ifname = "eth0",
                              .created_at_s = 1700000000};
    const struct endpoint *endpoint;
    AUTO_CLOSE int fd = -1;

    assert_ok(plug_open_netns(wanted.netns_path, &fd, &wanted.netns));
    assert_ok(state_attach(&bed->state, &wanted, 0, &endpoint));
    return endpoint;
}

void bed_look(struct bed *bed)
{
    reconcile_run(&bed->rc, LOOK_ALL);
}

uint64_t bed_count_writes(const struct bed *bed)
{
    uint64_t count = 0;

    for (size_t i = 0; i < KERNEL_OBJECT_COUNT; i++)
        count += bed->kernel.writes[i];
    return count;
}

void bed_assert_right(struct bed *bed)
{
    uint64_t before = bed_count_writes(bed);

    bed_look(bed);
    assert_int_equal(bed_count_writes(bed), before);
    assert_true(guard_next_ms(&bed->rc.guard) == INT64_MAX);
}

void bed_assert_pings(const struct bed *bed, size_t from, const char *to)
{
    char netns[64];

    (void)snprintf(netns, sizeof netns, "--net=%s", bed->paths[from]);
    lab_do("nsenter", netns, "ping", "-q", "-c", "3", "-i", "0.01", "-W", "2", to);
}

char *bed_run_inside(const struct bed *bed, size_t where, const char *object, const char *verb)
{
    char netns[64];

    (void)snprintf(netns, sizeof netns, "--net=%s", bed->paths[where]);
    return lab_run("nsenter", netns, "ip", object, verb, NULL);
}
