/* Kernel settings. /proc/sys/net is always the calling thread's namespace's. */
#include "lib/net/sysctl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define VALUE_SIZE 256
#define PATH_SIZE 256

/* Names of devices are part of such paths, and names come from far away. */
static int make_path(const char *path, char ret_full[static PATH_SIZE])
{
    int n = snprintf(ret_full, PATH_SIZE, "/proc/sys/%s", path);

    if (n < 0 || n >= PATH_SIZE)
        return err_fail(EINVAL, "the name of a kernel setting is too long: %s", path);
    if (path[0] == '/' || strstr(path, ".."))
        return err_fail(EINVAL, "%s is no kernel setting", path);
    return 0;
}

static int read_value(int fd, const char *path, char ret_value[static VALUE_SIZE])
{
    ssize_t n = pread(fd, ret_value, VALUE_SIZE - 1, 0);

    if (n < 0)
        return err_sys(errno, "read %s", path);
    ret_value[n] = '\0';
    ret_value[strcspn(ret_value, "\n")] = '\0';
    return 0;
}

static int load(const char *path, char ret_full[static PATH_SIZE],
                char ret_value[static VALUE_SIZE])
{
    AUTO_CLOSE int fd = -1;
    int r = make_path(path, ret_full);

    if (r < 0)
        return r;
    fd = open(ret_full, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_sys(errno, "open %s", ret_full) : read_value(fd, ret_full, ret_value);
}

int sysctl_ensure(const char *path, const char *value)
{
    AUTO_CLOSE int fd = -1;
    char full[PATH_SIZE];
    char have[VALUE_SIZE];
    /* What is right already must not need the right to write. */
    int r = load(path, full, have);

    if (r < 0)
        return r;
    if (strcmp(have, value) == 0)
        return 0;
    fd = open(full, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(errno, "open %s for writing", full);
    if (write(fd, value, strlen(value)) < 0)
        return err_sys(errno, "write %s to %s", value, full);
    return 1;
}

bool sysctl_is(const char *path, const char *value)
{
    char full[PATH_SIZE], have[VALUE_SIZE];

    return load(path, full, have) == 0 && strcmp(have, value) == 0;
}

int sysctl_read_pair(const char *path, uint64_t *ret_first, uint64_t *ret_second)
{
    char full[PATH_SIZE], value[VALUE_SIZE];
    char *second;
    int r = load(path, full, value);

    if (r < 0)
        return r;
    second = value + strcspn(value, "\t ");
    if (*second)
        *second++ = '\0';
    r = parse_u64(value, UINT64_MAX, ret_first);
    if (r == 0)
        r = parse_u64(second, UINT64_MAX, ret_second);
    return r < 0 ? err_wrap(r, "read %s", full) : 0;
}
