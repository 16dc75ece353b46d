/* What a process must be allowed to do, asked once at start: later it would be told so by some
 * kernel call in the middle, in words that name neither the cause nor the way out. */
#pragma once

/* 0 when this process has the capability, e.g. CAP_NET_ADMIN (linux/capability.h), in effect.
 * -EPERM with the text "NAME is needed; HINT". */
int privilege_require(unsigned capability, const char *name, const char *hint);
