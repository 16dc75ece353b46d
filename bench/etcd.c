/* The load generator for etcd, over its own gRPC API, in one thread over epoll like the one for the
 * control plane. Each connection is a client of its own with one request in flight.
 *
 *     etcd ADDRESS:PORT CONNECTIONS SECONDS put              a key a request, each another one, as
 *                                                            long as our record of a node
 *     etcd ADDRESS:PORT CONNECTIONS SECONDS fill COUNT       COUNT leases, and a key under each
 *     etcd ADDRESS:PORT CONNECTIONS SECONDS range COUNT      all keys; each answer must have COUNT
 *     etcd ADDRESS:PORT CONNECTIONS SECONDS keepalive COUNT  the leases of fill in turn, over one
 *                                                            stream a connection, as etcd's own
 *                                                            client does it
 *     etcd ADDRESS:PORT WATCHERS CHANGES watch               WATCHERS connections with one watch
 *                                                            each; a put, and when the last one
 *                                                            has heard, the next; then it holds
 *                                                            the watches until SIGTERM
 *
 * Prints one JSON line, in the words of load and crowd.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "bench/dial.h"
#include "bench/h2.h"
#include "bench/samples.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define CLIENTS_MAX 20000
#define COUNT_MAX 1000000
#define DEADLINE_US 60000000
#define VALUE_SIZE 236 /* what our store holds of a node with the facts load gives it */
#define LEASE_TTL_S 3600
#define FIRST_LEASE 1000

/* Field numbers of etcd's rpc.proto. */
enum { PUT_KEY = 1, PUT_VALUE = 2, PUT_LEASE = 3 };
enum { RANGE_KEY = 1, RANGE_END = 2, RANGE_REPLY_COUNT = 4 };
enum { GRANT_TTL = 1, GRANT_ID = 2, ALIVE_ID = 1, ALIVE_REPLY_TTL = 3 };
enum { WATCH_CREATE = 1, WATCH_KEY = 1, WATCH_END = 2, WATCH_CREATED = 3, WATCH_EVENTS = 11 };

enum what { PUT, FILL, RANGE, KEEPALIVE, WATCH };

struct bench;

struct client {
    struct bench *bench;
    struct h2 h2;
    int fd;
    int64_t sent_us;
    uint64_t number; /* of its request */
    bool has_lease;  /* fill: the lease is there, now the key */
    bool is_writer;  /* watch: the one that makes the changes */
    bool has_reply;
};

struct bench {
    enum what what;
    struct sockaddr_in target;
    uint64_t client_count;
    uint64_t seconds; /* watch: changes */
    uint64_t count;
    int epoll_fd;
    int signal_fd;
    struct client *clients;
    uint64_t sent;
    uint64_t replies;
    uint64_t failures;
    struct samples latencies;
    uint64_t waiting; /* watch: those that have not heard */
    int64_t began_us;
    bool is_ended;
};

/* ---- requests ------------------------------------------------------------------------------ */

/* Mere puts are kept apart from the nodes, so that the range over these keeps its length. */
static void make_put(struct strbuf *out, enum what what, uint64_t number, uint64_t lease)
{
    char key[48], value[VALUE_SIZE];
    int n = snprintf(key, sizeof key, "/%s/%08" PRIu64, what == PUT ? "puts" : "nodes", number);

    memset(value, 'v', sizeof value);
    pb_add_bytes(out, PUT_KEY, key, (size_t)n);
    pb_add_bytes(out, PUT_VALUE, value, sizeof value);
    if (lease)
        pb_add_number(out, PUT_LEASE, lease);
}

static int call_put(struct client *c, uint64_t lease)
{
    AUTO_STRBUF struct strbuf message = {0};

    make_put(&message, c->bench->what, c->number, lease);
    return h2_call(&c->h2, "/etcdserverpb.KV/Put", &message, true);
}

static int call_range(struct client *c)
{
    AUTO_STRBUF struct strbuf message = {0};

    pb_add_bytes(&message, RANGE_KEY, "/nodes/", 7);
    pb_add_bytes(&message, RANGE_END, "/nodes0", 7);
    return h2_call(&c->h2, "/etcdserverpb.KV/Range", &message, true);
}

static int call_grant(struct client *c)
{
    AUTO_STRBUF struct strbuf message = {0};

    pb_add_number(&message, GRANT_TTL, LEASE_TTL_S);
    pb_add_number(&message, GRANT_ID, FIRST_LEASE + c->number);
    return h2_call(&c->h2, "/etcdserverpb.Lease/LeaseGrant", &message, true);
}

static int send_alive(struct client *c)
{
    AUTO_STRBUF struct strbuf message = {0};

    pb_add_number(&message, ALIVE_ID, FIRST_LEASE + c->number % c->bench->count);
    if (c->h2.stream > 0)
        return h2_send(&c->h2, &message);
    return h2_call(&c->h2, "/etcdserverpb.Lease/LeaseKeepAlive", &message, false);
}

