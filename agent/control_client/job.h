/* What the files of control_client share: the jobs under way, how each kind is asked and answered,
 * and the telling of what is wrong with them, once, and of its end. */
#pragma once

#include "agent/control_client/client.h"
#include "agent/control_client/events.h"

#define ETAG_SIZE 128
#define JOB_LINES_MAX 5
/* Of all that is answered at once. */
#define JOB_CALL_TIMEOUT_MS 5000

struct job {
    struct control_client *client;
    enum control_job kind;
    struct http_call *call;      /* NULL: none under way */
    size_t url_index;            /* of the control plane asked */
    struct api_origin known;     /* what was known when it was asked, */
    enum credential shown;       /* and what was shown, */
    bool is_cert_wanted;         /* and asked for */
    char *problem;               /* owned; NULL: its latest end was good */
    enum control_result failure; /* with a problem: of which kind */
    bool is_disbelieved;         /* it was told, since it was started, what is not of the cluster */
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
    int64_t away_since_ms; /* something fails since then; 0: all is well */
    uint64_t registrations, heartbeats, heartbeats_failed;
    /* Over TLS: */
    struct credentials credentials;
    bool is_barred;      /* all that was shown was refused, and nothing has been taken since */
    bool is_certifying;  /* the control plane has a CA of its own */
    int64_t renew_at;    /* Unix seconds by the control plane's clock */
    bool is_renewal_due; /* it was told so, whatever the time is */
    char ca_told[SHA256_HEX_SIZE];   /* of the CAs that it has now, as its heartbeats say */
    char ca_looked[SHA256_HEX_SIZE]; /* of those that were fetched last */
    uint64_t renewals;
    /* The control plane's clock, as far as it has told: Unix seconds minus the boot time's. */
    bool has_clock;
    int64_t clock_offset_s;
    int64_t clock_skew_s; /* its clock minus ours */
    bool is_skew_told;
};

/* One request, put together. */
struct ask {
    struct http_request_spec spec;
    char *url, *body;           /* owned; overwritten when freed, as tokens are in them */
    char *lines[JOB_LINES_MAX]; /* header lines, the same; ended by NULL */
    size_t line_count;
};

/* How a kind of job is asked and answered. */
struct job_type {
    const char *method;
    int64_t timeout_ms;
    /* Behind the control plane's address. Caller frees. */
    char *(*path)(const struct control_client *client);
    /* What else there is to say. Negative with a text: it cannot be asked now. NULL: nothing. */
    int (*fill)(struct control_client *client, struct job *job, struct ask *ask);
    /* The answer is CONTROL_OK: 200, or 304 to a poll. Ends in job_finish() or job_fail(). */
    void (*answer)(struct control_client *client, struct job *job,
                   const struct http_response *response);
};
extern const struct job_type job_register, job_renew; /* register.c */
extern const struct job_type job_beat, job_switch;    /* beat.c */
extern const struct job_type job_stream, job_poll;    /* watch.c */
extern const struct job_type job_pin, job_ca;         /* authority.c */
extern const struct job_type *const job_types[CONTROL_JOB_COUNT];

/* ---- ask.c: the beginning of a job ----------------------------------------------------------- */

/* What is shown with a job of this kind: the best of what there is now and that was not refused. */
enum credential ask_choose_credential(struct control_client *client, enum control_job kind);
/* All of the request but for spec.done. Negative with a text: it cannot be asked now. To be freed
 * in either case. */
int ask_put_together(struct control_client *client, struct job *job, struct ask *ask);
/* Takes the line over. One more than there is room for is a bug. */
void ask_add_line(struct ask *ask, char *line);
void ask_deinit(struct ask *ask);

/* ---- client.c: the end of a job -------------------------------------------------------------- */

/* What is to be done next, and when. */
void job_finish(struct job *job, enum control_result result);
/* The same, with a problem that is taken over. */
void job_fail(struct job *job, enum control_result result, char *problem);
/* Ends the stream that is under way, to begin another where it was. */
void client_restart_stream(struct control_client *client);
/* What is on disk is used from now on, by new connections. */
void client_use_papers(struct control_client *client);
/* Seconds since 1970, by the control plane's clock as far as it is known. */
int64_t client_now_s(const struct control_client *client);

/* ---- job.c: problems ------------------------------------------------------------------------- */

/* The job's latest end was bad; problem is taken over. Logged when it is news. */
void job_note_failure(struct job *job, enum control_result result, char *problem);
/* It was answered well. */
void job_note_success(struct job *job);
void job_forget_problem(struct job *job);
/* Once nothing has a problem any more. */
void job_say_when_back(struct control_client *client);

/* Whether any job has failed in this way. */
bool job_any_failed(const struct control_client *client, enum control_result failure);
/* Such a problem with what to do; words: err_text() or an answer's. Caller frees. */
char *job_foreign_text(const char *words);
/* Whether what the job was told is of the cluster, and not of its past; if not, that is noted.
 * Judged by what was known when the job was started: another answer may have overtaken this one. */
bool job_believes(struct job *job, const struct api_origin *told);

/* ---- register.c, beat.c, watch.c, authority.c ------------------------------------------------ */

/* When the certificate is due to be renewed, as far as is known now. */
void register_plan_renewal(struct control_client *client);
/* Whether there is a new certificate that is not in use yet. */
bool beat_is_switching(const struct control_client *client);
/* No stream is read any more. */
void watch_forget_stream(struct control_client *client);
/* The access token's CAs can be had and are not known: it is worth asking for them. */
bool authority_can_pin(const struct control_client *client);
/* Whether one of the CAs that are known is one of the token's, or they were given. */
bool authority_knows(const struct control_client *client, const struct access_token *token);
/* Only the token's CAs count from now on, before it is shown, unless they were given; the cluster's
 * others are told again to who is let in. 0, TLS_NOT_PINNED, or negative, with a text. */
int authority_narrow(struct control_client *client, const struct access_token *token);
/* CAs that were told by who had been verified are in force. */
void authority_tell_new(struct control_client *client);
