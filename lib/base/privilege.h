/* What a process may do, and what others may do to it.
 *
 * What it must be allowed is asked once at start: later it would be told so by some kernel call in
 * the middle, in words that name neither the cause nor the way out. */
#pragma once

#include <stdint.h>

/* 0 when this process has the capability, e.g. CAP_NET_ADMIN (linux/capability.h), in effect.
 * -EPERM with the text "NAME is needed; HINT". */
int privilege_require(unsigned capability, const char *name, const char *hint);

/* From now on no other process of the same user reads this one's memory, follows it with ptrace(2),
 * or gets a core dump of it: there are keys and tokens in it. Root may still. Negative with a text.
 */
int privilege_hide_memory(void);

/* Raises the soft limit of open files to wanted, or as far as the hard one lets it; never lowers
 * it. Returns how many there may be of them, wanted at most. */
uint64_t privilege_open_files(uint64_t wanted);
