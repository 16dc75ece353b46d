/* When the agent says what to the control plane. */
#include "agent/control_client/machine.h"

#include <string.h>

#define NEVER INT64_MAX

/* 200 ms..7 s, as kubelet retries; a stream comes back sooner, since polling covers for it. */
static const struct backoff away_backoff = {.min_ms = 100, .base_ms = 200, .max_ms = 7000};
static const struct backoff stream_backoff = {.min_ms = 20, .base_ms = 100, .max_ms = 5000};
static const struct backoff refused_backoff = {.min_ms = 1000, .base_ms = 2000, .max_ms = 15000};

void control_machine_init(struct control_machine *m, size_t url_count, int64_t now_ms)
{
    *m = (struct control_machine){.url_count = url_count, .refused = refused_backoff};
    for (int job = 0; job < CONTROL_JOB_COUNT; job++) {
        m->due_ms[job] = NEVER;
        m->away[job] = job == CONTROL_STREAM ? stream_backoff : away_backoff;
    }
    m->due_ms[CONTROL_REGISTER] = now_ms;
}

void control_machine_set_intervals(struct control_machine *m, int64_t heartbeat_ms,
                                   int64_t peer_sync_ms)
{
    m->heartbeat_ms = heartbeat_ms;
    m->peer_sync_ms = peer_sync_ms;
    m->away[CONTROL_BEAT].max_ms =
        heartbeat_ms < away_backoff.max_ms ? heartbeat_ms : away_backoff.max_ms;
    m->away[CONTROL_POLL].max_ms =
        peer_sync_ms < away_backoff.max_ms ? peer_sync_ms : away_backoff.max_ms;
}

unsigned int control_machine_run(struct control_machine *m, int64_t now_ms)
{
    unsigned int jobs = 0;

    for (int job = 0; job < CONTROL_JOB_COUNT; job++) {
        if (m->is_running[job] || m->due_ms[job] > now_ms)
            continue;
        m->is_running[job] = true;
        m->due_ms[job] = NEVER;
        jobs |= 1u << job;
    }
    return jobs;
}

int64_t control_machine_due_ms(const struct control_machine *m)
{
    int64_t due_ms = NEVER;

    for (int job = 0; job < CONTROL_JOB_COUNT; job++)
        if (!m->is_running[job] && m->due_ms[job] < due_ms)
            due_ms = m->due_ms[job];
    return due_ms;
}

/* 90 % to 110 % of an interval, so that many agents do not keep step. */
static int64_t jittered(int64_t interval_ms, uint64_t random)
{
    return interval_ms - interval_ms / 10 + (int64_t)(random % (uint64_t)(interval_ms / 5 + 1));
}

static void rotate(struct control_machine *m, size_t url_index)
{
    if (url_index == m->url_index)
        m->url_index = (m->url_index + 1) % m->url_count;
}

static void schedule_after_ok(struct control_machine *m, enum control_job job, int64_t now_ms,
                              uint64_t random)
{
    switch (job) {
    case CONTROL_REGISTER:
        m->is_registered = m->is_watching = true;
        m->due_ms[CONTROL_BEAT] = now_ms + jittered(m->heartbeat_ms, random);
        m->due_ms[CONTROL_STREAM] = now_ms;
        if (!m->is_stream_up)
            m->due_ms[CONTROL_POLL] = now_ms + m->peer_sync_ms;
        break;
    case CONTROL_BEAT:
        m->due_ms[CONTROL_BEAT] = now_ms + jittered(m->heartbeat_ms, random);
        break;
    case CONTROL_STREAM: /* the other end closed it in good order */
        m->due_ms[CONTROL_STREAM] = now_ms + backoff_next_ms(&m->away[job], random);
        break;
    case CONTROL_POLL:
        m->due_ms[CONTROL_POLL] = now_ms + m->peer_sync_ms;
        break;
    case CONTROL_JOB_COUNT:
        break;
    }
}

static void register_again(struct control_machine *m, int64_t now_ms)
{
    m->is_registered = false;
    m->due_ms[CONTROL_BEAT] = NEVER;
    m->due_ms[CONTROL_REGISTER] = now_ms;
}

static void stream_ended(struct control_machine *m, int64_t now_ms)
{
    if (!m->is_stream_up)
        return;
    m->is_stream_up = false;
    m->due_ms[CONTROL_POLL] = now_ms + m->peer_sync_ms;
}

static void schedule_after_failure(struct control_machine *m, enum control_job job,
                                   enum control_result result, int64_t now_ms, uint64_t random)
{
    switch (result) {
    case CONTROL_UNKNOWN_NODE:
        register_again(m, now_ms);
        break;
    case CONTROL_UNSUPPORTED:
        m->due_ms[job] = now_ms + CONTROL_STREAM_RETRY_MS;
        m->due_ms[CONTROL_POLL] = now_ms;
        break;
    case CONTROL_REFUSED:
    case CONTROL_FOREIGN:
        m->due_ms[job] = now_ms + backoff_next_ms(&m->refused, random);
        break;
    case CONTROL_AWAY:
        m->due_ms[job] = now_ms + backoff_next_ms(&m->away[job], random);
        break;
    case CONTROL_OK:
    case CONTROL_RESULT_COUNT:
        break;
    }
}

void control_machine_put_off(struct control_machine *m, enum control_job job, int64_t wait_ms)
{
    int64_t max_ms = job == CONTROL_BEAT ? m->heartbeat_ms / 3 : CONTROL_PUT_OFF_MAX_MS;

    m->put_off_ms[job] = wait_ms < max_ms ? wait_ms : max_ms;
}

/* Whoever else was asked to wait as long comes a little sooner or later. */
static void wait_as_asked(struct control_machine *m, enum control_job job, int64_t now_ms,
                          uint64_t random)
{
    int64_t wait_ms = m->put_off_ms[job];

    m->put_off_ms[job] = 0;
    if (wait_ms == 0)
        return;
    wait_ms += (int64_t)(random % (uint64_t)(wait_ms / 2 + 1));
    if (m->due_ms[job] < now_ms + wait_ms)
        m->due_ms[job] = now_ms + wait_ms;
}

void control_machine_done(struct control_machine *m, enum control_job job,
                          enum control_result result, size_t url_index, int64_t now_ms,
                          uint64_t random)
{
    m->is_running[job] = false;
    if (job == CONTROL_STREAM)
        stream_ended(m, now_ms);
    if (result == CONTROL_AWAY)
        rotate(m, url_index);
    if (result != CONTROL_OK) {
        schedule_after_failure(m, job, result, now_ms, random);
        wait_as_asked(m, job, now_ms, random);
        return;
    }
    if (job != CONTROL_STREAM)
        backoff_reset(&m->away[job]);
    if (job == CONTROL_REGISTER)
        backoff_reset(&m->refused);
    schedule_after_ok(m, job, now_ms, random);
}

void control_machine_stream_up(struct control_machine *m)
{
    m->is_stream_up = true;
    backoff_reset(&m->away[CONTROL_STREAM]);
    m->due_ms[CONTROL_POLL] = NEVER;
}

bool control_machine_refresh(struct control_machine *m, int64_t at_ms)
{
    if (m->is_stream_up)
        return true;
    if (m->is_watching && at_ms < m->due_ms[CONTROL_POLL])
        m->due_ms[CONTROL_POLL] = at_ms;
    return false;
}
