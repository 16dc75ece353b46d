/* Repairs that do not hold: each object has patience of its own (lib/base/patience.h), for what
 * somebody else keeps changing or the kernel keeps refusing. Remembers the last failure of each,
 * for status displays. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/patience.h"

/* What failed is tried again after this also when nothing happens. */
#define GUARD_RETRY_MS 1000

#define GUARD_FOUGHT_TEXT "another program keeps changing it; find and stop it"

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

/* Whether somebody else keeps changing it: repairs work, but do not hold. */
bool guard_is_fought(const struct guard *guard, const char *key);
/* The object's last failure, or NULL. */
const char *guard_error(const struct guard *guard, const char *key);
/* When the next held back or failed repair is due; INT64_MAX: none is. */
int64_t guard_next_ms(const struct guard *guard);
/* Drops what has been calm. */
void guard_sweep(struct guard *guard, int64_t now_ms);
/* All that fails now, and all that is fought for: calls fn with key and error of each. */
void guard_each_error(const struct guard *guard,
                      void (*fn)(const char *key, const char *error, void *data), void *data);
