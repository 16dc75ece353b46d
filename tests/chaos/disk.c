/* Preloaded into a daemon, stands between it and its disk: kills it before the n-th step, fails or
 * delays steps, writes down every step, and moves the wall clock. The daemon itself knows nothing
 * of it.
 *
 * A step is a call that changes a file in the directory CHAOS_DIR or forces it to the disk. What is
 * to happen stands in the file CHAOS_PLAN, which is mapped, so that it can be changed while the
 * daemon runs; disk.py has the same layout. With CHAOS_TRACE each step is appended to that file
 * once it is done: a struct step, the bytes, and the directory as it then is ("INODE NAME" a line).
 */
#undef _FILE_OFFSET_BITS /* write our own pwrite64(), not pwrite() under that name */
#include <assert.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum call {
    CALL_WRITE = 1,
    CALL_SYNC = 2,
    CALL_RENAME = 4,
    CALL_UNLINK = 8,
    CALL_TRUNCATE = 16,
    CALL_LINK = 32
};

struct plan {
    int64_t wall_offset_s;
    uint32_t kill_at;    /* killed before this step, counted from 1; 0: never */
    uint32_t fail_calls; /* bits of enum call */
    uint32_t fail_from;  /* the first of those calls to fail, counted from 1 */
    uint32_t fail_count;
    uint32_t fail_errno;
    uint32_t delay_calls;
    uint32_t delay_ms;
    _Atomic uint32_t steps;   /* so many have begun */
    _Atomic uint32_t matches; /* so many of fail_calls have begun */
    uint32_t long_write;      /* writes of so many bytes or more are no steps; 0: all are */
};
static_assert(sizeof(struct plan) == 48, "as disk.py has it");

struct step {
    int64_t began_ns; /* CLOCK_MONOTONIC */
    uint64_t inode;
    int64_t offset; /* writes; truncations: the new size */
    uint32_t call;
    uint32_t bytes;   /* that follow */
    uint32_t entries; /* bytes of the directory's text after those */
    uint32_t unused;
};
static_assert(sizeof(struct step) == 40, "as disk.py has it");

