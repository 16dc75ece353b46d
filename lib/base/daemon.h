/* The skeleton that every daemon hangs its parts on: loop, SIGTERM and SIGINT, readiness, watchdog.
 *
 *     daemon_init -> the daemon's own parts -> daemon_ready -> daemon_run -> parts in reverse ->
 *     daemon_deinit
 */
#pragma once

#include "lib/base/log.h"
#include "lib/base/loop.h"

/* What a daemon may take to stop; then it ends with what it has. */
#define DAEMON_STOP_LIMIT_MS 4000

struct daemon {
    struct loop *loop;
    loop_fn stop_fn;
    void *stop_data;
    struct loop_source *sigterm;
    struct loop_source *sigint;
    struct loop_source *stop_limit;
    bool is_stopping;
};

/* stop_fn is called once, on the first SIGTERM or SIGINT; it calls loop_exit() when all is said.
 * NULL: the loop ends at once. Ignores SIGPIPE, and hides the process's memory (privilege.h). */
int daemon_init(struct daemon *daemon, loop_fn stop_fn, void *stop_data);
void daemon_deinit(struct daemon *daemon);

/* READY=1 to systemd and the line msg="ready" with these fields (fields[0] is a filler). */
void daemon_ready_fields(struct daemon *daemon, const struct log_field *fields, size_t count);
#define daemon_ready(daemon_, ...)                                                   \
    do {                                                                             \
        const struct log_field fields_[] = {{.key = NULL}, ##__VA_ARGS__};           \
        daemon_ready_fields((daemon_), fields_, sizeof fields_ / sizeof fields_[0]); \
    } while (0)

/* Runs the loop; returns the process's exit code. */
int daemon_run(struct daemon *daemon);
