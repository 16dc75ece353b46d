/* One change on its way: planned, stored, in effect, answered, told to everybody. What operations.h
 * offers is made of these; a kind of change is one operation_type.
 */
#pragma once

#include "control/control.h"

struct operation {
    const struct operation_type *type;
    struct control *control;
    bool is_wish;                 /* somebody's, and not our own */
    struct http_request *request; /* NULL: nobody waits for the answer */
    json_t *body;                 /* owned; what register borrows from */
    struct api_register_request wish;
    struct registry_visit visit;
    char token_id[ACCESS_TOKEN_ID_SIZE]; /* that it would become a node with; "": none */
    struct tls_public_key *key;          /* to be certified; owned; NULL: none */
    struct registry_grant grant;
    char node_id[UUID_TEXT_SIZE];
    struct api_reservation reservation;
    struct registry_change *planned; /* by somebody else; for those that begin with one */
    struct operation *waiting;       /* for this one's change */
    struct operation *prev, *next;
};

/* What is to be done, how it is answered when it is done, and what the log says. */
struct operation_type {
    enum registry_outcome (*plan)(struct operation *op, struct moment now,
                                  struct registry_change **ret_change);
    /* The change is decided: stored, or not (set.revision is 0). NULL: nobody has to know. */
    void (*decided)(struct operation *op, const struct registry_change *change);
    /* It was stored, is in effect and published. NULL: nothing follows from it. */
    void (*follow)(struct operation *op, const struct registry_change *change);
    void (*answer)(struct operation *op); /* NULL: nothing to answer */
    const char *log_text;
};

/* One that somebody waits for; NULL: it was answered that it comes too late, or too soon. */
struct operation *operation_new_wish(const struct operation_type *type, struct control *control,
                                     struct http_request *request);
/* Starts it; it frees itself when it is over. */
void operation_run(struct operation *op);
/* A change that somebody has planned for nobody in particular. */
void operation_run_planned(struct control *control, const struct operation_type *type,
                           struct registry_change *change);
