/* Who has a UDP port: the kernel's table of sockets, and every process's open files. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor/gather.h"
#include "cli/doctor/proc.h"
#include "cli/socket_table.h"
#include "lib/base/parse.h"

#define INODE_FIELD 9
#define LINK_SIZE 64

/* "socket:[4711]" of the socket that has the port; NULL when there is none. */
static char *socket_of(uint16_t port)
{
    AUTO_FREE char *text = proc_text("/proc/net/udp");
    const char *line = text ? strchr(text, '\n') : NULL;
    char want[8];

    (void)snprintf(want, sizeof want, ":%04X", port);
    while (line && *++line) {
        size_t n, inode_n;
        const char *local = socket_table_field(line, 1, &n),
                   *inode = socket_table_field(line, INODE_FIELD, &inode_n);

        if (n > 5 && strncmp(local + n - 5, want, 5) == 0)
            return mem_printf("socket:[%.*s]", (int)inode_n, inode);
        line = strchr(line, '\n');
    }
    return NULL;
}

static bool has_open(const char *pid, const char *socket)
{
    AUTO_FREE char *dir = mem_printf("/proc/%s/fd", pid);
    DIR *d = opendir(dir);
    const struct dirent *entry;
    bool is_found = false;

    while (d && !is_found && (entry = readdir(d))) {
        AUTO_FREE char *path = mem_printf("%s/%s", dir, entry->d_name);
        char target[LINK_SIZE];
        ssize_t n = readlink(path, target, sizeof target);

        is_found = n > 0 && (size_t)n == strlen(socket) && memcmp(target, socket, (size_t)n) == 0;
    }
    if (d)
        (void)closedir(d);
    return is_found;
}

static char *describe(const char *pid)
{
    AUTO_FREE char *path = mem_printf("/proc/%s/comm", pid);
    AUTO_FREE char *name = proc_text(path);

    if (name)
        name[strcspn(name, "\n")] = '\0';
    return mem_printf("%s (pid %s)", name ? name : "?", pid);
}

char *gather_port_owner(uint16_t port)
{
    AUTO_FREE char *socket = socket_of(port);
    DIR *d = socket ? opendir("/proc") : NULL;
    const struct dirent *entry;
    char *owner = NULL;

    while (d && !owner && (entry = readdir(d))) {
        uint64_t pid;

        if (parse_u64(entry->d_name, INT32_MAX, &pid) == 0 && has_open(entry->d_name, socket))
            owner = describe(entry->d_name);
    }
    if (d)
        (void)closedir(d);
    return owner;
}
