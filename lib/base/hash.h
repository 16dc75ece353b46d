/* Hash tables: uthash with our answer to "out of memory". */
#pragma once

#include "lib/base/mem.h"

#define uthash_fatal(msg) mem_exhausted(0)
#include <uthash.h>
