/* Making the SQLite file. It is made in memory, written under a name that nobody else uses, and
 * then gets its own. */
#include "control/store/sqlite_new.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "control/store/schema.h"
#include "control/store/sqlite_copy.h"
#include "control/store/sqlite_file.h"
#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

/* An operator's copies have all kinds of names, ".backup" among them; but not this. */
#define TEMP_INFIX ".founding-"
#define TEMP_RANDOM "XXXXXX"

/* ---- its content --------------------------------------------------------------------------- */

static int step_once(sqlite3 *db, const char *path, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);

    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE ? 0 : sqlite_file_fail(db, path, "make");
}

static int write_record(sqlite3 *db, const char *path, const struct store_op *op)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db,
                           "INSERT INTO records(kind, id, created_revision, revision, key, body) "
                           "VALUES(?1, ?2, 1, 1, ?3, ?4)",
                           -1, &statement, NULL) != SQLITE_OK)
        return sqlite_file_fail(db, path, "make");
    (void)sqlite3_bind_text(statement, 1, op->kind, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 2, op->id, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 3, op->key, -1, SQLITE_STATIC); /* NULL binds NULL */
    (void)sqlite3_bind_text(statement, 4, op->body, -1, SQLITE_STATIC);
    return step_once(db, path, statement);
}

static int log_record(sqlite3 *db, const char *path, const struct store_op *op, size_t number,
                      int64_t at)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db,
                           "INSERT INTO changes(row, revision, kind, id, verb, at) "
                           "VALUES(?1, 1, ?2, ?3, 'create', ?4)",
                           -1, &statement, NULL) != SQLITE_OK)
        return sqlite_file_fail(db, path, "make");
    (void)sqlite3_bind_int64(statement, 1, SQLITE_FILE_CHANGE_ROWS + (int64_t)number);
    (void)sqlite3_bind_text(statement, 2, op->kind, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 3, op->id, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 4, at);
    return step_once(db, path, statement);
}

static int fill(sqlite3 *db, const char *path, const struct store_change *first)
{
    int r = sqlite_file_migrate(db, path, schema_version());

    for (size_t i = 0; first && i < first->op_count && r == 0; i++) {
        r = write_record(db, path, &first->ops[i]);
        if (r == 0)
            r = log_record(db, path, &first->ops[i], i, first->at_unix_s);
    }
    return r;
}

static int make_bytes(const char *path, const struct store_change *first, char **ret_bytes,
                      size_t *ret_n)
{
    sqlite3 *db = NULL;
    int r = sqlite3_open(":memory:", &db) == SQLITE_OK ? fill(db, path, first)
                                                       : sqlite_file_fail(db, path, "make");

    if (r == 0)
        r = sqlite_copy(db, path, SQLITE_COPY_LOGGED, ret_bytes, ret_n);
    (void)sqlite3_close(db);
    return r;
}

/* ---- its name ------------------------------------------------------------------------------ */

/* Never in place of another file. Some file systems can do this with links only. */
static int give_name(const char *temp, const char *path)
{
    if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if ((errno == EINVAL || errno == ENOSYS) && link(temp, path) == 0)
        return 0;
    if (errno == EEXIST || access(path, F_OK) == 0) /* and its maker may have swept ours */
        return 0;
    return err_sys(errno, "name %s %s", temp, path);
}

static int write_synced(int fd, const char *temp, const char *bytes, size_t n)
{
    int r = file_write_all(fd, bytes, n);

    if (r < 0)
        return err_sys(-r, "write %s", temp);
    return fsync(fd) < 0 ? err_sys(errno, "sync %s", temp) : 0;
}

static int place(const char *path, const char *bytes, size_t n)
{
    AUTO_FREE char *temp = mem_printf("%s" TEMP_INFIX TEMP_RANDOM, path);
    AUTO_CLOSE int fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
    int r;

    if (fd < 0 && errno == ENOENT)
        return err_fail(ENOENT, "create %s: its directory is not there; make it first", path);
    if (fd < 0)
        return file_fail(errno, "create", path);
    r = write_synced(fd, temp, bytes, n);
    if (r == 0)
        r = give_name(temp, path);
    (void)unlink(temp); /* what is left of it when it was not renamed */
    return r != 0 ? r : file_sync_parent(path);
}

int sqlite_new_make(const char *path, const struct store_change *first)
{
    AUTO_FREE char *bytes = NULL;
    size_t n = 0;
    int r = make_bytes(path, first, &bytes, &n);

    return r != 0 ? r : place(path, bytes, n);
}

/* ---- what is left over --------------------------------------------------------------------- */

static bool is_leftover(const char *name, const char *of)
{
    size_t n = strlen(of);

    if (strncmp(name, of, n) != 0 || strncmp(name + n, TEMP_INFIX, strlen(TEMP_INFIX)) != 0)
        return false;
    name += n + strlen(TEMP_INFIX);
    if (strlen(name) != strlen(TEMP_RANDOM))
        return false;
    while (isalnum((unsigned char)*name))
        name++;
    return *name == '\0';
}

static void remove_leftover(int dir_fd, const char *name)
{
    if (unlinkat(dir_fd, name, 0) == 0)
        log_info("removed what a first start has left", LOG_S("file", name));
}

void sqlite_new_sweep(const char *path)
{
    AUTO_FREE char *copy = mem_strdup(path), *other = mem_strdup(path);
    const char *name = basename(other);
    const struct dirent *entry;
    DIR *dir = opendir(dirname(copy));

    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        if (is_leftover(entry->d_name, name))
            remove_leftover(dirfd(dir), entry->d_name);
    }
    (void)closedir(dir);
}
