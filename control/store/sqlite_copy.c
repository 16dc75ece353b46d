/* A copy of an SQLite database that is in use. */
#include "control/store/sqlite_copy.h"

#include <fcntl.h>
#include <string.h>

#include "control/store/sqlite.h"
#include "control/store/sqlite_check.h"
#include "control/store/sqlite_file.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* Of the header: whether writers and readers use a write-ahead log. What is in memory cannot. */
#define WRITE_VERSION_AT 18
#define READ_VERSION_AT 19
#define HEADER_SIZE 100

/* A second handle, on the copy: what it says is said of the bytes and not of what the first one has
 * in its cache. A copy has no log, and needs none. */
static int check(const char *path, unsigned char *bytes, sqlite3_int64 n)
{
    sqlite3 *db = NULL;
    int r;

    if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
            SQLITE_OK ||
        sqlite3_deserialize(db, "main", bytes, n, n, 0) != SQLITE_OK ||
        sqlite3_exec(db, "UPDATE wal SET need = 0", NULL, NULL, NULL) != SQLITE_OK)
        r = sqlite_file_fail(db, path, "check the copy of");
    else
        r = sqlite_check_whole(db, path);
    (void)sqlite3_close(db);
    return r;
}

/* The first opening makes it a file with a log again. */
enum store_sqlite_file store_sqlite_look(const char *path)
{
    unsigned char header[HEADER_SIZE];
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? STORE_SQLITE_NONE : STORE_SQLITE_OTHER;
    return read(fd, header, sizeof header) == (ssize_t)sizeof header &&
                   header[WRITE_VERSION_AT] == SQLITE_COPY_PLAIN
               ? STORE_SQLITE_COPY
               : STORE_SQLITE_OTHER;
}

static void set_kind(unsigned char *bytes, enum sqlite_copy_kind kind)
{
    bytes[WRITE_VERSION_AT] = (unsigned char)kind;
    bytes[READ_VERSION_AT] = (unsigned char)kind;
}

int sqlite_copy(sqlite3 *db, const char *path, enum sqlite_copy_kind kind, char **ret_bytes,
                size_t *ret_n)
{
    sqlite3_int64 n = 0;
    unsigned char *bytes = sqlite3_serialize(db, "main", &n, 0);
    int r = 0;

    if (!bytes || n < HEADER_SIZE) {
        r = err_fail(EIO, "copy %s: it cannot be read", path);
    } else {
        set_kind(bytes, SQLITE_COPY_PLAIN);
        r = check(path, bytes, n);
        set_kind(bytes, kind);
    }
    if (r == 0) {
        *ret_bytes = memcpy(mem_alloc((size_t)n), bytes, (size_t)n);
        *ret_n = (size_t)n;
    }
    sqlite3_free(bytes);
    return r;
}
