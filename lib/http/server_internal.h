/* What the server's own files share; nobody else includes this.
 *
 *     accepted ──> connection (libmicrohttpd's) ──> http_request ──> answer ──> next request
 *                                                        │
 *                                                        └──> http_stream or http_linger:
 *                                                             the socket leaves libmicrohttpd
 *
 * libmicrohttpd parses requests and sends ordinary answers. Two things it cannot do well, so these
 * take the connection's socket over (http_wire_take) and work on it from our own loop:
 *
 *     http_stream  endless answers. libmicrohttpd's way, a suspended connection, is searched for
 *                  in a list of all suspended ones whenever one wakes, keeps its buffers, and does
 *                  not notice that the client has gone.
 *     http_linger  answers given before the request's body was read. libmicrohttpd closes right
 *                  after them, and the reset that follows can destroy the answer on its way.
 */
#pragma once

#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/uio.h>

#include "lib/base/strbuf.h"
#include "lib/http/ring.h"
#include "lib/http/route.h"
#include "lib/http/server.h"
#include "lib/http/tls.h"

/* A connection that may have to make room for another (peers.c). Embedded. */
enum http_guest_kind { HTTP_GUEST_IDLE, HTTP_GUEST_STREAM };
#define HTTP_GUEST_KINDS 2

struct http_guest {
    struct ring ring; /* in its crowd, or in none: it may not be displaced */
    struct peer *peer;
    enum http_guest_kind kind;
    bool is_going; /* told to end, and not gone yet */
};

struct http_crowd {
    struct ring guests;
    unsigned int count;
    struct ring rank;
};
#define HTTP_RANKS 32

/* Members are cut off at their time; they are in order of it, because all have the same. */
struct http_deadline {
    struct ring ring;
    int64_t timeout_ms;
};

struct http_server {
    struct loop *loop;
    struct MHD_Daemon *mhd;
    struct route_table *routes;
    struct http_server_config config;
    struct http_tls *tls; /* of connections from now on; NULL: plain HTTP */
    int64_t idle_timeout_ms;
    int64_t now_ms; /* of the round under way */
    uint16_t port;
    char hostname[HOST_NAME_MAX + 1]; /* for is_for_programs */
    bool is_draining;
    unsigned int connection_count; /* libmicrohttpd's, streams and lingering ones together */
    unsigned int going;            /* of these, told to make room */
    uint64_t displaced;            /* told so since the start */
    struct peer *peers;            /* by address */
    struct ring ranks[HTTP_GUEST_KINDS][HTTP_RANKS];
    size_t large_body_bytes; /* of requests, held now; see LARGE_BODIES_MAX */

    struct loop_source *mhd_io;
    struct loop_source *mhd_again; /* a turn without waiting for its sockets */
    struct loop_source *mhd_timer;
    int64_t mhd_due_ms; /* when mhd_timer is armed */

    struct http_deadline opening;   /* struct http_conn: nothing has been asked yet */
    struct http_deadline heading;   /* the same: headers are being sent to us */
    struct http_deadline receiving; /* the same: a body is, or another request is awaited */
    struct http_deadline sending;   /* the same: an answer is being sent */
    struct http_deadline blocked;   /* struct http_stream: the client does not take what is sent */
    struct http_deadline lingering; /* struct http_linger */
    struct loop_source *sweep_timer;
    int64_t sweep_due_ms; /* when sweep_timer is armed */

    struct ring waiting; /* struct http_request: to be answered later */
    struct ring awake;   /* struct http_stream: may have something to send */
    struct ring asleep;  /* struct http_stream: nothing to send */
    int stream_epoll_fd;
    struct loop_source *stream_io;
    struct ring half_closed; /* struct http_conn: the client's end was seen in this turn */
    struct ring paused;      /* struct http_conn: see http_conn_pause() */
    int half_close_epoll_fd;
    struct loop_source *half_close_io;
    struct loop_source *stream_timer;
};

/* One of libmicrohttpd's connections. */
struct http_conn {
    struct ring ring;        /* in one of the lists with deadlines, or in none */
    struct ring half_closed; /* in the server's list of this name, or in none */
    struct ring paused;      /* the same: suspended until the handshake can go on */
    struct MHD_Connection *mhd;
    struct http_server *server;
    int fd; /* libmicrohttpd's */
    uint32_t addr;
    int64_t cut_ms;
    bool is_sending;
    uint64_t taken_bytes; /* by the client, at the latest look at an answer that takes long */
    struct http_guest guest;
    bool is_vouched_for;
    struct http_request *request; /* begun and not ended; NULL: none */
    gnutls_session_t session;     /* libmicrohttpd's; NULL: plain HTTP */
    struct http_tls *tls;         /* what the session began with */
    bool speaks_tls;              /* its first byte was of a handshake */
    bool is_handshaken;
    void *note; /* see http_connection_note() */
    void (*free_note)(void *note);
};

