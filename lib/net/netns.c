/* Network namespaces. A path may come from outside, so nothing is opened for real before it is
 * known to be a namespace: opening a fifo waits, opening a device may do anything. */
#include "lib/net/netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define OWN_NETNS "/proc/thread-self/ns/net"

/* A mount point whose namespace was unmounted is an empty file. */
static int check_is_nsfs(int fd, const char *path)
{
    struct statfs fs;
    struct stat st;

    if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
        return err_sys(errno, "look at %s", path);
    if (fs.f_type == NSFS_MAGIC)
        return 0;
    if (S_ISREG(st.st_mode) && st.st_size == 0)
        return err_fail(ENOENT, "%s is no namespace any more", path);
    return err_fail(EINVAL, "%s is no namespace", path);
}

/* From O_PATH, which can only be looked at, to a descriptor that can be entered. */
static int reopen(int path_fd, const char *path, int *ret_fd)
{
    char proc[64];
    int fd;

    (void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", path_fd);
    fd = open(proc, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_sys(errno, "open namespace %s", path);
    *ret_fd = fd;
    return 0;
}

static int check_is_other_netns(int fd, const char *path, struct netns_id *ret_id)
{
    struct stat st;
    struct stat own;

    if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
        return err_fail(EINVAL, "%s is no network namespace", path);
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "look at %s", path);
    if (stat(OWN_NETNS, &own) < 0)
        return err_sys(errno, "look at %s", OWN_NETNS);
    if (st.st_dev == own.st_dev && st.st_ino == own.st_ino)
        return err_fail(EINVAL, "%s is this host's own network namespace", path);
    *ret_id = (struct netns_id){.dev = st.st_dev, .ino = st.st_ino};
    return 0;
}

int netns_open(const char *path, int *ret_fd, struct netns_id *ret_id)
{
    AUTO_CLOSE int path_fd = -1;
    AUTO_CLOSE int fd = -1;
    int r;

    path_fd = open(path, O_PATH | O_CLOEXEC);
    if (path_fd < 0)
        return err_sys(errno, "open namespace %s", path);
    r = check_is_nsfs(path_fd, path);
    if (r == 0)
        r = reopen(path_fd, path, &fd);
    if (r == 0)
        r = check_is_other_netns(fd, path, ret_id);
    if (r < 0)
        return r;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int netns_run(int netns_fd, int (*fn)(void *data), void *data)
{
    AUTO_CLOSE int own_fd = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
    int r;

    if (own_fd < 0)
        return err_sys(errno, "open %s", OWN_NETNS);
    if (setns(netns_fd, CLONE_NEWNET) < 0)
        return err_sys(errno, "enter a network namespace");
    r = fn(data);
    if (setns(own_fd, CLONE_NEWNET) < 0) {
        /* Whatever this thread did next it would do to a container. */
        log_error("cannot go back to the own network namespace",
                  LOG_S("error", strerrordesc_np(errno)));
        _exit(1);
    }
    return r;
}
