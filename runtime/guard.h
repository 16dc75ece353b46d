/* Repairs that do not hold: an object that somebody else keeps changing, or that the kernel keeps
 * refusing, is repaired at once a few times and then in growing intervals, so that two programs
 * that want different things do not keep a machine busy. Remembers the last failure of each object,
 * for status displays. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_FREE_REPAIRS 10 /* at once */
#define GUARD_CALM_MS 30000   /* without a repair for so long: all is forgotten */
#define GUARD_PAUSE_MIN_MS 1000
#define GUARD_PAUSE_MAX_MS 30000

struct guard_entry;
struct guard {
    struct guard_entry *entries; /* a hash by key */
};

void guard_deinit(struct guard *guard);

/* Whether the object may be repaired now. */
bool guard_allows(const struct guard *guard, const char *key, int64_t now_ms);
/* It was tried; error is NULL when that worked. Whether the error is new, worth a log line. */
bool guard_note(struct guard *guard, const char *key, const char *error, int64_t now_ms);
/* The object is right, or no longer wanted: its last error is no more. */
void guard_settle(struct guard *guard, const char *key);

/* The object's last failure, or NULL. */
const char *guard_error(const struct guard *guard, const char *key);
/* When the next held back or failed repair is due; INT64_MAX: none is. */
int64_t guard_next_ms(const struct guard *guard);
/* Drops what has been calm. */
void guard_sweep(struct guard *guard, int64_t now_ms);
/* All that fails now: calls fn with key and error of each. */
void guard_each_error(const struct guard *guard,
                      void (*fn)(const char *key, const char *error, void *data), void *data);