static struct plan *plan;
static const char *directory;
static int trace_fd = -1;
static pthread_mutex_t trace_lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&(name)))real(#name))

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    if (!function)
        abort();
    return function;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CHAOS_PLAN"), *trace = getenv("CHAOS_TRACE");
    int fd;

    directory = getenv("CHAOS_DIR");
    if (!path || !directory)
        return;
    fd = open(path, O_RDWR | O_CLOEXEC);
    plan =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (plan == MAP_FAILED)
        abort();
    (void)close(fd);
    if (trace)
        trace_fd = open(trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (trace && trace_fd < 0)
        abort();
}

/* ---- whose call it is ---------------------------------------------------------------------- */

static bool is_ours(const char *path)
{
    size_t n;

    if (!plan)
        return false;
    n = strlen(directory);
    return strncmp(path, directory, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool is_our_fd(int fd)
{
    char link[64], path[4096];
    ssize_t n;

    if (!plan || fd <= 2)
        return false;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n < 0)
        return false;
    path[n] = '\0';
    return is_ours(path);
}

static uint64_t inode_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static uint64_t inode_at(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* ---- what happens -------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec t;

    (void)REAL(clock_gettime)(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* The step may be done; if not, errno says why. */
static bool step(enum call call)
{
    uint32_t n = plan->steps++ + 1;

    if (n == plan->kill_at)
        (void)kill(getpid(), SIGKILL);
    if (plan->delay_calls & call)
        (void)usleep(plan->delay_ms * 1000);
    if (!(plan->fail_calls & call))
        return true;
    n = plan->matches++ + 1;
    if (n < plan->fail_from || n - plan->fail_from >= plan->fail_count)
        return true;
    errno = (int)plan->fail_errno;
    return false;
}

/* The directory as text; aborts when it is too much for a test's directory. */
static size_t list_directory(char *out, size_t size)
{
    DIR *dir = opendir(directory);
    const struct dirent *entry;
    size_t used = 0;

    if (!dir)
        abort();
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        used += (size_t)snprintf(out + used, size - used, "%llu %s\n",
                                 (unsigned long long)entry->d_ino, entry->d_name);
        if (used >= size)
            abort();
    }
    (void)closedir(dir);
    return used;
}

static void record(struct step s, const void *bytes)
{
    char entries[4096];
    int error = errno;
    struct iovec parts[3];

    if (trace_fd < 0)
        return;
    (void)pthread_mutex_lock(&trace_lock);
    s.entries = (uint32_t)list_directory(entries, sizeof entries);
    parts[0] = (struct iovec){&s, sizeof s};
    parts[1] = (struct iovec){(void *)(uintptr_t)bytes, s.bytes};
    parts[2] = (struct iovec){entries, s.entries};
    if (writev(trace_fd, parts, 3) != (ssize_t)(sizeof s + s.bytes + s.entries))
        abort();
    (void)pthread_mutex_unlock(&trace_lock);
    errno = error;
}

static ssize_t do_write(int fd, const void *bytes, size_t n, int64_t offset, bool is_at)
{
    int64_t began = now_ns();
    ssize_t done;

    if (!(plan->long_write > 0 && n >= plan->long_write) && !step(CALL_WRITE))
        return -1;
    if (!is_at)
        offset = lseek(fd, 0, SEEK_CUR);
    done = is_at ? REAL(pwrite64)(fd, bytes, n, offset) : REAL(write)(fd, bytes, n);
    if (done > 0)
        record((struct step){.began_ns = began,
                             .inode = inode_of(fd),
                             .offset = offset,
                             .call = CALL_WRITE,
                             .bytes = (uint32_t)done},
               bytes);
    return done;
}

static int do_sync(int fd, int (*sync)(int))
{
    int64_t began = now_ns();
    int r;

    if (!step(CALL_SYNC))
        return -1;
    r = sync(fd);
    if (r == 0)
        record((struct step){.began_ns = began, .inode = inode_of(fd), .call = CALL_SYNC}, NULL);
    return r;
}

static int do_truncate(int fd, int64_t size)
{
    int64_t began = now_ns();
    int r;

    if (!step(CALL_TRUNCATE))
        return -1;
    r = REAL(ftruncate64)(fd, size);
    if (r == 0)
        record(
            (struct step){
                .began_ns = began, .inode = inode_of(fd), .offset = size, .call = CALL_TRUNCATE},
            NULL);
    return r;
}

/* ---- the calls ----------------------------------------------------------------------------- */

ssize_t write(int fd, const void *bytes, size_t n)
{
    return is_our_fd(fd) ? do_write(fd, bytes, n, 0, false) : REAL(write)(fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    return is_our_fd(fd) ? do_write(fd, bytes, n, offset, true)
                         : REAL(pwrite)(fd, bytes, n, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset)
{
    return is_our_fd(fd) ? do_write(fd, bytes, n, offset, true)
                         : REAL(pwrite64)(fd, bytes, n, offset);
}

int fsync(int fd)
{
    return is_our_fd(fd) ? do_sync(fd, REAL(fsync)) : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return is_our_fd(fd) ? do_sync(fd, REAL(fdatasync)) : REAL(fdatasync)(fd);
}

int ftruncate(int fd, off_t size)
{
    return is_our_fd(fd) ? do_truncate(fd, size) : REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return is_our_fd(fd) ? do_truncate(fd, size) : REAL(ftruncate64)(fd, size);
}

/* What only changes names. */
static int named(enum call call, int64_t began, int r, const char *path)
{
    if (r == 0)
        record((struct step){.began_ns = began, .inode = inode_at(path), .call = call}, NULL);
    return r;
}

int rename(const char *from, const char *to)
{
    int64_t began = now_ns();

    if (!is_ours(to))
        return REAL(rename)(from, to);
    return step(CALL_RENAME) ? named(CALL_RENAME, began, REAL(rename)(from, to), to) : -1;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags)
{
    int64_t began = now_ns();

    if (!is_ours(to))
        return REAL(renameat2)(from_dir, from, to_dir, to, flags);
    if (!step(CALL_RENAME))
        return -1;
    return named(CALL_RENAME, began, REAL(renameat2)(from_dir, from, to_dir, to, flags), to);
}

int link(const char *from, const char *to)
{
    int64_t began = now_ns();

    if (!is_ours(to))
        return REAL(link)(from, to);
    return step(CALL_LINK) ? named(CALL_LINK, began, REAL(link)(from, to), to) : -1;
}

int unlink(const char *path)
{
    int64_t began = now_ns();

    if (!is_ours(path))
        return REAL(unlink)(path);
    return step(CALL_UNLINK) ? named(CALL_UNLINK, began, REAL(unlink)(path), path) : -1;
}

/* ---- the wall clock ------------------------------------------------------------------------ */

int clock_gettime(clockid_t id, struct timespec *ret)
{
    int r = REAL(clock_gettime)(id, ret);

    if (r == 0 && plan && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        ret->tv_sec += plan->wall_offset_s;
    return r;
}

time_t time(time_t *ret)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    if (ret)
        *ret = t.tv_sec;
    return t.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    int r = REAL(gettimeofday)(ret, zone);

    if (r == 0 && plan)
        ret->tv_sec += plan->wall_offset_s;
    return r;
}
