/* The BPF file system. */
#include "lib/bpf/bpffs.h"

#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"

static int ensure_mounted(void)
{
    struct statfs fs;

    if (statfs(BPFFS_ROOT, &fs) < 0)
        return err_sys(errno, "look at " BPFFS_ROOT " (does this kernel have BPF?)");
    if (fs.f_type == BPF_FS_MAGIC)
        return 0;
    if (mount("bpf", BPFFS_ROOT, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
        return err_sys(errno, "mount the BPF file system on " BPFFS_ROOT);
    return 0;
}

int bpffs_ensure_dir(const char *dir)
{
    int r = ensure_mounted();

    if (r == 0)
        r = file_make_dirs(dir, 0700);
    return r;
}

static int remove_entries(DIR *stream, const char *dir)
{
    const struct dirent *entry;

    while ((entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(stream), entry->d_name, 0) < 0 && errno != ENOENT)
            return err_sys(errno, "remove %s/%s", dir, entry->d_name);
    }
    return 0;
}

int bpffs_remove_dir(const char *dir)
{
    DIR *stream = opendir(dir);
    int r;

    if (!stream)
        return errno == ENOENT ? 0 : err_sys(errno, "open %s", dir);
    r = remove_entries(stream, dir);
    closedir(stream);
    if (r == 0 && rmdir(dir) < 0 && errno != ENOENT)
        r = err_sys(errno, "remove %s", dir);
    return r;
}
