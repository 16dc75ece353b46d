/* A store in memory, for unit tests and simulations: the same rules, nothing durable. */
#pragma once

#include <stdbool.h>

#include "control/store/store.h"

struct store *store_memory_new(void);
/* From now on every commit finds the store full, or does not. */
void store_memory_set_full(struct store *store, bool is_full);
/* A record's body, or NULL when there is none. Borrowed until the next commit. */
const char *store_memory_body(const struct store *store, const char *kind, const char *id);
