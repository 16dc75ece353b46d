/* Reading a write-ahead log without SQLite, which takes what it cannot read for the end. */
#include "control/store/wal_look.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

#define HEADER_SIZE 32
#define FRAME_HEADER_SIZE 24
#define MAGIC                                                                          \
    0x377f0682U /* with checksums of little-endian words; one more: of big-endian ones \
                 */
#define SALTS_SIZE 8
#define PAGE_SIZE_MIN 512
#define PAGE_SIZE_MAX 65536

/* Where things are, in the header and in a frame's. */
#define HEADER_PAGE_SIZE_AT 8
#define HEADER_SALTS_AT 16
#define HEADER_SUM_AT 24
#define FRAME_COMMIT_AT 4
#define FRAME_SALTS_AT 8
#define FRAME_SUM_AT 16

struct sum {
    uint32_t one, two;
};

struct walk {
    struct wal_facts facts;
    uint8_t header[HEADER_SIZE];
    size_t page_size;
    struct sum sum;     /* of all frames so far that are readable */
    uint32_t readable;  /* so many */
    uint32_t only_page; /* of these */
    bool is_cut;        /* a frame could not be read */
    uint32_t commits;   /* marks since */
};

static uint32_t read_be(const uint8_t *at)
{
    uint32_t word;

    memcpy(&word, at, sizeof word);
    return be32toh(word);
}

static uint32_t read_word(const struct walk *w, const uint8_t *at)
{
    uint32_t word;

    memcpy(&word, at, sizeof word);
    return read_be(w->header) == MAGIC ? le32toh(word) : be32toh(word);
}

static void sum_add(const struct walk *w, struct sum *sum, const uint8_t *bytes, size_t n)
{
    for (size_t at = 0; at < n; at += 8) {
        sum->one += read_word(w, bytes + at) + sum->two;
        sum->two += read_word(w, bytes + at + 4) + sum->one;
    }
}

static bool sum_is(const struct sum *sum, const uint8_t *stored)
{
    return sum->one == read_be(stored) && sum->two == read_be(stored + 4);
}

static bool take_header(struct walk *w)
{
    uint32_t magic = read_be(w->header);
    uint32_t size = read_be(w->header + HEADER_PAGE_SIZE_AT);

    if (magic >> 1 != MAGIC >> 1 || size < PAGE_SIZE_MIN || size > PAGE_SIZE_MAX || size % 8 != 0)
        return false;
    sum_add(w, &w->sum, w->header, HEADER_SUM_AT);
    if (!sum_is(&w->sum, w->header + HEADER_SUM_AT))
        return false;
    w->page_size = size;
    w->facts.salt = read_be(w->header + HEADER_SALTS_AT);
    return true;
}

static bool is_readable(struct walk *w, const uint8_t *frame)
{
    sum_add(w, &w->sum, frame, FRAME_SALTS_AT);
    sum_add(w, &w->sum, frame + FRAME_HEADER_SIZE, w->page_size);
    return sum_is(&w->sum, frame + FRAME_SUM_AT);
}

static void take_frame(struct walk *w, const uint8_t *frame)
{
    bool is_ours = memcmp(frame + FRAME_SALTS_AT, w->header + HEADER_SALTS_AT, SALTS_SIZE) == 0;
    bool is_commit = read_be(frame + FRAME_COMMIT_AT) != 0;
    uint32_t page = read_be(frame);

    w->is_cut = w->is_cut || !is_ours || !is_readable(w, frame);
    if (!w->is_cut) {
        w->only_page = w->readable++ == 0 || w->only_page == page ? page : 0;
        if (is_commit) {
            w->facts.frames = w->readable;
            w->facts.only_page = w->only_page;
        }
    } else if (is_ours) {
        w->commits += is_commit;
    }
}

static int walk_frames(struct walk *w, int fd)
{
    size_t n = FRAME_HEADER_SIZE + w->page_size;
    AUTO_FREE uint8_t *frame = mem_alloc(n);
    off_t at = HEADER_SIZE;
    ssize_t got;

    while ((got = pread(fd, frame, n, at)) == (ssize_t)n) {
        take_frame(w, frame);
        at += (off_t)n;
    }
    w->facts.is_broken = w->commits > (w->facts.frames > 0 ? 1 : 2);
    return got < 0 ? err_sys(errno, "read") : 0;
}

static int look_at_header(struct walk *w, int fd)
{
    struct stat st;
    ssize_t got;

    if (fstat(fd, &st) < 0)
        return err_sys(errno, "stat");
    w->facts.bytes = (uint64_t)st.st_size;
    got = pread(fd, w->header, sizeof w->header, 0);
    if (got < 0)
        return err_sys(errno, "read");
    w->facts.has_header = got == sizeof w->header && take_header(w);
    return 0;
}

int wal_read_salt(const char *wal_path, uint32_t *ret_salt)
{
    AUTO_CLOSE int fd = open(wal_path, O_RDONLY | O_CLOEXEC);
    struct walk w = {0};
    int r = fd < 0 ? err_sys(errno, "open") : look_at_header(&w, fd);

    if (r == 0 && !w.facts.has_header)
        r = err_fail(EIO, "its beginning is not whole");
    if (r < 0)
        return err_wrap(r, "look into %s", wal_path);
    *ret_salt = w.facts.salt;
    return 0;
}

int wal_look(const char *wal_path, struct wal_facts *ret_facts)
{
    AUTO_CLOSE int fd = open(wal_path, O_RDONLY | O_CLOEXEC);
    struct walk w = {0};
    int r = 0;

    if (fd >= 0)
        r = look_at_header(&w, fd);
    else if (errno != ENOENT)
        r = err_sys(errno, "open");
    if (r == 0 && w.facts.has_header)
        r = walk_frames(&w, fd);
    if (r < 0)
        return err_wrap(r, "look into %s", wal_path);
    *ret_facts = w.facts;
    return 0;
}
