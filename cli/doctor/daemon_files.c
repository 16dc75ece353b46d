/* How many files our daemons have open, and may: /proc/PID/fd and /proc/PID/limits. */
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "cli/doctor/gather.h"
#include "cli/doctor/proc.h"
#include "lib/base/parse.h"

/* The kernel's name of a process is cut to so many characters. */
#define COMM_MAX 15

static const char *const programs[FACTS_DAEMONS] = {"quilt-mesh-control", "quilt-mesh-agent",
                                                    "quilt-runtime"};

static int64_t count_open(const char *pid)
{
    AUTO_FREE char *path = mem_printf("/proc/%s/fd", pid);
    DIR *d = opendir(path);
    const struct dirent *entry;
    int64_t count = 0;

    if (!d)
        return FACTS_UNKNOWN;
    while ((entry = readdir(d)))
        count += entry->d_name[0] != '.';
    (void)closedir(d);
    return count;
}

static int64_t limit_of(const char *pid)
{
    AUTO_FREE char *path = mem_printf("/proc/%s/limits", pid);
    AUTO_FREE char *text = proc_text(path);

    return text ? proc_limit(text, "Max open files") : FACTS_UNKNOWN;
}

static bool is_of(const char *pid, const char *program)
{
    AUTO_FREE char *path = mem_printf("/proc/%s/comm", pid);
    AUTO_FREE char *comm = proc_text(path);
    size_t n = strlen(program);

    if (!comm)
        return false;
    comm[strcspn(comm, "\n")] = '\0';
    return strncmp(comm, program, n < COMM_MAX ? n : COMM_MAX) == 0 &&
           strlen(comm) == (n < COMM_MAX ? n : COMM_MAX);
}

static void take_process(struct facts *facts, const char *pid_text, uint64_t pid)
{
    for (size_t i = 0; i < FACTS_DAEMONS; i++) {
        struct daemon_files *d = &facts->daemons[i];
        int64_t open =
            d->pid == 0 && is_of(pid_text, d->program) ? count_open(pid_text) : FACTS_UNKNOWN;

        if (open == FACTS_UNKNOWN)
            continue;
        d->pid = (int64_t)pid;
        d->open = open;
        d->limit = limit_of(pid_text);
    }
}

void gather_daemon_files(struct facts *facts)
{
    DIR *d = opendir("/proc");
    const struct dirent *entry;

    for (size_t i = 0; i < FACTS_DAEMONS; i++)
        facts->daemons[i] = (struct daemon_files){.program = programs[i]};
    while (d && (entry = readdir(d))) {
        uint64_t pid;

        if (parse_u64(entry->d_name, INT32_MAX, &pid) == 0)
            take_process(facts, entry->d_name, pid);
    }
    if (d)
        (void)closedir(d);
}
