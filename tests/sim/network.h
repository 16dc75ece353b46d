/* What the two ends of the simulated network share: see sim.h for the picture. */
#pragma once

#include "lib/base/list.h"
#include "lib/base/strbuf.h"
#include "lib/http/client.h"
#include "lib/http/route.h"
#include "lib/http/server.h"
#include "tests/sim/sim.h"

#define PARAMS_MAX 2
#define PARAM_SIZE 128
#define ETAG_TEXT_MAX 128

/* A piece of an endless answer on its way; body NULL: the end of it. */
struct piece {
    struct http_body *body;
    int error; /* with the end: 0, or why */
    struct piece *prev, *next;
};

/* One request and its answer. Held by its client's call, by the server while it works on it, and by
 * each event that carries it. */
struct exchange {
    unsigned int refs;
    struct host *client;
    uint32_t from_ip;       /* the client's address when it asked: without it, it is cut off */
    struct http_call *call; /* NULL: nobody waits any more */
    struct http_request *request; /* NULL: not with the server */
    struct http_stream *stream;   /* NULL: none, or over at the server's end */
    char *method, *target, *body;
    char *accept, *last_event_id, *if_none_match; /* owned; NULL: not sent */
    unsigned int tries;
    /* The answer. */
    unsigned int status;
    int error;
    char *reply;
    char etag[ETAG_TEXT_MAX];
    uint64_t retry_after_s;
    struct piece *pieces;
    struct sim_event *delivery;   /* of the first piece */
    struct exchange *prev, *next; /* of those that the server has */
    bool is_at_server;
    struct exchange *all_prev, *all_next;
};

struct http_request {
    struct exchange *exchange;
    int route;
    char params[PARAMS_MAX][PARAM_SIZE];
    char etag[ETAG_TEXT_MAX];
    uint64_t retry_after_s;
    http_gone_fn gone;
    void *gone_data;
    bool is_answered;
};

struct http_stream {
    struct exchange *exchange;
    http_stream_next_fn next_fn;
    http_gone_fn gone;
    void *data;
    size_t in_flight, window;
    bool is_awake;
    struct sim_event *pump;
    struct sim_event *cut; /* when the client has taken nothing for too long */
};

struct network {
    struct network_faults faults;
    struct http_server *server; /* NULL: nobody listens */
    struct exchange *at_server;
    struct exchange *all;
    char *old_list; /* the first list that was ever sent */
};

struct exchange *exchange_ref(struct exchange *x);
void exchange_unref(struct exchange *x);
/* How long a message to or from this host takes. */
int64_t network_delay_us(const struct host *host);

/* ---- network_server.c ---------------------------------------------------------------------- */

/* The request has come to the control plane's host. Takes a reference over. */
void server_take(struct exchange *x);
/* The exchange is over at the server's end. */
void server_leave(struct exchange *x);
/* Of an answered or given up request, which is freed. */
void server_request_done(struct http_request *request, unsigned int status);

/* ---- network_stream.c ---------------------------------------------------------------------- */

/* The client has closed its end. */
void server_notice_closed(struct exchange *x);
/* The server ends the stream, which is freed; its client hears nothing of that yet. */
void server_stream_end(struct http_stream *stream);

/* ---- network_client.c ---------------------------------------------------------------------- */

/* The whole answer sets out for the client. */
void client_answer(struct exchange *x);
/* Pieces set out, as far as the first one has not. */
void client_send_pieces(struct exchange *x);
void exchange_add_piece(struct exchange *x, struct http_body *body, int error);
void exchange_drop_pieces(struct exchange *x);