static int call_watch(struct client *c)
{
    AUTO_STRBUF struct strbuf create = {0};
    AUTO_STRBUF struct strbuf message = {0};

    pb_add_bytes(&create, WATCH_KEY, "/nodes/", 7);
    pb_add_bytes(&create, WATCH_END, "/nodes0", 7);
    pb_add_bytes(&message, WATCH_CREATE, create.data, create.len);
    return h2_call(&c->h2, "/etcdserverpb.Watch/Watch", &message, false);
}

static int send_next(struct client *c)
{
    struct bench *bench = c->bench;

    if (bench->what == FILL && bench->sent >= bench->count)
        return 0; /* all are on their way */
    c->number = bench->sent++;
    c->sent_us = bench_now_us();
    c->has_reply = false;
    switch (bench->what) {
    case PUT:
        return call_put(c, 0);
    case FILL:
        c->has_lease = false;
        return call_grant(c);
    case RANGE:
        return call_range(c);
    case KEEPALIVE:
        return send_alive(c);
    case WATCH:
        break;
    }
    return c->is_writer ? call_put(c, 0) : call_watch(c);
}

/* ---- replies ------------------------------------------------------------------------------- */

static void heard(struct bench *bench)
{
    if (bench->waiting > 0 && --bench->waiting == 0)
        samples_add(&bench->latencies, bench_now_us() - bench->began_us);
}

static void on_message(void *data, const uint8_t *bytes, size_t n)
{
    struct client *c = data;
    struct bench *bench = c->bench;

    c->has_reply = true;
    if (bench->what == RANGE && pb_find(bytes, n, RANGE_REPLY_COUNT) != bench->count)
        bench->failures++;
    if (bench->what == KEEPALIVE && pb_find(bytes, n, ALIVE_REPLY_TTL) == 0)
        bench->failures++;
    if (bench->what == WATCH && !c->is_writer &&
        (pb_find(bytes, n, WATCH_CREATED) || pb_find(bytes, n, WATCH_EVENTS)))
        heard(bench);
}

/* A request is through: a message of a stream has come, or a call has ended. */
static bool is_through(const struct client *c)
{
    return c->has_reply && (!c->h2.is_last || c->h2.has_ended);
}

static int on_readable(struct client *c)
{
    struct bench *bench = c->bench;
    int r = h2_receive(&c->h2);

    if (r < 0 || !is_through(c) || bench->what == WATCH)
        return r;
    if (bench->what == FILL && !c->has_lease) {
        c->has_lease = true;
        c->has_reply = false;
        return call_put(c, FIRST_LEASE + c->number);
    }
    bench->replies++;
    samples_add(&bench->latencies, bench_now_us() - c->sent_us);
    return send_next(c);
}

static int turn(struct bench *bench)
{
    struct epoll_event events[256];
    int n = epoll_wait(bench->epoll_fd, events, (int)ARRAY_LEN(events), 100);
    int r = 0;

    for (int i = 0; i < n && r == 0; i++) {
        if (events[i].data.ptr)
            r = on_readable(events[i].data.ptr);
        else
            bench->is_ended = true;
    }
    return r;
}

/* ---- running ------------------------------------------------------------------------------- */

