/* Kernel settings under /proc/sys of the current network namespace. */
#pragma once

/* Writes value when it differs. path is below /proc/sys, "net/ipv4/conf/vxlan100/rp_filter".
 * Returns 1 when it wrote, 0 when it was so already, or negative. -ENOENT: no such setting here. */
int sysctl_ensure(const char *path, const char *value);
