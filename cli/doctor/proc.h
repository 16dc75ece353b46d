/* Numbers and words from /proc and files like it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A file of at most a megabyte; NULL when it cannot be read. Caller frees. */
char *proc_text(const char *path);
/* The number that a file holds; FACTS_UNKNOWN when there is none. */
int64_t proc_number(const char *path);

/* Pure. A counter of /proc/net/snmp and /proc/net/netstat: "Udp", "InCsumErrors". 0 when there is
 * none.
 *
 *     Udp: InDatagrams NoPorts ...
 *     Udp: 39 0 ...
 */
int64_t proc_counter(const char *text, const char *group, const char *name);
/* Pure. Whether a file of KEY=value lines has this line. */
bool proc_has_line(const char *text, const char *line);
/* Pure. The last value that a file of sysctl.d(5) gives the key, in either spelling; FACTS_UNKNOWN
 * when it gives none. */
int64_t proc_sysctl_line(const char *text, const char *key);
/* Pure. The soft limit of this name in the text of /proc/PID/limits; FACTS_UNKNOWN when there is
 * none or it is unlimited. */
int64_t proc_limit(const char *text, const char *name);