static int open_client(struct bench *bench, size_t number)
{
    struct client *c = &bench->clients[number];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int r = dial(&bench->target, number, &c->fd);

    if (r < 0)
        return r;
    if (epoll_ctl(bench->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
        return err_sys(errno, "epoll_ctl");
    c->bench = bench;
    c->h2 = (struct h2){.fd = c->fd, .on_message = on_message, .data = c};
    return h2_init(&c->h2);
}

static int run_load(struct bench *bench)
{
    int64_t end_us = bench_now_us() + (int64_t)bench->seconds * 1000000;
    int r = 0;

    for (size_t i = 0; i < bench->client_count && r == 0; i++) {
        r = open_client(bench, i);
        if (r == 0)
            r = send_next(&bench->clients[i]);
    }
    while (r == 0 &&
           (bench->what == FILL ? bench->replies < bench->count : bench_now_us() < end_us))
        r = turn(bench);
    return r;
}

static int wait_all(struct bench *bench, const struct client *writer)
{
    int r = 0;

    while (r == 0 && !bench->is_ended && (bench->waiting > 0 || (writer && !is_through(writer)))) {
        r = turn(bench);
        if (r == 0 && bench_now_us() - bench->began_us > DEADLINE_US)
            r = err_fail(ETIMEDOUT, "%" PRIu64 " watchers have not heard", bench->waiting);
    }
    return r;
}

static int open_watches(struct bench *bench)
{
    int r = 0;

    bench->began_us = bench_now_us();
    bench->waiting = bench->client_count;
    for (size_t i = 0; i < bench->client_count && r == 0; i++) {
        r = open_client(bench, i);
        if (r == 0)
            r = send_next(&bench->clients[i]);
        if (r == 0 && i % 64 == 63)
            r = turn(bench);
    }
    return r < 0 ? r : wait_all(bench, NULL);
}

static int run_watch(struct bench *bench)
{
    struct client *writer = &bench->clients[bench->client_count];
    int r = open_watches(bench);

    samples_deinit(&bench->latencies);
    if (r == 0)
        r = open_client(bench, bench->client_count);
    writer->is_writer = true;
    for (uint64_t i = 0; i < bench->seconds && r == 0 && !bench->is_ended; i++) {
        bench->waiting = bench->client_count;
        bench->began_us = bench_now_us();
        r = send_next(writer);
        if (r == 0)
            r = wait_all(bench, writer);
    }
    return r;
}

/* ---- words --------------------------------------------------------------------------------- */

static int parse_what(struct bench *bench, int argc, char **argv)
{
    static const char *const names[] = {"put", "fill", "range", "keepalive", "watch"};
    size_t i = 0;

    while (i < ARRAY_LEN(names) && strcmp(argv[4], names[i]) != 0)
        i++;
    if (i == ARRAY_LEN(names) || (argc == 6) != (i == FILL || i == RANGE || i == KEEPALIVE))
        return err_fail(EINVAL, "what is '%s' with %d words?", argv[4], argc - 5);
    bench->what = (enum what)i;
    return argc == 6 ? parse_u64(argv[5], COUNT_MAX, &bench->count) : 0;
}

static int parse_words(struct bench *bench, int argc, char **argv)
{
    uint32_t addr;
    uint16_t port;
    int r;

    if (argc < 5)
        return err_fail(EINVAL, "usage: etcd ADDRESS:PORT CONNECTIONS SECONDS put|fill COUNT|"
                                "range COUNT|keepalive COUNT; or WATCHERS CHANGES watch");
    r = parse_addr_port(argv[1], &addr, &port);
    if (r == 0)
        r = parse_u64(argv[2], CLIENTS_MAX, &bench->client_count);
    if (r == 0)
        r = parse_u64(argv[3], COUNT_MAX, &bench->seconds);
    if (r == 0)
        r = parse_what(bench, argc, argv);
    if (r < 0)
        return r;
    bench->target = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addr)};
    bench->clients = mem_zalloc((bench->client_count + 1) * sizeof *bench->clients);
    return dial_allow(bench->client_count + 1);
}

static int hear_signals(struct bench *bench)
{
    struct epoll_event event = {.events = EPOLLIN};
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    bench->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bench->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (epoll_ctl(bench->epoll_fd, EPOLL_CTL_ADD, bench->signal_fd, &event) < 0)
        return err_sys(errno, "wait for signals");
    return 0;
}

static void print_load(struct bench *bench, double seconds)
{
    (void)printf("{\"replies\": %" PRIu64 ", \"failures\": %" PRIu64 ", \"seconds\": %.3f, "
                 "\"per_second\": %.1f, \"p50_ms\": %.2f, \"p99_ms\": %.2f}\n",
                 bench->replies, bench->failures, seconds, (double)bench->replies / seconds,
                 samples_percentile_ms(&bench->latencies, 0.5),
                 samples_percentile_ms(&bench->latencies, 0.99));
}

static int hold_watches(struct bench *bench)
{
    int r = 0;

    (void)printf("{\"watchers\": %" PRIu64 ", \"changes\": %zu, \"last_p50_ms\": %.3f, "
                 "\"last_p99_ms\": %.3f}\n",
                 bench->client_count, bench->latencies.count,
                 samples_percentile_ms(&bench->latencies, 0.5),
                 samples_percentile_ms(&bench->latencies, 0.99));
    (void)fflush(stdout);
    while (r == 0 && !bench->is_ended)
        r = turn(bench);
    return r;
}

static int run(struct bench *bench)
{
    int64_t start_us = bench_now_us();
    int r = bench->what == WATCH ? run_watch(bench) : run_load(bench);

    if (r < 0)
        return r;
    if (bench->what == WATCH)
        return hold_watches(bench);
    print_load(bench, (double)(bench_now_us() - start_us) / 1e6);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench *bench = NEW(struct bench);
    int r = parse_words(bench, argc, argv);

    if (r == 0)
        r = hear_signals(bench);
    if (r == 0)
        r = run(bench);
    if (r < 0)
        (void)fprintf(stderr, "etcd: %s\n", err_text());
    for (uint64_t i = 0; bench->clients && i <= bench->client_count; i++)
        h2_deinit(&bench->clients[i].h2);
    samples_deinit(&bench->latencies);
    free(bench->clients);
    free(bench);
    return r < 0;
}
