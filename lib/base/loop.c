/* The event loop: a thin layer over sd-event. */
#include "lib/base/loop.h"

#include <signal.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

/* Timers may be late by this much so that the kernel can gather wake-ups. */
#define TIMER_ACCURACY_US 1000

struct loop {
    sd_event *event;
    int64_t worst_lag_ms;
    int64_t lag_taken_ms; /* lateness up to then has been told */
};

struct loop_source {
    struct loop *loop;
    sd_event_source *source;
    union {
        loop_io_fn io_fn;
        loop_fn fn;
    };
    void *data;
    int64_t due_ms;
};

int loop_new(struct loop **ret_loop)
{
    AUTO_FREE struct loop *loop = NEW(struct loop);
    int r;

    r = sd_event_new(&loop->event);
    if (r < 0)
        return err_sys(-r, "create event loop");
    *ret_loop = TAKE_PTR(loop);
    return 0;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    sd_event_unref(loop->event);
    free(loop);
}

static struct loop_source *source_new(struct loop *loop, void *data)
{
    struct loop_source *s = NEW(struct loop_source);

    s->loop = loop;
    s->data = data;
    return s;
}

static int source_done(struct loop_source *s, int r, const char *what, struct loop_source **ret)
{
    if (r < 0) {
        sd_event_source_disable_unref(s->source);
        free(s);
        return err_sys(-r, "add %s to the event loop", what);
    }
    *ret = s;
    return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *data)
{
    struct loop_source *s = data;

    s->io_fn(s->data, events);
    return 0;
}

int loop_add_io(struct loop *loop, int fd, uint32_t epoll_events, loop_io_fn fn, void *data,
                struct loop_source **ret_source)
{
    struct loop_source *s = source_new(loop, data);

    s->io_fn = fn;
    return source_done(s, sd_event_add_io(loop->event, &s->source, fd, epoll_events, on_io, s),
                       "a descriptor", ret_source);
}

int loop_io_set_events(struct loop_source *source, uint32_t epoll_events)
{
    int r = sd_event_source_set_io_events(source->source, epoll_events);

    return r < 0 ? err_sys(-r, "change watched events") : 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
    struct loop_source *s = data;
    int64_t told_ms = s->loop->lag_taken_ms;
    int64_t lag_ms = clock_boot_ms() - (s->due_ms > told_ms ? s->due_ms : told_ms);

    if (lag_ms > s->loop->worst_lag_ms)
        s->loop->worst_lag_ms = lag_ms;
    s->fn(s->data);
    return 0;
}

int loop_add_timer(struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source)
{
    struct loop_source *s = source_new(loop, data);
    int r;

    s->fn = fn;
    r = sd_event_add_time(loop->event, &s->source, CLOCK_BOOTTIME, UINT64_MAX, TIMER_ACCURACY_US,
                          on_timer, s);
    if (r >= 0)
        r = sd_event_source_set_enabled(s->source, SD_EVENT_OFF);
    return source_done(s, r, "a timer", ret_source);
}

void loop_timer_set_at(struct loop_source *source, int64_t boot_ms)
{
    source->due_ms = boot_ms > 0 ? boot_ms : 0;
    (void)sd_event_source_set_time(source->source, (uint64_t)source->due_ms * 1000);
    (void)sd_event_source_set_enabled(source->source, SD_EVENT_ONESHOT);
}

/* "Now" is told to sd-event as long ago: it would gather a time that has just come with others up
 * to TIMER_ACCURACY_US later. */
void loop_timer_set_in(struct loop_source *source, int64_t delay_ms)
{
    loop_timer_set_at(source, clock_boot_ms() + delay_ms);
    if (delay_ms <= 0)
        (void)sd_event_source_set_time(source->source, 0);
}

void loop_timer_disarm(struct loop_source *source)
{
    (void)sd_event_source_set_enabled(source->source, SD_EVENT_OFF);
}

bool loop_timer_is_armed(const struct loop_source *source)
{
    int enabled = SD_EVENT_OFF;

    (void)sd_event_source_get_enabled(source->source, &enabled);
    return enabled != SD_EVENT_OFF;
}

static int on_defer(sd_event_source *source, void *data)
{
    struct loop_source *s = data;

    s->fn(s->data);
    return 0;
}

/* To sd-event deferred work has been pending since it was added, however late it is enabled: what
 * is armed again and again would always be the oldest, and nothing else had its turn. So each time
 * it is added anew. */
static int add_defer(struct loop_source *s)
{
    sd_event_source *fresh = NULL;
    int r = sd_event_add_defer(s->loop->event, &fresh, on_defer, s);

    if (r < 0)
        return r;
    sd_event_source_disable_unref(s->source);
    s->source = fresh;
    return 0;
}

int loop_add_defer(struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source)
{
    struct loop_source *s = source_new(loop, data);
    int r;

    s->fn = fn;
    r = add_defer(s);
    if (r >= 0)
        r = sd_event_source_set_enabled(s->source, SD_EVENT_OFF);
    return source_done(s, r, "deferred work", ret_source);
}

void loop_defer_arm(struct loop_source *source)
{
    int enabled = SD_EVENT_OFF, r = 0;

    (void)sd_event_source_get_enabled(source->source, &enabled);
    if (enabled == SD_EVENT_OFF)
        r = add_defer(source);
    if (r < 0 && r != -ESTALE) /* a loop that has ended takes nothing more, and need not */
        mem_exhausted(0);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
    struct loop_source *s = data;

    s->fn(s->data);
    return 0;
}

int loop_add_signal(struct loop *loop, int signo, loop_fn fn, void *data,
                    struct loop_source **ret_source)
{
    struct loop_source *s = source_new(loop, data);
    sigset_t set;

    s->fn = fn;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, signo);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return source_done(s, sd_event_add_signal(loop->event, &s->source, signo, on_signal, s),
                       "a signal", ret_source);
}

void loop_source_free(struct loop_source *source)
{
    if (!source)
        return;
    sd_event_source_disable_unref(source->source);
    free(source);
}

int loop_run(struct loop *loop)
{
    int r = sd_event_loop(loop->event);

    return r < 0 ? err_sys(-r, "run the event loop") : r;
}

void loop_exit(struct loop *loop, int code)
{
    (void)sd_event_exit(loop->event, code);
}

int loop_enable_watchdog(struct loop *loop)
{
    int r = sd_event_set_watchdog(loop->event, 1);

    return r < 0 ? err_sys(-r, "set the watchdog up") : 0;
}

int64_t loop_take_lag_ms(struct loop *loop)
{
    int64_t lag_ms = loop->worst_lag_ms;

    loop->worst_lag_ms = 0;
    loop->lag_taken_ms = clock_boot_ms();
    return lag_ms;
}
