/* When the agent says what to the control plane. Pure: time and chance are handed in, the jobs to
 * start are handed out; client.h does them.
 *
 *              registered                    stream up
 *     REGISTER ----------> BEAT, every heartbeat_ms +-10 %, for ever
 *        ^                 STREAM ------------------------------> nothing else to ask
 *        |                   |  ^                                     |
 *        | 404 or 410        |  '------- backoff, or 60 s when -------' lost
 *        '---- of a BEAT     |           there is none
 *                            '-> POLL, every peer_sync_ms while no stream is up
 *
 * With several control planes a job that gets no answer moves all that follow to the next one.
 *
 * Over TLS some more are asked for when they are due, each with pauses of its own when it fails:
 *
 *     PIN       fetches the CAs from who is not verified yet; then REGISTER
 *     CA        fetches the CAs when they are others than those that are known
 *     RENEW     asks for another certificate, by registering
 *     SWITCH    tries a new connection with what is on disk now; when it works, all others follow
 *
 * What is on its way stays as it is until SWITCH has worked: so a certificate that a wrong clock
 * makes worthless cuts nobody off who has a connection.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/backoff.h"

enum control_job {
    CONTROL_REGISTER,
    CONTROL_BEAT,
    CONTROL_STREAM,
    CONTROL_POLL,
    CONTROL_PIN,
    CONTROL_CA,
    CONTROL_RENEW,
    CONTROL_SWITCH,
    CONTROL_JOB_COUNT
};

/* How a job ended. */
enum control_result {
    CONTROL_OK,
    CONTROL_AWAY,         /* no answer, or one that only says that it cannot */
    CONTROL_REFUSED,      /* an answer that a hasty second try will not change */
    CONTROL_UNKNOWN_NODE, /* it does not know this node, or the node has left */
    CONTROL_UNSUPPORTED,  /* it has no event stream */
    CONTROL_FOREIGN,      /* it is of another cluster, or has lost what this node knows: an operator
                           * must decide */
    CONTROL_UNTRUSTED,    /* its certificate is of no CA that is known */
    CONTROL_OUT_OF_DATE,  /* its certificate is not valid now, or this host's clock is wrong */
    CONTROL_UNADMITTED,   /* what this node has shown is not taken; it has something else to show */
    CONTROL_BARRED,       /* and it has nothing else */
    CONTROL_OVERTAKEN,    /* a registration that was sent before the node's latest change */
    CONTROL_HELD,         /* another agent was this node a moment ago: until that is silent */
    CONTROL_TWIN,         /* another agent is this node, and alive */
    CONTROL_RESULT_COUNT
};

/* Pause before asking a control plane without a stream for one again. */
#define CONTROL_STREAM_RETRY_MS 60000
#define CONTROL_PUT_OFF_MAX_MS 30000

struct control_machine {
    size_t url_index, url_count;
    bool is_registered;
    bool is_watching; /* has been registered once */
    bool is_stream_up;
    bool is_running[CONTROL_JOB_COUNT];
    int64_t due_ms[CONTROL_JOB_COUNT];
    int64_t put_off_ms[CONTROL_JOB_COUNT]; /* 0: not asked to wait */
    struct backoff away[CONTROL_JOB_COUNT];
    struct backoff refused, barred;
    struct backoff unadmitted; /* until something has been admitted */
    int64_t heartbeat_ms;
    int64_t peer_sync_ms;
    bool is_beat_hasty;  /* it is to tell something */
    int64_t beat_due_ms; /* not before, however hasty: after the latest one */
};

/* CA, RENEW, SWITCH: nothing waits for them, and the control plane may be well while they fail. */
bool control_job_is_aside(enum control_job job);

void control_machine_init(struct control_machine *m, size_t url_count, int64_t now_ms);

/* Whether control_machine_run() would start it. */
bool control_machine_is_due(const struct control_machine *m, enum control_job job, int64_t now_ms);
/* No CA is known yet, or none of the right ones: PIN first, REGISTER after it. */
void control_machine_pin_first(struct control_machine *m, int64_t now_ms);
/* PIN, CA or SWITCH is wanted now, unless it runs or waits to be tried again. */
void control_machine_want(struct control_machine *m, enum control_job job, int64_t now_ms);
/* When RENEW is due (again): INT64_MAX is never. While it fails, it keeps its own time. */
void control_machine_set_renewal(struct control_machine *m, int64_t at_ms);

/* The jobs to start now, as bits (1 << CONTROL_REGISTER); they count as running from here on. */
unsigned int control_machine_run(struct control_machine *m, int64_t now_ms);

/* When control_machine_run() has something to say next; INT64_MAX: when a job has ended. */
int64_t control_machine_due_ms(const struct control_machine *m);

/* The intervals that the control plane told; before control_machine_done(CONTROL_REGISTER). */
void control_machine_set_intervals(struct control_machine *m, int64_t heartbeat_ms,
                                   int64_t peer_sync_ms);

/* A job that was running ended; url_index is the control plane that it was started with. */
void control_machine_done(struct control_machine *m, enum control_job job,
                          enum control_result result, size_t url_index, int64_t now_ms,
                          uint64_t random);

/* The answer to a job that failed asks to wait so long: before control_machine_done(). A heartbeat
 * waits for a third of its interval at most, so that it is not late; nobody for longer than
 * CONTROL_PUT_OFF_MAX_MS. */
void control_machine_put_off(struct control_machine *m, enum control_job job, int64_t wait_ms);

/* There is something to tell that cannot wait for the next heartbeat: one goes out within
 * CONTROL_HASTE_MS, but not within a second of the one before, and not before its pause is over
 * when that failed. */
#define CONTROL_HASTE_MS 150
void control_machine_beat_soon(struct control_machine *m, int64_t now_ms, uint64_t random);

/* The running stream has said something. */
void control_machine_stream_up(struct control_machine *m);

/* A whole list is wanted at at_ms, to confirm one that is doubted. Returns true when the running
 * stream has to be ended for that by the caller (then control_machine_done), false when a poll will
 * do it. */
bool control_machine_refresh(struct control_machine *m, int64_t at_ms);
