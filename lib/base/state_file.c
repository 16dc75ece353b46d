/* The saved state of a daemon, the save before it, and the changes since. */
#include "lib/base/state_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define DIR_MODE 0700
#define FILE_MODE 0600
/* 10,000 peers need some 3 MiB. */
#define BYTES_MAX (64UL * 1024 * 1024)
/* A journal may become as long as the save it follows, so that saving stays cheap on the whole; and
 * this long in any case. */
#define JOURNAL_MIN (256UL * 1024)

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
    journal_init(&ret_file->journal, mem_printf("%s/%s.journal", dir, name));
    return 0;
}

void state_file_close(struct state_file *file)
{
    cleanup_close(&file->lock_fd);
    if (file->path)
        journal_deinit(&file->journal);
    free(file->path);
    free(file->previous);
    free(file->damaged);
    *file = (struct state_file){.lock_fd = -1};
}

/* ---- where it is --------------------------------------------------------------------------- */

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

/* Version 8 of RFC 9562: its digits mean what we want. */
static void format_uuid(const struct sha256 *digest, char ret_id[static UUID_TEXT_SIZE])
{
    char hex[SHA256_HEX_SIZE];

    sha256_format(digest, hex);
    (void)snprintf(ret_id, UUID_TEXT_SIZE, "%.8s-%.4s-8%.3s-8%.3s-%.12s", hex, hex + 8, hex + 12,
                   hex + 15, hex + 18);
}

void state_file_home(const struct state_file *file, char ret_id[static UUID_TEXT_SIZE])
{
    AUTO_FREE char *boot_id = NULL;
    AUTO_FREE char *text = NULL;
    struct sha256 digest;
    struct stat lock;
    size_t n;

    ret_id[0] = '\0';
    if (file_read(BOOT_ID, UUID_TEXT_SIZE, &boot_id, &n) < 0 || fstat(file->lock_fd, &lock) < 0)
        return;
    text = mem_printf("%s %llu %llu", boot_id, (unsigned long long)lock.st_dev,
                      (unsigned long long)lock.st_ino);
    digest = sha256_of(text, strlen(text));
    format_uuid(&digest, ret_id);
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

static int parse(const char *bytes, size_t n, const struct state_file_reader *reader)
{
    AUTO_JSON json_t *content = NULL;
    int r = check_frame(bytes, n);

    if (r == 0)
        r = json_parse(bytes + CONTENT_AT, n - CONTENT_AT - TAIL_SIZE, &content);
    return r < 0 ? r : reader->save(content, reader->data);
}

static void follow(struct state_file *file, const char *digest, size_t n)
{
    journal_begin(&file->journal, digest);
    file->save_bytes = n;
}

/* -ENOENT: no such file; -EINVAL: damaged; others: could not be read. */
static int load(struct state_file *file, const char *path, const struct state_file_reader *reader)
{
    AUTO_SECRET char *bytes = NULL; /* an agent's holds its node's token */
    char digest[SHA256_HEX_SIZE] = "";
    size_t n;
    int r = file_read(path, BYTES_MAX, &bytes, &n);

    if (r == -EFBIG)
        return -EINVAL;
    if (r < 0)
        return r;
    if (parse(bytes, n, reader) < 0)
        return err_wrap(-EINVAL, "%s", path);
    memcpy(digest, bytes + DIGEST_AT, SHA256_HEX_SIZE - 1);
    follow(file, digest, n);
    return 0;
}

static int load_changes(struct state_file *file, const struct state_file_reader *reader)
{
    size_t lost;
    int r;

    if (!reader->change)
        return 0;
    r = journal_replay(&file->journal, reader->change, reader->data, &lost);
    if (r == 0 && lost > 0)
        log_warn("the journal of the state file is damaged, what stands behind that is lost",
                 LOG_S("journal", file->journal.path), LOG_U("lost_bytes", lost), LOG_ERR());
    return r;
}

static int put_aside(const struct state_file *file)
{
    if (rename(file->path, file->damaged) < 0)
        return err_sys(errno, "rename %s to %s", file->path, file->damaged);
    return 0;
}

static int load_a_save(struct state_file *file, const struct state_file_reader *reader)
{
    int last = load(file, file->path, reader), previous;

    if (last == 0 || (last != -ENOENT && last != -EINVAL))
        return last;
    if (last == -EINVAL)
        log_warn("the state file is damaged, trying the save before it", LOG_ERR());
    previous = load(file, file->previous, reader);
    if (previous == -ENOENT && last == -ENOENT)
        return STATE_FILE_NONE;
    if (previous < 0 && previous != -ENOENT && previous != -EINVAL)
        return previous;
    if (previous < 0) {
        if (last == -EINVAL)
            (void)load(file, file->path, reader); /* for its text */
        return STATE_FILE_DAMAGED;
    }
    if (last == -EINVAL && put_aside(file) < 0)
        return -EIO;
    return STATE_FILE_PREVIOUS;
}

/* The journal may still be that of the save before: then nothing but the last save is lost. */
int state_file_load(struct state_file *file, const struct state_file_reader *reader)
{
    int r, outcome;

    file->save_bytes = 0;
    outcome = load_a_save(file, reader);
    if (file->save_bytes == 0)
        return outcome;
    r = load_changes(file, reader);
    return r < 0 ? r : outcome;
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

/* The content with its number, see the header. */
static char *number(const char *content)
{
    char save[17];

    random_hex(save, 8);
    return mem_printf("{\"save\":\"%s\"%s%s", save, content[1] == '}' ? "" : ",", content + 1);
}

static int write_framed(struct state_file *file, const char *content)
{
    char digest[SHA256_HEX_SIZE];
    AUTO_SECRET char *text = NULL;
    size_t n = strlen(content);
    int r;

    sha256_hex(content, n, digest);
    text = mem_printf("%s%s%s%s%s", HEAD, digest, MIDDLE, content, TAIL);
    r = file_write_atomic(file->path, text, strlen(text), FILE_MODE);
    if (r == 0)
        follow(file, digest, n);
    return r;
}

/* Once it has failed nobody knows which of the two saves is there. */
int state_file_save(struct state_file *file, const char *content)
{
    AUTO_SECRET char *numbered = number(content);
    int r;

    file->save_bytes = 0;
    r = keep_previous(file);
    if (r == 0)
        r = write_framed(file, numbered);
    return r < 0 ? err_wrap(r, "save state") : 0;
}

int state_file_append(struct state_file *file, const char *record)
{
    size_t max = file->save_bytes > JOURNAL_MIN ? file->save_bytes : JOURNAL_MIN;
    int r;

    if (file->save_bytes == 0 || file->journal.bytes + strlen(record) > max)
        return STATE_FILE_SAVE_FIRST;
    r = journal_append(&file->journal, record);
    if (r < 0)
        file->save_bytes = 0;
    return r < 0 ? err_wrap(r, "save a change of the state") : 0;
}

bool state_file_has_changes(const struct state_file *file)
{
    return file->save_bytes > 0 && file->journal.bytes > 0;
}

int state_file_erase(struct state_file *file)
{
    const char *const paths[] = {file->damaged, file->previous, file->path};
    int r = 0, r_journal, r_sync;

    file->save_bytes = 0;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (unlink(paths[i]) < 0 && errno != ENOENT)
            r = err_sys(errno, "remove %s", paths[i]);
    r_journal = journal_remove(&file->journal);
    r_sync = file_sync_parent(file->path);
    return r < 0 ? r : r_journal < 0 ? r_journal : r_sync;
}
