/* Watches the BPF file system. */
#include "lib/bpf/pins.h"

#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/bpf/set.h"

#define GATHER_MS 100

struct pins_watch {
    int fd; /* -1: the kernel has none for us */
    bool is_told;
    struct loop_source *io;
    struct loop_source *call;
};

/* Hosts of many containers have few watches left. */
static void say_deaf(struct pins_watch *watch, const char *what)
{
    (void)err_sys(errno, "watch %s", what);
    if (!watch->is_told)
        log_warn("changes of the fast path's pins are found only by looking from time to time",
                 LOG_ERR());
    watch->is_told = true;
}

/* What it was need not be read: the owner compares anyway. */
static void on_readable(void *data, uint32_t epoll_events)
{
    struct pins_watch *watch = data;
    char events[4096];

    while (read(watch->fd, events, sizeof events) > 0)
        ;
    if (!loop_timer_is_armed(watch->call))
        loop_timer_set_in(watch->call, GATHER_MS);
}

int pins_watch_new(struct loop *loop, loop_fn fn, void *data, struct pins_watch **ret_watch)
{
    struct pins_watch *watch = NEW(struct pins_watch);
    int r = loop_add_timer(loop, fn, data, &watch->call);

    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0)
        say_deaf(watch, "files (see fs.inotify.max_user_instances)");
    else if (r == 0)
        r = loop_add_io(loop, watch->fd, EPOLLIN, on_readable, watch, &watch->io);
    if (r < 0) {
        pins_watch_free(watch);
        return r;
    }
    *ret_watch = watch;
    return 0;
}

/* From the top down: one that comes too late for that is seen to come by the one above. */
void pins_watch_follow(struct pins_watch *watch)
{
    for (size_t i = 0; watch->fd >= 0 && i < ARRAY_LEN(set_dirs); i++)
        if (inotify_add_watch(watch->fd, set_dirs[i], IN_CREATE | IN_DELETE | IN_MOVE) < 0 &&
            errno != ENOENT)
            say_deaf(watch, set_dirs[i]);
}

void pins_watch_free(struct pins_watch *watch)
{
    if (!watch)
        return;
    loop_source_free(watch->io);
    loop_source_free(watch->call);
    cleanup_close(&watch->fd);
    free(watch);
}
