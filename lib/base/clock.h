/* The clocks.
 *
 * Deadlines and intervals use clock_boot_ms(): CLOCK_BOOTTIME, which nobody can set and which goes
 * on during suspend. The wall clock is for people: stamps in logs and JSON, nothing is decided by
 * it. Core modules take now_ms as an argument and never ask.
 */
#pragma once

#include <stdint.h>

/* Milliseconds of CLOCK_BOOTTIME. */
int64_t clock_boot_ms(void);
/* Microseconds of CLOCK_MONOTONIC, which stands during suspend: how long work took. */
int64_t clock_work_us(void);

/* Seconds since 1970 of the wall clock. */
int64_t clock_unix_s(void);
/* The same in milliseconds. */
int64_t clock_unix_ms(void);
