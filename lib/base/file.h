/* Files that are old or new, never half. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Replaces path with these bytes: a temporary file beside it, fsync, rename, fsync of the
 * directory. After a crash at any point the file has its old or its new content. mode is the
 * file's. */
int file_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode);

/* Writes all of it, however often the kernel takes a part only. Fails without a text: -errno. */
int file_write_all(int fd, const void *bytes, size_t n);

/* The directory's entry of this file is on disk when it returns 0. */
int file_sync_parent(const char *path);

/* Reads a whole file of at most max bytes. The text is NUL-terminated (the NUL not counted) and
 * owned by the caller. -ENOENT when there is none, -EFBIG when it is longer. */
int file_read(const char *path, size_t max, char **ret_bytes, size_t *ret_n);
/* The same, and waits for nobody: -EINVAL for a pipe or a device. */
int file_read_regular(const char *path, size_t max, char **ret_bytes, size_t *ret_n);

/* Makes a directory and its parents, like mkdir -p. */
int file_make_dirs(const char *path, mode_t mode);

/* As err_sys("DOING PATH"). When owner, mode or a read-only file system are in the way, it names
 * the file or directory, whose it is and who we are, and the command that mends it. */
int file_fail(int errnum, const char *doing, const char *path);

/* A number that changes when one of these files is written, replaced, made or removed. NULL: none.
 */
uint64_t file_stamp(const char *const paths[], size_t count);

/* Takes an exclusive lock on path (made when missing), held until the descriptor closes or the
 * process dies. -EWOULDBLOCK: somebody else holds it. */
int file_lock(const char *path, int *ret_fd);
