/* Time, chance and the queue of events: a binary heap, by time, rank and number. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

/* 4,000 agents that hear of one change at once stay far below. */
#define SPIN_EVENTS 2000000

struct sim sim;

/* ---- chance: xoshiro256** (Blackman and Vigna), in the public domain ----------------------- */

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t sim_random(void)
{
    uint64_t *s = sim.random, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

int64_t sim_between(int64_t low, int64_t high)
{
    return low + (int64_t)(sim_random() % (uint64_t)(high - low + 1));
}

bool sim_percent(unsigned int percent)
{
    return sim_random() % 100 < percent;
}

/* ---- the queue ----------------------------------------------------------------------------- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    if (a->at_us != b->at_us)
        return a->at_us < b->at_us;
    if (a->rank != b->rank)
        return a->rank < b->rank;
    return a->number < b->number;
}

static void put(size_t place, struct sim_event *event)
{
    sim.queue[place] = event;
    event->place = place;
}

static void rise(struct sim_event *event)
{
    size_t place = event->place;

    while (place > 0 && is_before(event, sim.queue[(place - 1) / 2])) {
        put(place, sim.queue[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(place, event);
}

static void sink(struct sim_event *event)
{
    size_t place = event->place;

    for (;;) {
        size_t child = 2 * place + 1;

        if (child >= sim.queue_count)
            break;
        if (child + 1 < sim.queue_count && is_before(sim.queue[child + 1], sim.queue[child]))
            child++;
        if (!is_before(sim.queue[child], event))
            break;
        put(place, sim.queue[child]);
        place = child;
    }
    put(place, event);
}

static void take_out(const struct sim_event *event)
{
    struct sim_event *last = sim.queue[--sim.queue_count];
    size_t place = event->place;

    if (last == event)
        return;
    put(place, last);
    rise(last);
    sink(last);
}

static void insert(struct sim_event *event)
{
    if (sim.queue_count == sim.queue_size) {
        sim.queue_size = sim.queue_size ? 2 * sim.queue_size : 1024;
        sim.queue = mem_resize(sim.queue, sim.queue_size, sizeof *sim.queue);
    }
    event->place = sim.queue_count++;
    rise(event);
}

struct sim_event *sim_at(int64_t at_us, enum sim_rank rank, struct process *process, sim_fn fn,
                         void *data)
{
    struct sim_event *event = NEW(struct sim_event);

    *event = (struct sim_event){
        .at_us = at_us > sim.now_us ? at_us : sim.now_us,
        .rank = rank,
        .number = sim.next_number++,
        .fn = fn,
        .data = data,
        .process = process,
    };
    insert(event);
    return event;
}

struct sim_event *sim_in(int64_t delay_us, enum sim_rank rank, struct process *process, sim_fn fn,
                         void *data)
{
    return sim_at(sim.now_us + delay_us, rank, process, fn, data);
}

void sim_cancel(struct sim_event *event)
{
    if (!event)
        return;
    take_out(event);
    free(event);
}

/* ---- running ------------------------------------------------------------------------------- */

static void digest(uint64_t value)
{
    sim.digest = (sim.digest ^ value) * 0x100000001b3;
}

static bool is_stalled(const struct sim_event *event)
{
    return event->process && event->process->stalled_until_us > sim.now_us;
}

/* A process that has been stopped finds all that it missed at once, in no order worth trusting but
 * that of the messages on one connection: its timers come before or after them. */
static void put_off(struct sim_event *event)
{
    event->at_us = event->process->stalled_until_us;
    if (event->rank == SIM_TIMER && sim_percent(50))
        event->rank = SIM_FIRST;
    insert(event);
}

/* Work without end in no time is a bug of its own, and would never end here. */
static void notice_spinning(void)
{
    sim.events_in_a_row = sim.now_us - sim.row_us < SIM_S ? sim.events_in_a_row + 1 : 0;
    if (sim.events_in_a_row == 0)
        sim.row_us = sim.now_us;
    if (sim.events_in_a_row > SPIN_EVENTS)
        sim_violate("%d steps within a second", SPIN_EVENTS);
}

static void step(void)
{
    struct sim_event *event = sim.queue[0];
    sim_fn fn = event->fn;
    void *data = event->data;

    take_out(event);
    sim.now_us = event->at_us;
    if (is_stalled(event)) {
        put_off(event);
        return;
    }
    sim.events_run++;
    notice_spinning();
    digest((uint64_t)sim.now_us);
    digest(event->number);
    sim.current = event->process;
    free(event);
    fn(data);
    sim.current = NULL;
    oracle_step();
}

void sim_run_until(int64_t at_us)
{
    while (!sim.violation && sim.queue_count > 0 && sim.queue[0]->at_us <= at_us)
        step();
    if (!sim.violation && at_us > sim.now_us)
        sim.now_us = at_us;
}

/* ---- words --------------------------------------------------------------------------------- */

static void say_when(void)
{
    const char *who = sim.current ? sim.current->host->name : "-";

    printf("%10.6f %-8s ", (double)sim.now_us / 1e6, who);
}

void sim_trace(const char *fmt, ...)
{
    va_list args;

    if (!sim.config.is_tracing)
        return;
    say_when();
    va_start(args, fmt);
    (void)vprintf(fmt, args);
    va_end(args);
    printf("\n");
}

void sim_violate(const char *fmt, ...)
{
    va_list args;
    char text[1024];

    if (sim.violation)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sim.violation = mem_printf("at %.3f s: %s", (double)sim.now_us / 1e6, text);
    sim_trace("VIOLATION %s", text);
}
