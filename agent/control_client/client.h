/* The agent's side of the control plane's REST API: registers, keeps the heart beating, watches the
 * list of nodes by event stream or, where there is none, by polling; over TLS, keeps the node's
 * certificate and the CAs good. Says what it learns through callbacks; keeps trying for ever.
 *
 *     ask.c        the request, and what is shown with it
 *     client.c     what is due is asked for; what comes back goes to
 *     register.c   REGISTER, RENEW
 *     beat.c       BEAT, SWITCH
 *     watch.c      STREAM, POLL
 *     authority.c  PIN, CA
 *     job.c        the telling of problems
 */
#pragma once

#include "agent/control_client/credentials.h"
#include "agent/control_client/machine.h"
#include "agent/join_token.h"
#include "agent/papers.h"
#include "lib/api/heartbeat.h"
#include "lib/base/loop.h"
#include "lib/http/client.h"

struct control_client_events {
    /* Registered, anew or again. */
    void (*registered)(void *data, const struct api_register_reply *reply);
    /* The cluster's intervals are others than told before. */
    void (*intervals)(void *data, const struct api_cluster *cluster);
    /* What the state is that the next list, node or deletion is of; cluster_id may be "". */
    void (*origin)(void *data, const struct api_origin *origin);
    /* All nodes. nodes NULL: the same list as last time. */
    void (*list)(void *data, const struct api_node *nodes, size_t count);
    void (*node)(void *data, const struct api_node *node);
    void (*deleted)(void *data, const char *node_id);
    /* What the next heartbeat says; all but the generation and the CAs. */
    void (*report)(void *data, struct api_heartbeat *report);
    /* Appends members of the owner's to it, each with a comma before it. */
    void (*tell)(void *data, struct strbuf *out);
    /* The CAs in papers are others now. */
    void (*trusted)(void *data);
    /* What proved this node is not taken any more, and it is about to join anew: it wants another
     * new_token and another key, on disk, for somebody else may have the old ones. */
    void (*disowned)(void *data);
};

struct control_client_config {
    const char *const *urls; /* borrowed, base URLs without the final slash */
    size_t url_count;
    /* What is said when registering. */
    const char *hostname;
    uint32_t host_ip;
    int64_t cpu_cores; /* -1: unknown */
    int64_t ram_mb;
    const char *instance_id; /* of this process, a UUID */
    const char *home_id;     /* of its state directory, the same; NULL: not known */
    const char *new_token;   /* what a token given to this node is to be; in the file already */
    /* Borrowed; the owner keeps it up to date. node_id "": none yet. */
    const struct api_register_reply *identity;
    struct papers *papers;          /* borrowed; NULL: plain HTTP */
    const struct join_token *token; /* borrowed */
    const char *spent_token;        /* its id has let this node in; borrowed, kept up to date */
    const struct control_client_events *events;
    void *data;
};

struct control_client;

int control_client_new(struct loop *loop, struct http_client *http,
                       const struct control_client_config *config,
                       struct control_client **ret_client);
void control_client_free(struct control_client *client);

/* Begins to register. */
void control_client_start(struct control_client *client);
/* Ends everything under way; nothing is said any more. */
void control_client_stop(struct control_client *client);

/* Forgets what was said and registers anew, now: identity has changed under it. */
void control_client_restart(struct control_client *client);

/* A whole fresh list is wanted now. */
void control_client_refresh(struct control_client *client);
/* There is something to tell with a heartbeat that cannot wait for the next one. */
void control_client_beat_soon(struct control_client *client);
/* The files of papers are others now: to be used as soon as they have been found to work. */
void control_client_reconnect(struct control_client *client);

struct control_client_status {
    const char *url; /* the control plane in use */
    bool is_registered;
    bool is_connected;
    bool is_stream_up;
    bool is_foreign;       /* it is refused until control_client_restart() with another identity */
    bool is_barred;        /* it refuses whatever this node has to show */
    bool is_twin;          /* another agent runs as this node */
    bool is_untrusted;     /* it is not believed to be the control plane, as problem says */
    enum credential shown; /* what it is shown; over TLS */
    bool has_clock_skew;   /* the control plane has told its time: */
    int64_t clock_skew_s;  /* its clock minus ours */
    uint64_t renewals;     /* of the certificate */
    int64_t last_contact_ms; /* boot time; 0: never */
    const char *problem;     /* "": none. What the latest failing job said */
    uint64_t registrations, heartbeats, heartbeats_failed;
};
void control_client_status(const struct control_client *client, struct control_client_status *ret);

/* Where to reach the control plane that answered last. */
const char *control_client_url(const struct control_client *client);
/* The header line that a request of this node needs there; NULL: none. Caller frees with
 * secret_free(). */
char *control_client_authorization(const struct control_client *client);
