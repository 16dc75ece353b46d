/* A client's connection over TLS. */
#include "lib/rpc/courier.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/rpc/lane.h"

#define PROTOCOL "h2" /* RFC 9113 section 3.2 */
#define BEGIN_LIMIT_MS 5000
#define UNHEARD_LIMIT_MS 10000 /* what was sent and is not acknowledged */
#define ROUNDS_MAX 8

enum stage { STAGE_CONNECTING, STAGE_SHAKING_HANDS, STAGE_CARRYING, STAGE_ENDED };

struct rpc_courier {
    enum stage stage;
    struct lane_side server, core;
    struct loop_source *timer;
    struct lane out, in; /* seen from the core */
    bool is_core_done;   /* the core has said all */
    bool is_server_done;
    char *problem; /* owned */
};

static void end(struct rpc_courier *c, const char *problem)
{
    c->stage = STAGE_ENDED;
    c->problem = mem_strdup(problem);
    if (c->server.tls)
        tls_session_bye(c->server.tls);
    lane_side_close(&c->server);
    lane_side_close(&c->core);
    loop_timer_disarm(c->timer);
}

/* ---- carrying ------------------------------------------------------------------------------- */

static int take(struct lane *lane, const struct lane_side *side, bool *is_done, bool *moved)
{
    ssize_t n;

    if (*is_done || !lane_has_room(lane))
        return 0;
    n = lane_fill(lane, side);
    *is_done = n == 0;
    *moved = *moved || n > 0;
    return n < 0 && n != -EAGAIN ? (int)n : 0;
}

static int carry_round(struct rpc_courier *c, bool *moved)
{
    int64_t now_ms = clock_boot_ms();
    int r = take(&c->out, &c->core, &c->is_core_done, moved);

    if (r == 0)
        r = lane_drain(&c->out, &c->server, now_ms, moved);
    if (r == 0)
        r = take(&c->in, &c->server, &c->is_server_done, moved);
    return r == 0 ? lane_drain(&c->in, &c->core, now_ms, moved) : r;
}

static bool is_through(const struct rpc_courier *c)
{
    return (c->is_core_done && lane_is_empty(&c->out)) ||
           (c->is_server_done && lane_is_empty(&c->in));
}

/* After a handshake that went well on this side, the server may still refuse what it was shown. */
static void end_broken(struct rpc_courier *c, int r)
{
    if (r == -EPROTO)
        end(c, err_text());
    else
        end(c, "the connection broke");
}

static void carry(struct rpc_courier *c)
{
    bool moved = true;
    int r = 0;

    for (int i = 0; r == 0 && moved && (i < ROUNDS_MAX || lane_side_is_pending(&c->server)); i++) {
        moved = false;
        r = carry_round(c, &moved);
    }
    if (r < 0) {
        end_broken(c, r);
        return;
    }
    if (is_through(c)) {
        end(c, "the server closed the connection");
        return;
    }
    lane_side_watch(&c->server, !c->is_server_done && lane_has_room(&c->in),
                    !lane_is_empty(&c->out));
    lane_side_watch(&c->core, !c->is_core_done && lane_has_room(&c->out), !lane_is_empty(&c->in));
}

/* ---- beginning ------------------------------------------------------------------------------ */

static void shake_hands(struct rpc_courier *c)
{
    int r = tls_session_handshake(c->server.tls);

    if (r < 0) {
        end(c, err_text());
        return;
    }
    if (r > 0) {
        lane_side_watch(&c->server, r == TLS_WANTS_IN, r == TLS_WANTS_OUT);
        return;
    }
    c->stage = STAGE_CARRYING;
    loop_timer_disarm(c->timer);
    carry(c);
}

