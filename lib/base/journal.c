/* Records, each bound to the one before it. */
#include "lib/base/journal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/strbuf.h"

#define FILE_MODE 0600
#define BYTES_MAX (64UL * 1024 * 1024)
#define DIGEST_LEN (SHA256_HEX_SIZE - 1)

void journal_init(struct journal *journal, char *path)
{
    *journal = (struct journal){.path = path, .fd = -1};
}

void journal_deinit(struct journal *journal)
{
    cleanup_close(&journal->fd);
    free(journal->path);
    *journal = (struct journal){.fd = -1};
}

void journal_begin(struct journal *journal, const char *digest)
{
    memcpy(journal->chain, digest, SHA256_HEX_SIZE);
    journal->bytes = 0;
}

static void make_digest(const char *before, const char *text, size_t n,
                        char ret_digest[static SHA256_HEX_SIZE])
{
    AUTO_STRBUF struct strbuf bytes = {0};

    strbuf_add(&bytes, before, DIGEST_LEN);
    strbuf_add(&bytes, text, n);
    sha256_hex(bytes.data, bytes.len, ret_digest);
}

/* ---- reading ------------------------------------------------------------------------------- */

enum take_outcome {
    RECORD_NOT_UNDERSTOOD = 1, /* it belongs to this save; the text says what is wrong with it */
};

/* One line without its end; negative: it does not fit. */
static int take(struct journal *journal, const char *line, size_t n, journal_read_fn read,
                void *data)
{
    char digest[SHA256_HEX_SIZE];
    AUTO_JSON json_t *record = NULL;
    int r;

    if (n <= DIGEST_LEN || line[DIGEST_LEN] != ' ')
        return err_fail(EINVAL, "it is no record");
    make_digest(journal->chain, line + DIGEST_LEN + 1, n - DIGEST_LEN - 1, digest);
    if (memcmp(digest, line, DIGEST_LEN) != 0)
        return err_fail(EINVAL, "it does not follow the one before");
    r = json_parse(line + DIGEST_LEN + 1, n - DIGEST_LEN - 1, &record);
    if (r == 0)
        r = read(record, data);
    if (r < 0)
        return RECORD_NOT_UNDERSTOOD;
    memcpy(journal->chain, digest, sizeof digest);
    journal->bytes += n + 1;
    return 0;
}

int journal_replay(struct journal *journal, journal_read_fn read, void *data, size_t *ret_lost)
{
    AUTO_FREE char *bytes = NULL;
    const char *at, *end, *line_end;
    size_t n;
    int r = file_read(journal->path, BYTES_MAX, &bytes, &n);

    *ret_lost = 0;
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    at = bytes;
    end = bytes + n;
    while ((line_end = memchr(at, '\n', (size_t)(end - at)))) {
        r = take(journal, at, (size_t)(line_end - at), read, data);
        if (r != 0)
            break;
        at = line_end + 1;
    }
    line_end = memrchr(at, '\n', (size_t)(end - at));
    if (line_end && (journal->bytes > 0 || r == RECORD_NOT_UNDERSTOOD))
        *ret_lost = (size_t)(line_end + 1 - at);
    return 0;
}

/* ---- writing ------------------------------------------------------------------------------- */

static int open_file(struct journal *journal)
{
    if (journal->fd >= 0)
        return 0;
    journal->fd = open(journal->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (journal->fd < 0)
        return err_sys(errno, "open %s", journal->path);
    return file_sync_parent(journal->path);
}

/* What does not fit goes first: behind it nothing would be read. */
static int cut(struct journal *journal)
{
    off_t size = lseek(journal->fd, 0, SEEK_END);

    if (size < 0)
        return err_sys(errno, "seek in %s", journal->path);
    if ((size_t)size != journal->bytes && ftruncate(journal->fd, (off_t)journal->bytes) < 0)
        return err_sys(errno, "cut %s", journal->path);
    return 0;
}

static int write_at_end(struct journal *journal, const struct strbuf *line)
{
    size_t done = 0;

    while (done < line->len) {
        ssize_t n = pwrite(journal->fd, line->data + done, line->len - done,
                           (off_t)(journal->bytes + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(errno, "write to %s", journal->path);
        done += (size_t)n;
    }
    return fdatasync(journal->fd) < 0 ? err_sys(errno, "sync %s", journal->path) : 0;
}

int journal_append(struct journal *journal, const char *text)
{
    AUTO_STRBUF struct strbuf line = {0};
    char digest[SHA256_HEX_SIZE];
    int r;

    make_digest(journal->chain, text, strlen(text), digest);
    strbuf_addf(&line, "%s ", digest);
    strbuf_adds(&line, text);
    strbuf_adds(&line, "\n");
    r = open_file(journal);
    if (r == 0)
        r = cut(journal);
    if (r == 0)
        r = write_at_end(journal, &line);
    if (r < 0)
        return r;
    memcpy(journal->chain, digest, sizeof digest);
    journal->bytes += line.len;
    return 0;
}

int journal_remove(struct journal *journal)
{
    cleanup_close(&journal->fd);
    journal->fd = -1;
    journal->bytes = 0;
    if (unlink(journal->path) < 0 && errno != ENOENT)
        return err_sys(errno, "remove %s", journal->path);
    return 0;
}
