/* When the agent says what to the control plane. */
#include "agent/control_client/machine.h"

#include <assert.h>

#include "lib/base/mem.h"

#define NEVER INT64_MAX
#define HELD_MIN_MS 200
#define BEATS_APART_MS 1000

/* 200 ms..7 s, as kubelet retries; a stream comes back sooner, since polling covers for it. */
static const struct backoff away_backoff = {.min_ms = 100, .base_ms = 200, .max_ms = 7000};
static const struct backoff stream_backoff = {.min_ms = 20, .base_ms = 100, .max_ms = 5000};
static const struct backoff refused_backoff = {.min_ms = 1000, .base_ms = 2000, .max_ms = 15000};
/* Only an operator can change that, but he may: by a new token in its file. */
static const struct backoff barred_backoff = {.min_ms = 5000, .base_ms = 15000, .max_ms = 600000};
static const struct backoff ca_backoff = {.min_ms = 1000, .base_ms = 2000, .max_ms = 60000};
/* A certificate is renewed when a third of its life is left at least. */
static const struct backoff renewal_backoff = {.min_ms = 5000, .base_ms = 10000, .max_ms = 3600000};

static const struct backoff *const first_backoff[] = {
    [CONTROL_REGISTER] = &away_backoff, [CONTROL_BEAT] = &away_backoff,
    [CONTROL_STREAM] = &stream_backoff, [CONTROL_POLL] = &away_backoff,
    [CONTROL_PIN] = &away_backoff,      [CONTROL_CA] = &ca_backoff,
    [CONTROL_RENEW] = &renewal_backoff, [CONTROL_SWITCH] = &renewal_backoff,
};
static_assert(ARRAY_LEN(first_backoff) == CONTROL_JOB_COUNT, "each job has its pauses");

void control_machine_init(struct control_machine *m, size_t url_count, int64_t now_ms)
{
    *m = (struct control_machine){.url_count = url_count,
                                  .refused = refused_backoff,
                                  .barred = barred_backoff,
                                  .unadmitted = away_backoff};
    for (int job = 0; job < CONTROL_JOB_COUNT; job++) {
        m->due_ms[job] = NEVER;
        m->away[job] = *first_backoff[job];
    }
    m->due_ms[CONTROL_REGISTER] = now_ms;
}

bool control_machine_is_due(const struct control_machine *m, enum control_job job, int64_t now_ms)
{
    return !m->is_running[job] && m->due_ms[job] <= now_ms;
}

void control_machine_pin_first(struct control_machine *m, int64_t now_ms)
{
    m->due_ms[CONTROL_REGISTER] = NEVER;
    control_machine_want(m, CONTROL_PIN, now_ms);
}

void control_machine_want(struct control_machine *m, enum control_job job, int64_t now_ms)
{
    if (!m->is_running[job] && m->due_ms[job] == NEVER)
        m->due_ms[job] = now_ms;
}

