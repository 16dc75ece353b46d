/* Files that are old or new, never half. */
#include "lib/base/file.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/secret.h"

int file_write_all(int fd, const void *bytes, size_t n)
{
    const char *next = bytes;

    while (n > 0) {
        ssize_t done = write(fd, next, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        next += done;
        n -= (size_t)done;
    }
    return 0;
}

int file_sync_parent(const char *path)
{
    AUTO_FREE char *copy = mem_strdup(path);
    AUTO_CLOSE int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return err_sys(errno, "sync the directory of %s", path);
    return 0;
}

static int write_synced(const char *path, const void *bytes, size_t n, mode_t mode)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int r;

    if (fd < 0 || fchmod(fd, mode) < 0) /* whatever the umask is */
        return file_fail(errno, "create", path);
    r = file_write_all(fd, bytes, n);
    if (r < 0)
        return err_sys(-r, "write %s", path);
    if (fsync(fd) < 0)
        return err_sys(errno, "sync %s", path);
    return 0;
}

int file_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode)
{
    AUTO_FREE char *temp = mem_printf("%s.tmp", path);
    int r;

    (void)unlink(temp); /* of an earlier life that ended in the middle */
    r = write_synced(temp, bytes, n, mode);
    if (r < 0) {
        (void)unlink(temp);
        return r;
    }
    if (rename(temp, path) < 0) {
        r = err_sys(errno, "rename %s to %s", temp, path);
        (void)unlink(temp);
        return r;
    }
    return file_sync_parent(path);
}

/* Keys and tokens come through here, too: what is outgrown is not left behind. */
static char *outgrow(char *bytes, size_t used, size_t size)
{
    char *larger = mem_alloc(size);

    if (bytes)
        memcpy(larger, bytes, used);
    larger[used] = '\0';
    secret_free(bytes);
    return larger;
}

static int read_all(const char *path, int fd, size_t max, char **ret_bytes, size_t *ret_n)
{
    AUTO_SECRET char *bytes = NULL;
    size_t used = 0, size = 0;

    for (;;) {
        ssize_t got;

        if (used + 1 >= size) {
            size = size ? size * 2 : 4096;
            bytes = outgrow(bytes, used, size);
        }
        got = read(fd, bytes + used, size - used - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(errno, "read %s", path);
        if (got == 0)
            break;
        used += (size_t)got;
        bytes[used] = '\0';
        if (used > max)
            return err_fail(EFBIG, "%s is larger than %zu bytes", path, max);
    }
    *ret_bytes = TAKE_PTR(bytes);
    *ret_n = used;
    return 0;
}

int file_read(const char *path, size_t max, char **ret_bytes, size_t *ret_n)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? file_fail(errno, "open", path) : read_all(path, fd, max, ret_bytes, ret_n);
}

int file_read_regular(const char *path, size_t max, char **ret_bytes, size_t *ret_n)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0)
        return file_fail(errno, "open", path);
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "look at %s", path);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) /* that one says so itself */
        return err_fail(EINVAL, "%s is no regular file", path);
    return read_all(path, fd, max, ret_bytes, ret_n);
}

int file_make_dirs(const char *path, mode_t mode)
{
    AUTO_FREE char *copy = mem_strdup(path);
    struct stat st;

    if (path[0] == '\0')
        return err_fail(ENOENT, "create directory: the path is empty");
    for (char *p = copy + 1;; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return file_fail(errno, "create directory", copy);
        if (c == '\0')
            break;
        *p = c;
    }
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_fail(ENOTDIR, "create directory %s: there is something else of this name", path);
    return 0;
}

int file_lock(const char *path, int *ret_fd)
{
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return file_fail(errno, "open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return err_fail(EWOULDBLOCK, "%s is locked by another process", path);
        return err_sys(errno, "lock %s", path);
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}
