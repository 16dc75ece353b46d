/* A disk whose power can be cut at any step, and which then has any part of what was not synced. */
#undef _FILE_OFFSET_BITS /* write our own pwrite64(), not pwrite() under that name */
#include "tests/unit/control/cut_disk.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

struct write {
    struct write *next;
    size_t offset, n;
    size_t size; /* of the file, after it */
    bool is_longer_or_shorter;
    char bytes[];
};

struct file {
    struct file *next;
    ino_t inode;
    char *durable; /* owned; zeros behind durable_n */
    size_t durable_n, durable_room;
    size_t size; /* now */
    struct write *writes, **last;
};

struct names {
    struct names *next;
    size_t count;
    struct {
        char name[64];
        struct file *file;
    } entries[CUT_FILES_MAX];
};

static struct {
    const char *directory; /* NULL: not watched */
    void (*on_step)(void *data);
    void *data;
    struct file *files;
    struct names *names, *live; /* what the disk has for certain, and what came since */
    bool is_inside;             /* a step; what it calls itself is none */
    int writes_left;
    bool for_longer_only;
} disk = {.writes_left = -1};

#define REAL(name) ((__typeof__(&(name)))real(#name))

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    if (!function)
        abort();
    return function;
}

/* ---- the book ------------------------------------------------------------------------------ */

static void reserve(struct file *file, size_t n)
{
    char *wider;

    if (n <= file->durable_room)
        return;
    wider = mem_zalloc(n * 2);
    if (file->durable)
        memcpy(wider, file->durable, file->durable_room);
    free(file->durable);
    file->durable = wider;
    file->durable_room = n * 2;
}

static struct file *add_file(ino_t inode)
{
    struct file *file = NEW(struct file);

    *file = (struct file){.next = disk.files, .inode = inode, .last = &file->writes};
    disk.files = file;
    return file;
}

static struct file *find_live(ino_t inode)
{
    for (size_t i = 0; disk.live && i < disk.live->count; i++) {
        if (disk.live->entries[i].file->inode == inode)
            return disk.live->entries[i].file;
    }
    return NULL;
}

static struct names *list_names(void)
{
    struct names *names = NEW(struct names);
    DIR *dir = opendir(disk.directory);
    const struct dirent *entry;

    if (!dir)
        abort();
    *names = (struct names){0};
    while ((entry = readdir(dir))) {
        struct file *file;

        if (entry->d_name[0] == '.')
            continue;
        if (names->count == CUT_FILES_MAX || strlen(entry->d_name) >= 64)
            abort();
        file = find_live(entry->d_ino);
        names->entries[names->count].file = file ? file : add_file(entry->d_ino);
        (void)stpcpy(names->entries[names->count++].name, entry->d_name);
    }
    (void)closedir(dir);
    return names;
}

