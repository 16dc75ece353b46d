/* Room for the write-ahead log, made before it is needed. */
#pragma once

#include <stddef.h>

/* Makes the log of the database at path as long as it gets between two checkpoints, unless the disk
 * is so small that this would matter on it. The log must be there and in use by this process only.
 * -errno with a text when it could not be done; nothing is wrong then but that commits are slower.
 */
int wal_room_make(const char *path, size_t bytes);
