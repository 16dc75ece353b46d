/* The event loop of a daemon: sockets, timers on CLOCK_BOOTTIME, signals, and work that is to be
 * done once the current round is over. One thread; the loop's owner frees every source before the
 * loop. A callback may free its own source. The only user of sd-event.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;
struct loop_source;

typedef void (*loop_io_fn)(void *data, uint32_t epoll_events);
typedef void (*loop_fn)(void *data);

int loop_new(struct loop **ret_loop);
void loop_free(struct loop *loop);

/* Calls fn when fd (borrowed) has these EPOLL events. */
int loop_add_io(struct loop *loop, int fd, uint32_t epoll_events, loop_io_fn fn, void *data,
                struct loop_source **ret_source);
int loop_io_set_events(struct loop_source *source, uint32_t epoll_events);

/* A timer, disarmed at first; it fires once for each arming. */
int loop_add_timer(struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source);
void loop_timer_set_in(struct loop_source *source, int64_t delay_ms);
void loop_timer_set_at(struct loop_source *source, int64_t boot_ms);
void loop_timer_disarm(struct loop_source *source);
bool loop_timer_is_armed(const struct loop_source *source);

/* Something to do once the events that are already pending have had their turn: each
 * loop_defer_arm() makes one call, and arming it twice in a round still makes one. This is how
 * "look again" requests gather. In a loop that has ended, arming does nothing. */
int loop_add_defer(struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source);
void loop_defer_arm(struct loop_source *source);

/* Blocks the signal in this thread and calls fn when it comes. Before any thread starts. */
int loop_add_signal(struct loop *loop, int signo, loop_fn fn, void *data,
                    struct loop_source **ret_source);

void loop_source_free(struct loop_source *source);

/* Runs until loop_exit(). Returns its code, or a negative errno. */
int loop_run(struct loop *loop);
void loop_exit(struct loop *loop, int code);

/* Tells systemd's watchdog that the loop turns, when the unit asks for it (WatchdogSec=). */
int loop_enable_watchdog(struct loop *loop);

/* Milliseconds by which the loop was late for its timers at most since the last call. One absence
 * is told once, also when timers that it delayed come after the call. A daemon that judges others
 * by the clock looks at this first. */
int64_t loop_take_lag_ms(struct loop *loop);
