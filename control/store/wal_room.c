/* A commit is over when its part of the log is on the disk. Where the log grows with it, the file
 * system has to store the file's new size and blocks as well, in its own journal: two more waits
 * for the disk. Where the log is overwritten, there is one. SQLite overwrites its log after the
 * first checkpoint and never shortens it while it is open; so writing zeros behind its end once, at
 * the start, spares every commit until then the growing.
 *
 * Zeros are no frames: their salt is not the header's, so a recovery ends at the first of them, as
 * it does at the frames that are left from before a checkpoint (sqlite.org/walformat.html). They
 * are really written: blocks that are only set aside would be changed on their first use, too.
 */
#include "control/store/wal_room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

#define STEP_BYTES (64 * 1024)
/* At most this part of what is free. */
#define SHARE_OF_FREE 16

int wal_room_left(const char *path, uint64_t *ret_bytes)
{
    struct statvfs disk;

    if (statvfs(path, &disk) < 0)
        return err_sys(errno, "look how much is free beside %s", path);
    *ret_bytes = disk.f_blocks > 0 ? (uint64_t)disk.f_bavail * disk.f_frsize : UINT64_MAX;
    return 0;
}

static int write_zeros(int fd, off_t from, off_t to)
{
    static const char zeros[STEP_BYTES];

    while (from < to) {
        size_t n = to - from < STEP_BYTES ? (size_t)(to - from) : STEP_BYTES;
        ssize_t done = pwrite(fd, zeros, n, from);

        if (done < 0 && errno != EINTR)
            return err_sys(errno, "write");
        from += done > 0 ? done : 0;
    }
    return fsync(fd) < 0 ? err_sys(errno, "fsync") : 0;
}

static int lengthen(int fd, size_t bytes)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(errno, "stat");
    return st.st_size < (off_t)bytes ? write_zeros(fd, st.st_size, (off_t)bytes) : 0;
}

int wal_room_make(const char *wal_path, size_t least, size_t most)
{
    AUTO_CLOSE int fd = open(wal_path, O_WRONLY | O_CLOEXEC);
    uint64_t left = 0;
    int r = fd < 0 ? err_sys(errno, "open") : wal_room_left(wal_path, &left);

    if (r == 0)
        r = lengthen(fd, left / SHARE_OF_FREE >= most ? most : least);
    return r < 0 ? err_wrap(r, "make room in %s", wal_path) : 0;
}
