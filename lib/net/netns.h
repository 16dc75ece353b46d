/* Network namespaces. setns(2), ioctl_ns(2). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Which namespace it is, for comparing: device and inode of the nsfs file. */
struct netns_id {
    dev_t dev;
    ino_t ino;
};

/* Opens a path (/run/netns/x, /proc/PID/ns/net) and checks that it is a network namespace and not
 * the caller's own. -ENOENT: no such file, or a file that is no longer a namespace; -EINVAL:
 * another kind of file or namespace, or our own. */
int netns_open(const char *path, int *ret_fd, struct netns_id *ret_id);

/* Runs fn inside the namespace, in this thread; returns fn's result. A thread that cannot go back
 * to its own namespace ends the process. */
int netns_run(int netns_fd, int (*fn)(void *data), void *data);