void control_machine_set_renewal(struct control_machine *m, int64_t at_ms)
{
    if (!m->is_running[CONTROL_RENEW] && m->away[CONTROL_RENEW].attempts == 0)
        m->due_ms[CONTROL_RENEW] = at_ms;
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

/* One that failed keeps its pause: that is short, and the control plane may be away. */
static void hasten_beat(struct control_machine *m, int64_t at_ms)
{
    if (!m->is_beat_hasty || m->is_running[CONTROL_BEAT] || m->due_ms[CONTROL_BEAT] == NEVER ||
        m->away[CONTROL_BEAT].attempts > 0)
        return;
    at_ms = at_ms < m->beat_due_ms ? m->beat_due_ms : at_ms;
    if (at_ms < m->due_ms[CONTROL_BEAT])
        m->due_ms[CONTROL_BEAT] = at_ms;
}

void control_machine_beat_soon(struct control_machine *m, int64_t now_ms, uint64_t random)
{
    m->is_beat_hasty = true;
    hasten_beat(m, now_ms + (int64_t)(random % CONTROL_HASTE_MS));
}

static void note_beat(struct control_machine *m, int64_t now_ms)
{
    m->is_beat_hasty = false;
    m->beat_due_ms = now_ms + BEATS_APART_MS;
}

unsigned int control_machine_run(struct control_machine *m, int64_t now_ms)
{
    unsigned int jobs = 0;

    for (int job = 0; job < CONTROL_JOB_COUNT; job++) {
        if (!control_machine_is_due(m, (enum control_job)job, now_ms))
            continue;
        m->is_running[job] = true;
        m->due_ms[job] = NEVER;
        jobs |= 1u << job;
        if (job == CONTROL_BEAT)
            note_beat(m, now_ms);
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
        hasten_beat(m, now_ms);
        break;
    case CONTROL_STREAM: /* the other end closed it in good order */
        m->due_ms[CONTROL_STREAM] = now_ms + backoff_next_ms(&m->away[job], random);
        break;
    case CONTROL_POLL:
        m->due_ms[CONTROL_POLL] = now_ms + m->peer_sync_ms;
        break;
    case CONTROL_PIN:
        m->due_ms[CONTROL_REGISTER] = now_ms;
        break;
    case CONTROL_CA:
    case CONTROL_RENEW:
    case CONTROL_SWITCH: /* until they are wanted again */
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

bool control_job_is_aside(enum control_job job)
{
    return job == CONTROL_CA || job == CONTROL_RENEW || job == CONTROL_SWITCH;
}

/* Nothing of this node is taken, whatever it asks for: it registers, and that is all. */
static void shut_out(struct control_machine *m, int64_t at_ms)
{
    m->is_registered = m->is_watching = false;
    for (int job = 0; job < CONTROL_JOB_COUNT; job++) {
        m->due_ms[job] = NEVER;
        if (control_job_is_aside((enum control_job)job))
            backoff_reset(&m->away[job]);
    }
    m->due_ms[CONTROL_REGISTER] = at_ms;
}

static bool is_out_of_reach(enum control_result result)
{
    return result == CONTROL_AWAY || result == CONTROL_UNTRUSTED || result == CONTROL_OUT_OF_DATE;
}

/* Those aside have their own patience, whatever went wrong. */
static struct backoff *pauses_of(struct control_machine *m, enum control_job job,
                                 enum control_result result)
{
    if (control_job_is_aside(job) || is_out_of_reach(result) || result == CONTROL_OVERTAKEN)
        return &m->away[job];
    return job == CONTROL_PIN ? &m->barred : &m->refused;
}

/* It is the only one who waits for this, and every moment counts. */
static int64_t take_wait_ms(struct control_machine *m, enum control_job job)
{
    int64_t wait_ms = m->put_off_ms[job];

    m->put_off_ms[job] = 0;
    return wait_ms > HELD_MIN_MS ? wait_ms : HELD_MIN_MS;
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
    case CONTROL_UNADMITTED:
        shut_out(m, now_ms + backoff_next_ms(&m->unadmitted, random));
        break;
    case CONTROL_BARRED:
        shut_out(m, now_ms + backoff_next_ms(&m->barred, random));
        break;
    case CONTROL_HELD:
        m->due_ms[job] = now_ms + take_wait_ms(m, job);
        break;
    case CONTROL_REFUSED:
    case CONTROL_FOREIGN:
    case CONTROL_UNTRUSTED:
    case CONTROL_OUT_OF_DATE:
    case CONTROL_AWAY:
    case CONTROL_OVERTAKEN:
    case CONTROL_TWIN:
        m->due_ms[job] = now_ms + backoff_next_ms(pauses_of(m, job, result), random);
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

/* Another control plane may do better; one that could not show its pin may be a false one. */
static bool moves_on(enum control_job job, enum control_result result)
{
    return is_out_of_reach(result) || (job == CONTROL_PIN && result == CONTROL_REFUSED);
}

static void note_success(struct control_machine *m, enum control_job job)
{
    if (job != CONTROL_STREAM)
        backoff_reset(&m->away[job]);
    if (job == CONTROL_BEAT)
        backoff_reset(&m->unadmitted);
    if (job != CONTROL_PIN)
        m->due_ms[CONTROL_PIN] = NEVER; /* the control plane is known */
    if (job == CONTROL_REGISTER || job == CONTROL_PIN)
        backoff_reset(&m->barred);
    if (job == CONTROL_REGISTER) {
        backoff_reset(&m->refused);
        backoff_reset(&m->away[CONTROL_RENEW]); /* a certificate comes with it when it is due */
    }
}

void control_machine_done(struct control_machine *m, enum control_job job,
                          enum control_result result, size_t url_index, int64_t now_ms,
                          uint64_t random)
{
    m->is_running[job] = false;
    if (job == CONTROL_STREAM)
        stream_ended(m, now_ms);
    if (moves_on(job, result))
        rotate(m, url_index);
    if (result != CONTROL_OK) {
        schedule_after_failure(m, job, result, now_ms, random);
        wait_as_asked(m, job, now_ms, random);
        return;
    }
    note_success(m, job);
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