enum http_request_state {
    HTTP_REQUEST_TARGET,   /* the request line was read */
    HTTP_REQUEST_BODY,     /* headers were read */
    HTTP_REQUEST_HANDLING, /* in its handler */
    HTTP_REQUEST_WAITING,  /* suspended until it is answered */
    HTTP_REQUEST_ANSWERED,
};

enum http_request_socket {
    HTTP_SOCKET_LIBRARYS,
    HTTP_SOCKET_DUPLICATED, /* libmicrohttpd is to let go of it */
    HTTP_SOCKET_BORROWED,   /* libmicrohttpd is to leave it alone until it is given back */
};

struct http_request {
    struct ring ring; /* in waiting, or in no list */
    struct http_server *server;
    struct MHD_Connection *mhd;
    enum http_request_state state;
    bool is_head;
    bool is_http10;
    bool is_streamed; /* the stream reports the end, not the request */
    enum http_request_socket socket;
    int route;           /* -1: none */
    unsigned int status; /* when answered */

    enum route_outcome target;
    const struct route_resource *resource; /* when target is ROUTE_FOUND */
    size_t param_count;
    size_t param_offsets[ROUTE_SEGMENTS_MAX]; /* into param_text */

    const char *raw_target; /* libmicrohttpd's; it writes into it later */
    size_t raw_target_len;
    bool has_blank_target;
    const char *query; /* decoded, in param_text */
    struct strbuf body;
    size_t large_body_bytes; /* counted in the server's, too */
    struct strbuf headers;   /* of the answer: "Name: value\r\n" ... */
    http_gone_fn gone;
    void *gone_data;
    char param_text[];
};

/* ---- halfclose.c --------------------------------------------------------------------------- */

/* Also tells when a paused connection can go on. */
int http_half_closes_init(struct http_server *server);
/* When no connection is left. */
void http_half_closes_deinit(struct http_server *server);
void http_half_closes_watch(struct http_conn *conn);
/* No more pauses from now on. */
void http_half_closes_end_pauses(struct http_conn *conn);
/* While its socket is still open. */
void http_half_closes_forget(struct http_conn *conn);

/* ---- deadlines.c ----------------------------------------------------------------------------- */

void http_deadlines_init(struct http_server *server);
/* Cuts off whose time has come. */
void http_server_sweep(void *server);
/* Puts the member at the end of one of the lists that are swept. */
void http_server_sweep_later(struct http_server *server, struct http_deadline *list,
                             struct ring *member, int64_t *ret_cut_ms);
/* It was accepted: something is to be asked soon. */
void http_conn_opened(struct http_conn *conn);
/* From now on another request, or the body of one, has idle_timeout_s to come in. */
void http_conn_expect(struct http_conn *conn);
/* Its request line has come in: so have its headers to. */
void http_conn_expect_headers(struct http_conn *conn);
/* The request has come in. */
void http_conn_received(struct http_conn *conn);
/* An answer to it is on its way. */
void http_conn_sends(struct http_conn *conn);
/* Ends it: libmicrohttpd sees the client close. */
void http_conn_cut(struct http_conn *conn);
/* It is not displaced by those who come. */
void http_conn_vouch(struct http_conn *conn);
/* Whether a request is being sent to us, or awaited. */
bool http_conn_is_receiving(const struct http_conn *conn);

/* ---- server.c ------------------------------------------------------------------------------ */

struct http_conn *http_conn_of(struct MHD_Connection *mhd);

/* While a handshake waits for the client, libmicrohttpd asks for it in every turn, and wants the
 * next turn at once: one client that says nothing would keep a CPU busy. So the connection is
 * suspended until something has come. */
void http_conn_pause(struct http_conn *conn);
void http_conn_go_on(struct http_conn *conn);

/* libmicrohttpd does what there is to do, now. */
void http_server_run(struct http_server *server);
/* libmicrohttpd has something to do that its sockets do not tell: connections go on. */
void http_server_kick(struct http_server *server);

/* ---- peers.c --------------------------------------------------------------------------------- */

void http_peers_init(struct http_server *server);
/* Whether one more of this address may come; somebody else may be told to go for that. */
bool http_peers_make_room(struct http_server *server, uint32_t addr);
void http_peers_add(struct http_server *server, uint32_t addr);
void http_peers_remove(struct http_server *server, uint32_t addr);

void http_guest_init(struct http_guest *guest, enum http_guest_kind kind);
/* It may be displaced from now on, after all others of its address. While that has connections. */
void http_guest_wait(struct http_server *server, uint32_t addr, struct http_guest *guest);
/* It may not. */
void http_guest_hold(struct http_server *server, struct http_guest *guest);
/* It ends: before http_peers_remove(). */
void http_guest_leave(struct http_server *server, struct http_guest *guest);

