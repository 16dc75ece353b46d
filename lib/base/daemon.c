/* The skeleton of a daemon. */
#include "lib/base/daemon.h"

#include <signal.h>
#include <systemd/sd-daemon.h>

#include "lib/base/error.h"
#include "lib/base/privilege.h"

static void on_stop_limit(void *data)
{
    struct daemon *d = data;

    log_warn("stopping took too long, ending now", LOG_I("limit_ms", DAEMON_STOP_LIMIT_MS));
    loop_exit(d->loop, 0);
}

static void on_stop_signal(void *data)
{
    struct daemon *d = data;

    if (d->is_stopping)
        return;
    d->is_stopping = true;
    log_info("stopping");
    (void)sd_notify(0, "STOPPING=1");
    loop_timer_set_in(d->stop_limit, DAEMON_STOP_LIMIT_MS);
    if (d->stop_fn)
        d->stop_fn(d->stop_data);
    else
        loop_exit(d->loop, 0);
}

int daemon_init(struct daemon *d, loop_fn stop_fn, void *stop_data)
{
    int r;

    *d = (struct daemon){.stop_fn = stop_fn, .stop_data = stop_data};
    (void)signal(SIGPIPE, SIG_IGN);
    r = privilege_hide_memory();
    if (r == 0)
        r = loop_new(&d->loop);
    if (r == 0)
        r = loop_add_signal(d->loop, SIGTERM, on_stop_signal, d, &d->sigterm);
    if (r == 0)
        r = loop_add_signal(d->loop, SIGINT, on_stop_signal, d, &d->sigint);
    if (r == 0)
        r = loop_add_timer(d->loop, on_stop_limit, d, &d->stop_limit);
    if (r == 0)
        r = loop_enable_watchdog(d->loop);
    if (r < 0)
        daemon_deinit(d);
    return r;
}

void daemon_deinit(struct daemon *d)
{
    loop_source_free(d->stop_limit);
    loop_source_free(d->sigint);
    loop_source_free(d->sigterm);
    loop_free(d->loop);
    *d = (struct daemon){0};
}

void daemon_ready_fields(struct daemon *d, const struct log_field *fields, size_t count)
{
    (void)sd_notify(0, "READY=1");
    if (log_enabled(LOG_LEVEL_INFO))
        log_write(LOG_LEVEL_INFO, "ready", fields, count);
}

int daemon_run(struct daemon *d)
{
    int r = loop_run(d->loop);

    if (r < 0) {
        log_error("event loop failed", LOG_ERR());
        return 1;
    }
    return r;
}
