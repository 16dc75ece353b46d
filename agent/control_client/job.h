/* What client.c and job.c share: the jobs under way, and the telling of what is wrong with them,
 * once, and of its end. */
#pragma once

#include "agent/control_client/client.h"
#include "agent/control_client/events.h"

#define ETAG_SIZE 128

struct job {
    struct control_client *client;
    enum control_job kind;
    struct http_call *call;  /* NULL: none under way */
    size_t url_index;        /* of the control plane asked */
    struct api_origin known; /* what was known when it was asked */
    char *problem;           /* owned; NULL: its latest end was good */
    bool is_refused;         /* problem: an answer that only an operator can change, */
    bool is_foreign;         /* namely by accepting the cluster */
    bool is_disbelieved;     /* it was told, since it was started, what is not of the cluster */
};

struct control_client {
    struct control_client_config config;
    struct http_client *http;
    struct loop_source *timer;
    struct control_machine machine;
    struct job jobs[CONTROL_JOB_COUNT];
    struct control_events *stream; /* while one is under way */
    bool is_resuming;              /* that one was asked to go on behind last_event_id */
    char last_event_id[CONTROL_EVENT_ID_SIZE];
    char etag[ETAG_SIZE]; /* of the list polled last; "": none */
    size_t good_url;      /* answered last */
    bool is_stopped;
    int64_t last_contact_ms;
    int64_t stale_ms;      /* when a stale registration was renewed last; 0: never */
    int64_t away_since_ms; /* something fails since then; 0: all is well */
    uint64_t registrations, heartbeats, heartbeats_failed;
};

/* The job's latest end was bad; problem is taken over. Logged when it is news. */
void job_note_failure(struct job *job, enum control_result result, char *problem);
/* It was answered well. */
void job_note_success(struct job *job);
void job_forget_problem(struct job *job);
/* Once nothing has a problem any more. */
void job_say_when_back(struct control_client *client);

/* Whether an operator has to accept the cluster. */
bool job_any_foreign(const struct control_client *client);
/* Such a problem with what to do; words: err_text() or an answer's. Caller frees. */
char *job_foreign_text(const char *words);
/* Whether what the job was told is of the cluster, and not of its past; if not, that is noted.
 * Judged by what was known when the job was started: another answer may have overtaken this one. */
bool job_believes(struct job *job, const struct api_origin *told);
