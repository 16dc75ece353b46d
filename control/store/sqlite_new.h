/* Making the SQLite file: it is there whole, or not at all. */
#pragma once

#include "control/store/store.h"

/* With first (creations only; NULL: none) in it. When another process makes it at the same time,
 * it is the other's. */
int sqlite_new_make(const char *path, const struct store_change *first);

/* Removes what is left of makings that ended in the middle. To be called by the one who has the
 * file open: whoever still makes one is too late anyway. */
void sqlite_new_sweep(const char *path);
