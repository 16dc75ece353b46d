/* Why the system keeps a path from us, and the command that lets us. */
#include <fcntl.h>
#include <libgen.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static char *name_user(uid_t uid)
{
    char room[4096];
    struct passwd entry, *found = NULL;

    if (getpwuid_r(uid, &entry, room, sizeof room, &found) == 0 && found)
        return mem_strdup(entry.pw_name);
    return mem_printf("%u", uid);
}

static bool may_use(const char *path, const struct stat *st)
{
    const int need = S_ISDIR(st->st_mode) ? W_OK | X_OK : R_OK | W_OK;

    return faccessat(AT_FDCWD, path, need, AT_EACCESS) == 0;
}

/* What is in the way: the path, or the lowest directory above it that we may not use. NULL: none
 * is, by owner and mode. Caller frees. */
static char *find_obstacle(const char *path, struct stat *ret_st)
{
    AUTO_FREE char *at = mem_strdup(path);

    for (;;) {
        AUTO_FREE char *copy = mem_strdup(at);
        const char *parent = dirname(copy);

        if (stat(at, ret_st) == 0 && !may_use(at, ret_st))
            return TAKE_PTR(at);
        if (strcmp(parent, at) == 0)
            return NULL;
        free(at);
        at = mem_strdup(parent);
    }
}

/* Whether a file lies in a directory of ours: then what lies beside it was copied with it. Caller
 * frees. */
static char *find_own_directory(const char *path)
{
    AUTO_FREE char *copy = mem_strdup(path);
    const char *parent = dirname(copy);
    struct stat st;

    return stat(parent, &st) == 0 && st.st_uid == geteuid() ? mem_strdup(parent) : NULL;
}

static char *advise(const char *obstacle, const struct stat *st)
{
    AUTO_FREE char *owner = name_user(st->st_uid), *self = name_user(geteuid());
    const bool is_dir = S_ISDIR(st->st_mode);
    AUTO_FREE char *own = is_dir ? NULL : find_own_directory(obstacle);

    if (st->st_uid == geteuid())
        return mem_printf("%s has mode %04o: 'chmod %s %s'", obstacle, st->st_mode & 07777U,
                          is_dir ? "u+rwx" : "u+rw", obstacle);
    return mem_printf("%s belongs to %s, and this runs as %s: 'chown %s%s %s' as root%s", obstacle,
                      owner, self, own ? "-R " : "", self, own ? own : obstacle,
                      is_dir ? ", if that directory is for this alone, or name another path" : "");
}

static int fail_denied(int errnum, const char *doing, const char *path)
{
    struct stat st;
    AUTO_FREE char *obstacle = find_obstacle(path, &st);
    AUTO_FREE char *advice = obstacle ? advise(obstacle, &st) : NULL;

    return err_fail(errnum, "%s %s: %s; %s", doing, path, strerrordesc_np(errnum),
                    advice ? advice
                           : "owners and modes allow it, so look for what else confines this "
                             "program (AppArmor, SELinux, its unit)");
}

int file_fail(int errnum, const char *doing, const char *path)
{
    switch (errnum) {
    case EACCES:
        return fail_denied(errnum, doing, path);
    case EROFS:
        return err_fail(errnum,
                        "%s %s: the file system there is read-only; mount it writable, name "
                        "another path, or let the unit write there (ReadWritePaths=)",
                        doing, path);
    default:
        return err_sys(errnum, "%s %s", doing, path);
    }
}