static bool has(const struct names *names, const char *name, const struct file *file)
{
    for (size_t i = 0; i < names->count; i++) {
        if (names->entries[i].file == file && strcmp(names->entries[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool is_same(const struct names *one, const struct names *other)
{
    for (size_t i = 0; i < one->count; i++) {
        if (!has(other, one->entries[i].name, one->entries[i].file))
            return false;
    }
    return one->count == other->count;
}

/* A file that was made or has lost its name since. */
static void note_names(void)
{
    struct names *now = list_names();

    if (is_same(disk.live, now)) {
        free(now);
        return;
    }
    disk.live->next = now;
    disk.live = now;
}

static void drop_writes(struct file *file)
{
    for (struct write *w = file->writes, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    file->writes = NULL;
    file->last = &file->writes;
}

static void note_write(struct file *file, const void *bytes, size_t n, size_t offset, size_t size)
{
    struct write *w = mem_alloc(sizeof *w + n);

    *w = (struct write){
        .offset = offset, .n = n, .size = size, .is_longer_or_shorter = size != file->size};
    if (bytes)
        memcpy(w->bytes, bytes, n);
    else
        memset(w->bytes, 0, n);
    *file->last = w;
    file->last = &w->next;
    file->size = size;
}

static void note_sync(struct file *file)
{
    for (const struct write *w = file->writes; w; w = w->next) {
        reserve(file, w->offset + w->n);
        memcpy(file->durable + w->offset, w->bytes, w->n);
    }
    file->durable_n = file->size;
    drop_writes(file);
}

static void note_directory_sync(void)
{
    while (disk.names != disk.live) {
        struct names *next = disk.names->next;

        free(disk.names);
        disk.names = next;
    }
}

static void take_file(struct file *file, const char *name)
{
    char path[512];
    int fd;
    struct stat st;

    (void)snprintf(path, sizeof path, "%s/%s", disk.directory, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        abort();
    reserve(file, (size_t)st.st_size + 1);
    if (read(fd, file->durable, (size_t)st.st_size) != (ssize_t)st.st_size)
        abort();
    file->size = file->durable_n = (size_t)st.st_size;
    (void)close(fd);
}

void cut_disk_watch(const char *directory, void (*on_step)(void *data), void *data)
{
    disk.directory = directory;
    disk.on_step = on_step;
    disk.data = data;
    disk.names = disk.live = list_names();
    for (size_t i = 0; i < disk.live->count; i++)
        take_file(disk.live->entries[i].file, disk.live->entries[i].name);
}

void cut_disk_leave(void)
{
    disk.is_inside = false;
    note_directory_sync();
    free(disk.live);
    for (struct file *file = disk.files, *next; file; file = next) {
        next = file->next;
        drop_writes(file);
        free(file->durable);
        free(file);
    }
    disk.files = NULL;
    disk.names = disk.live = NULL;
    disk.directory = NULL;
}

void cut_disk_fill(int after_writes, bool for_longer_only)
{
    disk.writes_left = after_writes;
    disk.for_longer_only = for_longer_only;
}

/* ---- cutting ------------------------------------------------------------------------------- */

struct chooser {
    cut_arrives_fn arrives;
    void *data;
    size_t piece;
};

static bool choose(struct chooser *c)
{
    return c->arrives(c->piece++, c->data);
}

static size_t widest(const struct file *file)
{
    size_t n = file->durable_n;

    for (const struct write *w = file->writes; w; w = w->next) {
        n = w->offset + w->n > n ? w->offset + w->n : n;
        n = w->size > n ? w->size : n;
    }
    return n;
}

static size_t min_size(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* For each block the number of the latest write to it that has arrived, from 1. */
static size_t choose_writes(const struct file *file, size_t block, struct chooser *c,
                            uint32_t *ranks)
{
    uint32_t number = 0;
    size_t size = file->durable_n;

    for (const struct write *w = file->writes; w; w = w->next) {
        number++;
        for (size_t b = w->offset / block; w->n > 0 && b <= (w->offset + w->n - 1) / block; b++) {
            if (choose(c))
                ranks[b] = number;
        }
        if (w->is_longer_or_shorter && choose(c))
            size = w->size;
    }
    return size;
}

static void apply_writes(const struct file *file, size_t block, const uint32_t *ranks, char *bytes)
{
    uint32_t number = 0;

    for (const struct write *w = file->writes; w; w = w->next) {
        number++;
        for (size_t at = w->offset; at < w->offset + w->n;) {
            size_t end = min_size((at / block + 1) * block, w->offset + w->n);

            if (number <= ranks[at / block])
                memcpy(bytes + at, w->bytes + (at - w->offset), end - at);
            at = end;
        }
    }
}

static char *cut_file(const struct file *file, size_t block, struct chooser *c, size_t *ret_n)
{
    size_t most = widest(file);
    AUTO_FREE uint32_t *ranks = mem_zalloc((most / block + 1) * sizeof *ranks);
    char *bytes = mem_zalloc(most + 1);

    memcpy(bytes, file->durable ? file->durable : "", file->durable_n);
    *ret_n = choose_writes(file, block, c, ranks);
    apply_writes(file, block, ranks, bytes);
    return bytes;
}

void cut_disk_cut(size_t block, cut_arrives_fn arrives, void *data, struct cut *ret_cut)
{
    struct chooser c = {arrives, data, 0};
    const struct names *names = disk.names;

    *ret_cut = (struct cut){0};
    for (const struct names *later = names->next; later; later = later->next) {
        if (choose(&c))
            names = later;
    }
    for (size_t i = 0; i < names->count; i++) {
        (void)stpcpy(ret_cut->files[i].name, names->entries[i].name);
        ret_cut->files[i].bytes = cut_file(names->entries[i].file, block, &c, &ret_cut->files[i].n);
    }
    ret_cut->count = names->count;
}

static bool count_piece(size_t piece, void *data)
{
    *(size_t *)data = piece + 1;
    return true;
}

size_t cut_disk_pieces(size_t block)
{
    size_t count = 0;
    struct cut cut;

    cut_disk_cut(block, count_piece, &count, &cut);
    cut_deinit(&cut);
    return count;
}

void cut_deinit(struct cut *cut)
{
    for (size_t i = 0; i < cut->count; i++)
        free(cut->files[i].bytes);
    *cut = (struct cut){0};
}

static void empty_directory(const char *directory)
{
    DIR *dir = opendir(directory);
    const struct dirent *entry;

    if (!dir)
        abort();
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] != '.' && unlinkat(dirfd(dir), entry->d_name, 0) < 0)
            abort();
    }
    (void)closedir(dir);
}

void cut_write(const struct cut *cut, const char *directory)
{
    empty_directory(directory);
    for (size_t i = 0; i < cut->count; i++) {
        char path[512];
        int fd;

        (void)snprintf(path, sizeof path, "%s/%s", directory, cut->files[i].name);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, cut->files[i].bytes, cut->files[i].n) != (ssize_t)cut->files[i].n)
            abort();
        (void)close(fd);
    }
}

/* ---- steps --------------------------------------------------------------------------------- */

static bool is_watched(const char *path)
{
    size_t n;

    if (!disk.directory || disk.is_inside)
        return false;
    n = strlen(disk.directory);
    return strncmp(path, disk.directory, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool is_watched_fd(int fd)
{
    char link[64], path[512];
    ssize_t n;

    if (!disk.directory || disk.is_inside)
        return false;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n < 0)
        return false;
    path[n] = '\0';
    return is_watched(path);
}

static void tell(void)
{
    note_names();
    disk.on_step(disk.data);
}

static void begin(void)
{
    disk.is_inside = true;
    tell();
}

static void end(void)
{
    int error = errno;

    tell();
    disk.is_inside = false;
    errno = error;
}

static struct file *file_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? find_live(st.st_ino) : NULL;
}

static bool has_room(const struct file *file, size_t end_at)
{
    if (disk.writes_left < 0 || (disk.for_longer_only && file && end_at <= file->size))
        return true;
    if (disk.writes_left == 0)
        return false;
    disk.writes_left--;
    return true;
}

/* Then a write that fails is as one that was done. That is so by chance (a frame's header is
 * written before its page, and the page may be zeros, as the room is), and then SQLite's answer "no
 * room" is about a commit that is there. */
static bool is_there(int fd, const void *bytes, size_t n, off64_t offset)
{
    AUTO_FREE char *old = mem_alloc(n + 1);

    return pread64(fd, old, n, offset) == (ssize_t)n && memcmp(old, bytes, n) == 0;
}

static ssize_t do_write(int fd, const void *bytes, size_t n, off64_t offset)
{
    struct file *file;
    size_t end_at = (size_t)offset + n;
    ssize_t done = -1;

    begin();
    file = file_of(fd);
    if (has_room(file, end_at) || is_there(fd, bytes, n, offset))
        done = REAL(pwrite64)(fd, bytes, n, offset);
    else
        errno = ENOSPC;
    if (done > 0 && file)
        note_write(file, bytes, (size_t)done, (size_t)offset,
                   end_at > file->size ? end_at : file->size);
    end();
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    return is_watched_fd(fd) ? do_write(fd, bytes, n, offset) : REAL(pwrite)(fd, bytes, n, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset)
{
    return is_watched_fd(fd) ? do_write(fd, bytes, n, offset)
                             : REAL(pwrite64)(fd, bytes, n, offset);
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    off_t at;
    ssize_t done;

    if (!is_watched_fd(fd))
        return REAL(write)(fd, bytes, n);
    at = lseek(fd, 0, SEEK_CUR);
    done = do_write(fd, bytes, n, at);
    if (done > 0)
        (void)lseek(fd, at + done, SEEK_SET);
    return done;
}

static int do_sync(int fd)
{
    struct stat st;
    struct file *file;

    begin();
    file = file_of(fd);
    if (file)
        note_sync(file);
    else if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        note_directory_sync();
    end();
    return 0;
}

/* What is not watched nobody waits for either. */
int fsync(int fd)
{
    return is_watched_fd(fd) ? do_sync(fd) : 0;
}

int fdatasync(int fd)
{
    return is_watched_fd(fd) ? do_sync(fd) : 0;
}

static int do_truncate(int fd, off64_t size)
{
    struct file *file;
    size_t to = (size_t)size;
    int r;

    begin();
    file = file_of(fd);
    r = REAL(ftruncate64)(fd, size);
    if (r == 0 && file && to != file->size)
        note_write(file, NULL, to < file->size ? file->size - to : 0, to, to);
    end();
    return r;
}

int ftruncate(int fd, off_t size)
{
    return is_watched_fd(fd) ? do_truncate(fd, size) : REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return is_watched_fd(fd) ? do_truncate(fd, size) : REAL(ftruncate64)(fd, size);
}

int unlink(const char *path)
{
    int r;

    if (!is_watched(path))
        return REAL(unlink)(path);
    begin();
    r = REAL(unlink)(path);
    end();
    return r;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags)
{
    int r;

    if (!is_watched(to))
        return REAL(renameat2)(from_dir, from, to_dir, to, flags);
    begin();
    r = REAL(renameat2)(from_dir, from, to_dir, to, flags);
    end();
    return r;
}
