/* The saved state of a daemon, and the save before it. */
#include "lib/base/state_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"

#define DIR_MODE 0700
#define FILE_MODE 0600
/* 10,000 peers need some 3 MiB. */
#define BYTES_MAX (64UL * 1024 * 1024)

/* HEAD 64 hex digits MIDDLE content TAIL */
#define HEAD "{\"sha256\":\""
#define MIDDLE "\",\"content\":"
#define TAIL "}\n"
#define DIGEST_AT (sizeof HEAD - 1)
#define MIDDLE_AT (DIGEST_AT + SHA256_HEX_SIZE - 1)
#define CONTENT_AT (MIDDLE_AT + sizeof MIDDLE - 1)
#define TAIL_SIZE (sizeof TAIL - 1)

int state_file_open(const char *dir, const char *name, struct state_file *ret_file)
{
    AUTO_FREE char *lock = mem_printf("%s/lock", dir);
    int fd = -1, r = file_make_dirs(dir, DIR_MODE);

    if (r == 0)
        r = file_lock(lock, &fd);
    if (r < 0)
        return r;
    *ret_file = (struct state_file){
        .path = mem_printf("%s/%s.json", dir, name),
        .previous = mem_printf("%s/%s.json.1", dir, name),
        .damaged = mem_printf("%s/%s.json.damaged", dir, name),
        .lock_fd = fd,
    };
    return 0;
}

void state_file_close(struct state_file *file)
{
    cleanup_close(&file->lock_fd);
    free(file->path);
    free(file->previous);
    free(file->damaged);
    *file = (struct state_file){.lock_fd = -1};
}

/* ---- loading ------------------------------------------------------------------------------- */

/* Whether the bytes are a whole file: its frame, and its checksum. */
static int check_frame(const char *bytes, size_t n)
{
    char digest[SHA256_HEX_SIZE];

    if (n < CONTENT_AT + TAIL_SIZE || memcmp(bytes, HEAD, DIGEST_AT) != 0 ||
        memcmp(bytes + MIDDLE_AT, MIDDLE, sizeof MIDDLE - 1) != 0 ||
        memcmp(bytes + n - TAIL_SIZE, TAIL, TAIL_SIZE) != 0)
        return err_fail(EINVAL, "it is not a whole state file");
    sha256_hex(bytes + CONTENT_AT, n - CONTENT_AT - TAIL_SIZE, digest);
    if (memcmp(bytes + DIGEST_AT, digest, SHA256_HEX_SIZE - 1) != 0)
        return err_fail(EINVAL, "the checksum does not fit the content");
    return 0;
}

static int parse(const char *bytes, size_t n, state_file_read_fn read, void *data)
{
    AUTO_JSON json_t *content = NULL;
    int r = check_frame(bytes, n);

    if (r == 0)
        r = json_parse(bytes + CONTENT_AT, n - CONTENT_AT - TAIL_SIZE, &content);
    return r < 0 ? r : read(content, data);
}

/* -ENOENT: no such file; -EINVAL: damaged; others: could not be read. */
static int load(const char *path, state_file_read_fn read, void *data)
{
    AUTO_FREE char *bytes = NULL;
    size_t n;
    int r = file_read(path, BYTES_MAX, &bytes, &n);

    if (r == -EFBIG)
        return -EINVAL;
    if (r < 0)
        return r;
    return parse(bytes, n, read, data) < 0 ? err_wrap(-EINVAL, "%s", path) : 0;
}

static int put_aside(const struct state_file *file)
{
    if (rename(file->path, file->damaged) < 0)
        return err_sys(errno, "rename %s to %s", file->path, file->damaged);
    return 0;
}

int state_file_load(const struct state_file *file, state_file_read_fn read, void *data)
{
    int last = load(file->path, read, data), previous;

    if (last == 0 || (last != -ENOENT && last != -EINVAL))
        return last;
    if (last == -EINVAL)
        log_warn("the state file is damaged, trying the save before it", LOG_ERR());
    previous = load(file->previous, read, data);
    if (previous == -ENOENT && last == -ENOENT)
        return STATE_FILE_NONE;
    if (previous < 0 && previous != -ENOENT && previous != -EINVAL)
        return previous;
    if (previous < 0) {
        if (last == -EINVAL)
            (void)load(file->path, read, data); /* for its text */
        return STATE_FILE_DAMAGED;
    }
    if (last == -EINVAL && put_aside(file) < 0)
        return -EIO;
    return STATE_FILE_PREVIOUS;
}

/* ---- saving -------------------------------------------------------------------------------- */

/* The present file becomes the previous one while it stays in its place, without a moment in which
 * neither is there: link, then rename. */
static int keep_previous(const struct state_file *file)
{
    AUTO_FREE char *temp = mem_printf("%s.tmp", file->previous);

    (void)unlink(temp); /* of an earlier life that ended in the middle */
    if (link(file->path, temp) < 0)
        return errno == ENOENT ? 0 : err_sys(errno, "keep %s", file->path);
    if (rename(temp, file->previous) < 0)
        return err_sys(errno, "rename %s to %s", temp, file->previous);
    /* Both names of one file: rename() does nothing then. */
    (void)unlink(temp);
    return 0;
}

static int write_framed(const char *path, const char *content)
{
    char digest[SHA256_HEX_SIZE];
    AUTO_FREE char *text = NULL;

    sha256_hex(content, strlen(content), digest);
    text = mem_printf("%s%s%s%s%s", HEAD, digest, MIDDLE, content, TAIL);
    return file_write_atomic(path, text, strlen(text), FILE_MODE);
}

int state_file_save(const struct state_file *file, const char *content)
{
    int r = keep_previous(file);

    if (r == 0)
        r = write_framed(file->path, content);
    return r < 0 ? err_wrap(r, "save state") : 0;
}

int state_file_erase(const struct state_file *file)
{
    if (unlink(file->previous) < 0 && errno != ENOENT)
        return err_sys(errno, "remove %s", file->previous);
    if (unlink(file->path) < 0 && errno != ENOENT)
        return err_sys(errno, "remove %s", file->path);
    return 0;
}
