/* Kernel settings under /proc/sys of the current network namespace. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Writes value when it differs. path is below /proc/sys, "net/ipv4/conf/vxlan100/rp_filter".
 * Returns 1 when it wrote, 0 when it was so already, or negative. -ENOENT: no such setting here. */
int sysctl_ensure(const char *path, const char *value);

/* Whether it is that; not, too, when it cannot be read. */
bool sysctl_is(const char *path, const char *value);

/* Two numbers, as in "net/ipv4/ip_local_port_range". -ENOENT: no such setting here. */
int sysctl_read_pair(const char *path, uint64_t *ret_first, uint64_t *ret_second);