static void connected(struct rpc_courier *c)
{
    int errnum = 0;
    socklen_t size = sizeof errnum;

    if (getsockopt(c->server.fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0)
        errnum = errno;
    if (errnum != 0) {
        (void)err_sys(errnum, "connect");
        end(c, err_text());
        return;
    }
    c->stage = STAGE_SHAKING_HANDS;
    shake_hands(c);
}

static void go_on(struct rpc_courier *c)
{
    switch (c->stage) {
    case STAGE_CONNECTING:
        connected(c);
        return;
    case STAGE_SHAKING_HANDS:
        shake_hands(c);
        return;
    case STAGE_CARRYING:
        carry(c);
        return;
    case STAGE_ENDED:
        return;
    }
}

static void on_server(void *data, uint32_t epoll_events)
{
    go_on(data);
}

/* The core waits with what it has to say until somebody takes it. */
static void on_core(void *data, uint32_t epoll_events)
{
    struct rpc_courier *c = data;

    if (c->stage == STAGE_CARRYING)
        carry(c);
    else if (epoll_events & (EPOLLHUP | EPOLLERR))
        end(c, "nobody waits for it any more");
}

static void on_timer(void *data)
{
    end(data, "the server does not answer within 5 s");
}

/* ---- life ----------------------------------------------------------------------------------- */

static int open_socket(struct rpc_courier *c, const struct rpc_target *target)
{
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(target->ip),
                                     .sin_port = htons(target->port)};
    int one = 1, unheard_ms = UNHEARD_LIMIT_MS;

    c->server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->server.fd < 0)
        return err_sys(errno, "open a socket");
    if (setsockopt(c->server.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        setsockopt(c->server.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard_ms, sizeof unheard_ms) < 0)
        return err_sys(errno, "set up a socket");
    if (connect(c->server.fd, (const struct sockaddr *)&addr, sizeof addr) < 0 &&
        errno != EINPROGRESS)
        return err_sys(errno, "connect");
    return 0;
}

static int open_pair(struct rpc_courier *c, int *ret_core_fd)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return err_sys(errno, "open a socket");
    c->core.fd = ends[0];
    *ret_core_fd = ends[1];
    return 0;
}

static int watch(struct rpc_courier *c, struct loop *loop)
{
    int r = loop_add_timer(loop, on_timer, c, &c->timer);

    c->server.events = EPOLLOUT;
    if (r == 0)
        r = loop_add_io(loop, c->server.fd, EPOLLOUT, on_server, c, &c->server.io);
    if (r == 0)
        r = loop_add_io(loop, c->core.fd, 0, on_core, c, &c->core.io);
    if (r == 0)
        loop_timer_set_in(c->timer, BEGIN_LIMIT_MS);
    return r;
}

static int init(struct rpc_courier *c, const struct rpc_courier_config *config, int *ret_core_fd)
{
    const struct tls_server_wanted wanted = {.host = config->target->host,
                                             .is_own_node = config->is_own_node};
    int r = open_socket(c, config->target);

    if (r == 0)
        r = tls_session_new_client(config->keyring, c->server.fd, PROTOCOL, &wanted,
                                   &c->server.tls);
    if (r == 0)
        r = open_pair(c, ret_core_fd);
    return r == 0 ? watch(c, config->loop) : r;
}

int rpc_courier_new(const struct rpc_courier_config *config, struct rpc_courier **ret_courier,
                    int *ret_core_fd)
{
    struct rpc_courier *c = NEW(struct rpc_courier);
    AUTO_CLOSE int core_fd = -1;
    int r;

    c->server.fd = c->core.fd = -1;
    r = init(c, config, &core_fd);
    if (r < 0) {
        rpc_courier_free(c);
        return r;
    }
    *ret_courier = c;
    *ret_core_fd = TAKE_FD(core_fd);
    return 0;
}

void rpc_courier_free(struct rpc_courier *c)
{
    if (!c)
        return;
    lane_side_close(&c->server);
    lane_side_close(&c->core);
    loop_source_free(c->timer);
    free(c->problem);
    free(c);
}

bool rpc_courier_has_ended(const struct rpc_courier *c)
{
    return c->stage == STAGE_ENDED;
}

const char *rpc_courier_problem(const struct rpc_courier *c)
{
    return c->problem;
}
