/* Waits on gRPC's completion queue in a thread of its own, so that the loop need not. */
#include "lib/rpc/pump.h"

#include <grpc/support/log.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

/* gRPC finishes what was cancelled in milliseconds. */
#define RUN_LIMIT_MS 10000
#define THREAD_STACK_BYTES (256 * 1024)

struct rpc_pump {
    grpc_completion_queue *queue;
    struct mailbox *mailbox;
    struct loop_source *source;
    struct mailbox_item *ready; /* taken from the mailbox, not handed out yet */
    pthread_t thread;
    bool has_thread;
    bool *is_freed; /* of the hand-out that is going on; NULL: none is */
};

/* gRPC calls it an error when a peer misbehaves; nobody must act on that. */
static void on_grpc_log(gpr_log_func_args *args)
{
    enum log_level level =
        args->severity == GPR_LOG_SEVERITY_ERROR ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;

    log_at(level, "gRPC", LOG_S("text", args->message), LOG_S("file", args->file),
           LOG_I("line", args->line));
}

static void start_library(void)
{
    gpr_set_log_function(on_grpc_log);
    gpr_set_log_verbosity(log_enabled(LOG_LEVEL_DEBUG) ? GPR_LOG_SEVERITY_INFO
                                                       : GPR_LOG_SEVERITY_ERROR);
    grpc_init();
}

static void *run_thread(void *data)
{
    struct rpc_pump *pump = data;

    for (;;) {
        grpc_event event =
            grpc_completion_queue_next(pump->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        struct rpc_tag *tag = event.tag;

        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        tag->is_ok = event.success != 0;
        mailbox_push(pump->mailbox, &tag->item);
    }
}

static struct rpc_tag *next_ready(struct rpc_pump *pump)
{
    struct mailbox_item *item = pump->ready;

    if (!item)
        return NULL;
    pump->ready = item->next;
    return CONTAINER_OF(item, struct rpc_tag, item);
}

/* One load of mail, so that a flood leaves the loop's other sources their turn. A tag's fn may free
 * the pump, and may come here again by rpc_pump_run_until(). */
static void hand_out(struct rpc_pump *pump)
{
    bool *outer_is_freed = pump->is_freed;
    bool is_freed = false;
    struct rpc_tag *tag;

    pump->is_freed = &is_freed;
    if (!pump->ready)
        pump->ready = mailbox_take_all(pump->mailbox);
    while (!is_freed && (tag = next_ready(pump)))
        tag->fn(tag, tag->is_ok);
    if (!is_freed)
        pump->is_freed = outer_is_freed;
    else if (outer_is_freed)
        *outer_is_freed = true;
}

static void on_mail(void *data, uint32_t epoll_events)
{
    hand_out(data);
}

static int start_thread(struct rpc_pump *pump)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    r = pthread_create(&pump->thread, &attr, run_thread, pump);
    (void)pthread_attr_destroy(&attr);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0)
        return err_sys(r, "start the gRPC thread");
    pump->has_thread = true;
    (void)pthread_setname_np(pump->thread, "rpc");
    return 0;
}

static int pump_init(struct rpc_pump *pump, struct loop *loop)
{
    int r = mailbox_new(&pump->mailbox);

    if (r < 0)
        return r;
    r = loop_add_io(loop, mailbox_fd(pump->mailbox), EPOLLIN, on_mail, pump, &pump->source);
    if (r < 0)
        return r;
    return start_thread(pump);
}

int rpc_pump_new(struct loop *loop, struct rpc_pump **ret_pump)
{
    struct rpc_pump *pump = NEW(struct rpc_pump);
    int r;

    start_library();
    pump->queue = grpc_completion_queue_create_for_next(NULL);
    r = pump_init(pump, loop);
    if (r < 0) {
        rpc_pump_free(pump);
        return r;
    }
    *ret_pump = pump;
    return 0;
}

static void drain_queue(struct rpc_pump *pump)
{
    grpc_completion_queue_shutdown(pump->queue);
    if (pump->has_thread)
        (void)pthread_join(pump->thread, NULL);
    else
        (void)grpc_completion_queue_next(pump->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_completion_queue_destroy(pump->queue);
}

void rpc_pump_free(struct rpc_pump *pump)
{
    if (!pump)
        return;
    drain_queue(pump);
    loop_source_free(pump->source);
    mailbox_free(pump->mailbox);
    if (pump->is_freed)
        *pump->is_freed = true;
    free(pump);
    grpc_shutdown();
}

grpc_completion_queue *rpc_pump_queue(const struct rpc_pump *pump)
{
    return pump->queue;
}

void rpc_pump_run_until(struct rpc_pump *pump, const bool *is_done)
{
    int64_t end_ms = clock_boot_ms() + RUN_LIMIT_MS;
    struct pollfd fd = {.fd = mailbox_fd(pump->mailbox), .events = POLLIN};

    hand_out(pump);
    while (!*is_done) {
        if (clock_boot_ms() >= end_ms) {
            log_error("gRPC does not finish what was cancelled");
            abort();
        }
        (void)poll(&fd, 1, 100);
        hand_out(pump);
    }
}
