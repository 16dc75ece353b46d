/* What other programs' files say: networkd, NetworkManager, sysctl.d; and the room on the disk. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/doctor/gather.h"
#include "cli/doctor/proc.h"
#include "lib/base/strbuf.h"

#define RUNTIME_STATE_DIR "/var/lib/quilt-runtime"
#define SYSCTL_FILES_MAX 256

/* ---- who manages our devices --------------------------------------------------------------- */

/* As systemd names them; what is pending or unmanaged is left alone. */
static bool is_networkds(const char *text)
{
    return proc_has_line(text, "ADMIN_STATE=configuring") ||
           proc_has_line(text, "ADMIN_STATE=configured") ||
           proc_has_line(text, "ADMIN_STATE=failed");
}

static bool is_network_managers(const char *text)
{
    return proc_has_line(text, "managed=true");
}

/* Those of our devices that the program says it manages, in a file named after the index. */
static char *find_managed(const struct facts *f, const char *dir, bool (*is_managed)(const char *))
{
    struct strbuf names = {0};

    for (size_t i = 0; i < f->link_count; i++) {
        const struct link_info *link = &f->links[i];
        AUTO_FREE char *path = mem_printf("%s/%d", dir, link->ifindex);
        AUTO_FREE char *text = facts_is_our_name(link->name) ? proc_text(path) : NULL;

        if (text && is_managed(text))
            strbuf_addf(&names, "%s%s", names.len > 0 ? ", " : "", link->name);
    }
    return names.len > 0 ? strbuf_take(&names) : NULL;
}

/* ---- who switches forwarding off at boot --------------------------------------------------- */

struct settings_file {
    char *path;
    const char *name; /* in path; they are read in the order of these, sysctl.d(5) */
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct settings_file *)a)->name, ((const struct settings_file *)b)->name);
}

static void list_files(const char *dir, struct settings_file *files, size_t *count)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;

    while (d && *count < SYSCTL_FILES_MAX && (entry = readdir(d))) {
        size_t n = strlen(entry->d_name);

        if (n < 5 || strcmp(entry->d_name + n - 5, ".conf") != 0)
            continue;
        files[*count].path = mem_printf("%s/%s", dir, entry->d_name);
        files[*count].name = strrchr(files[*count].path, '/') + 1;
        *count += 1;
    }
    if (d)
        (void)closedir(d);
}

static char *find_forwarding_file(void)
{
    static const char *const dirs[] = {"/usr/lib/sysctl.d", "/run/sysctl.d", "/etc/sysctl.d"};
    AUTO_FREE struct settings_file *files = mem_array(SYSCTL_FILES_MAX, sizeof *files);
    size_t count = 0;
    char *found = NULL;

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        list_files(dirs[i], files, &count);
    qsort(files, count, sizeof *files, compare_names);
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *text = proc_text(files[i].path);
        int64_t value = text ? proc_sysctl_line(text, "net.ipv4.ip_forward") : FACTS_UNKNOWN;

        if (value != FACTS_UNKNOWN) {
            free(found);
            found = value == 0 ? mem_strdup(files[i].path) : NULL;
        }
        free(files[i].path);
    }
    return found;
}

/* -------------------------------------------------------------------------------------------- */

static struct disk look_at_disk(const char *path)
{
    struct disk disk = {.path = path, .free_bytes = FACTS_UNKNOWN, .size_bytes = FACTS_UNKNOWN};
    struct statvfs room;

    if (statvfs(path, &room) == 0) {
        disk.free_bytes = (int64_t)(room.f_bavail * room.f_frsize);
        disk.size_bytes = (int64_t)(room.f_blocks * room.f_frsize);
    }
    return disk;
}

void gather_files(const struct cli *cli, struct facts *f)
{
    f->networkd_devices = find_managed(f, "/run/systemd/netif/links", is_networkds);
    f->network_manager_devices =
        find_managed(f, "/run/NetworkManager/devices", is_network_managers);
    f->has_nm_cloud_setup =
        access("/etc/systemd/system/timers.target.wants/nm-cloud-setup.timer", F_OK) == 0;
    f->forwarding_file = find_forwarding_file();
    f->disks[0] = look_at_disk(cli->state_dir);
    f->disks[1] = look_at_disk(RUNTIME_STATE_DIR);
}
