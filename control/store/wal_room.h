/* Room for the write-ahead log, made before it is needed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Makes the log most bytes long, which it gets between two checkpoints; on a disk so small that
 * this would matter there only the least that is worth having. The log must be there and in use by
 * this process only. -ENOSPC or -EDQUOT, with a text, when there is no room even for that. */
int wal_room_make(const char *wal_path, size_t least, size_t most);

/* What is free on the disk of path. */
int wal_room_left(const char *path, uint64_t *ret_bytes);
