/* Hash tables: uthash with our answer to "out of memory", and with FNV, whose few lines fit the
 * short keys that we have (the default one falls through switch labels, which clang refuses). */
#pragma once

#include "lib/base/mem.h"

#define uthash_fatal(msg) mem_exhausted(0)
#define HASH_FUNCTION(key, key_len, ret_hash) HASH_FNV(key, key_len, ret_hash)
#include <uthash.h>

/* Twice as many buckets as it would take: in a table of ten thousand each step along a chain waits
 * for memory, and a bucket has 16 bytes. */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 5U
