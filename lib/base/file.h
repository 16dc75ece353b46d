/* Files that are old or new, never half. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Replaces path with these bytes: a temporary file beside it, fsync, rename, fsync of the
 * directory. After a crash at any point the file has its old or its new content. mode is the
 * file's. */
int file_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode);

/* The directory's entry of this file is on disk when it returns 0. */
int file_sync_parent(const char *path);

/* Reads a whole file of at most max bytes. The text is NUL-terminated (the NUL not counted) and
 * owned by the caller. -ENOENT when there is none, -EFBIG when it is longer. */
int file_read(const char *path, size_t max, char **ret_bytes, size_t *ret_n);

/* Makes a directory and its parents, like mkdir -p. */
int file_make_dirs(const char *path, mode_t mode);

/* Takes an exclusive lock on path (made when missing), held until the descriptor closes or the
 * process dies. -EWOULDBLOCK: somebody else holds it. */
int file_lock(const char *path, int *ret_fd);