/* ---- listen.c -------------------------------------------------------------------------------- */

/* A listening socket, TCP_NODELAY for all that is accepted. *port is 0 for any; gets the real one.
 */
int http_listen(uint32_t addr, uint16_t *port, int *ret_fd);
/* Raises the soft limit of open files as far as allowed. Returns how many connections there are
 * files for, at most those that are wanted; warns when that is fewer. */
unsigned int http_fit_connections(unsigned int wanted);

/* ---- exchange.c: libmicrohttpd's callbacks --------------------------------------------------- */

void *http_exchange_start(void *server, const char *target, struct MHD_Connection *mhd);
enum MHD_Result http_exchange_go_on(void *server, struct MHD_Connection *mhd, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_n, void **request);
void http_exchange_end(void *server, struct MHD_Connection *mhd, void **request,
                       enum MHD_RequestTerminationCode code);
/* Frees a request of which libmicrohttpd tells no end: one whose query had no room in its memory.
 */
void http_exchange_forget(struct http_conn *conn);
/* Its server ends: tells whoever still wants to answer. */
void http_exchange_abandon(struct http_request *request);

/* ---- head.c ---------------------------------------------------------------------------------- */

/* Whether libmicrohttpd refuses itself, when it is asked to, what is no HTTP by the letter. */
#if MHD_VERSION >= 0x00097701
#define HTTP_LIBRARY_IS_STRICT true
#else
#define HTTP_LIBRARY_IS_STRICT false
#endif

/* The status to refuse a request by whose headers have come in, and why; 0: none. */
unsigned int http_head_judge(const struct http_request *request, const char *method,
                             const char *version, const char **ret_why);

/* To be told what libmicrohttpd logs, as it does: answers in its stead a request whose length it
 * does not take. */
void http_head_heed_library(struct http_server *server, const char *said);

/* ---- body.c ---------------------------------------------------------------------------------- */

/* An answer with the body: the caller's own, to which headers may be added. */
struct MHD_Response *http_body_response_new(struct http_body *body, const char *content_type);
/* The same for all, made once; the body's. A body is always asked for with the same type. */
struct MHD_Response *http_body_response(struct http_body *body, const char *content_type);

/* ---- reply.c --------------------------------------------------------------------------------- */

/* Marks the request as answered and, when it waited, hands it back to libmicrohttpd. */
void http_request_answered(struct http_request *request, unsigned int status);
/* Answers although the body has not been read: the rest of it is thrown away. */
void http_request_refuse(struct http_request *request, unsigned int status, const char *detail);
/* A status line and headers as bytes, for sockets that were taken over. body_len < 0: not known. */
void http_head_write(const struct http_request *request, unsigned int status,
                     const char *content_type, ssize_t body_len, struct strbuf *out);

/* ---- wire.c: sockets that libmicrohttpd no longer serves ------------------------------------- */

struct http_wire {
    struct http_server *server; /* NULL: closed */
    uint32_t addr;
    int fd;
    gnutls_session_t session;      /* NULL: plain */
    struct MHD_Connection *lender; /* with session: the connection, suspended */
};

/* Takes the request's socket; counts as a connection of its address as long as it is open. What
 * libmicrohttpd has read and not handed over is lost. The request must then be marked as answered.
 * -errno with a text. */
int http_wire_take(struct http_request *request, struct http_wire *ret_wire);
/* Whoever watches fd lets go of it before. */
void http_wire_close(struct http_wire *wire);
/* As sendmsg and recv without waiting; at most a record's worth over TLS. -1 and errno. After
 * EAGAIN the same bytes must come again first. */
ssize_t http_wire_send(const struct http_wire *wire, struct iovec *iov, size_t count);
ssize_t http_wire_receive(const struct http_wire *wire, void *bytes, size_t n);
/* Nothing more will be sent. */
int http_wire_say_end(const struct http_wire *wire);

/* ---- stream.c, linger.c ---------------------------------------------------------------------- */

int http_streams_init(struct http_server *server);
void http_streams_deinit(struct http_server *server);
/* For the sweep: cuts off those whose time has come. Returns the next one's time, 0 for none. */
int64_t http_streams_sweep(struct http_server *server);
void http_stream_displace(struct http_guest *guest);

/* Sends these bytes, then throws away what the client still sends until it closes. Takes the wire
 * over. */
void http_linger_start(struct http_wire *wire, char *bytes, size_t n);
int64_t http_lingers_sweep(struct http_server *server);
/* Ends the oldest, if there is one. */
bool http_lingers_displace(struct http_server *server);
void http_lingers_deinit(struct http_server *server);
