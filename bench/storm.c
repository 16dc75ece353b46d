/* Thousands of agents that all come at once, as after a power cut.
 *
 *     storm ADDRESS:PORT AGENTS
 *
 * Each agent registers on a connection of its own, closes it (a process may not have as many files
 * open as two for each would be) and opens an event stream; it is in when it has its snapshot. At
 * most AT_ONCE are on their way in at a time, which is what the jitter of agents makes of a herd.
 * Meanwhile the nodes that are in send their heartbeats, 1,000 a second (10,000 nodes, each every
 * 10 s), on BEATERS more connections. A heartbeat's time is counted from when it was due. Prints
 * one JSON line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bench/dial.h"
#include "bench/samples.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define AGENTS_MAX 19000
#define AT_ONCE 256
#define BEATERS 64
#define BEAT_EVERY_US (1000 * BEATERS) /* on one connection */
#define DEADLINE_US 120000000
#define ID_SIZE 37
#define READ_SIZE 262144
#define END_OF_SNAPSHOT "}\n\n" /* it comes first, and no comment ends like this */
#define TAIL_SIZE 32

enum state { REGISTERING, OPENING, FOLLOWING, BEATING };

struct agent {
    int fd;
    enum state state;
    char tail[TAIL_SIZE];
    size_t tail_len;
    int64_t beat_due_us; /* beating */
    bool is_waiting;
};

struct storm {
    struct sockaddr_in target;
    uint64_t count;
    int epoll_fd;
    struct agent *agents; /* and those that beat behind them */
    uint64_t started, in;
    char (*ids)[ID_SIZE]; /* of those who are registered */
    uint64_t id_count;
    uint64_t beats;
    uint64_t bytes_read;
    struct samples latencies; /* from when a heartbeat was due to its answer */
    char bytes[TAIL_SIZE + READ_SIZE];
};

/* ---- agents -------------------------------------------------------------------------------- */

static int join(struct storm *storm, struct agent *a)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = a};
    int r = dial(&storm->target, (size_t)(a - storm->agents), &a->fd);

    if (r == 0 && epoll_ctl(storm->epoll_fd, EPOLL_CTL_ADD, a->fd, &event) < 0)
        r = err_sys(errno, "epoll_ctl");
    return r;
}

static int start_agent(struct storm *storm)
{
    uint64_t number = storm->started++;
    struct agent *a = &storm->agents[number];
    char body[200], request[512];
    int r = join(storm, a);
    int n = snprintf(body, sizeof body,
                     "{\"hostname\":\"storm%" PRIu64 "\",\"host_ip\":\"172.%u.%u.%u\","
                     "\"cpu_cores\":4,\"ram_mb\":8192}",
                     number, 16 + (unsigned)(number >> 16 & 15), (unsigned)(number >> 8 & 255),
                     (unsigned)(number & 255));

    n = snprintf(request, sizeof request,
                 "POST /api/nodes/register HTTP/1.1\r\nHost: localhost\r\n"
                 "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                 n, body);
    return r < 0 ? r : dial_send(a->fd, request, (size_t)n);
}

static int open_stream(struct storm *storm, struct agent *a)
{
    static const char watch[] = "GET /api/nodes HTTP/1.1\r\nHost: localhost\r\n"
                                "Accept: text/event-stream\r\n\r\n";
    int r;

    close(a->fd);
    a->state = OPENING;
    r = join(storm, a);
    return r < 0 ? r : dial_send(a->fd, watch, sizeof watch - 1);
}

static int on_registered(struct storm *storm, struct agent *a, size_t n)
{
    char *reply = storm->bytes + TAIL_SIZE, *id;

    reply[n < READ_SIZE ? n : READ_SIZE - 1] = '\0';
    id = strstr(reply, "\"node_id\":\"");
    if (strncmp(reply, "HTTP/1.1 200", 12) != 0 || !id)
        return err_fail(EPROTO, "a registration was answered: %.200s", reply);
    (void)snprintf(storm->ids[storm->id_count++], ID_SIZE, "%s", id + strlen("\"node_id\":\""));
    return open_stream(storm, a);
}

/* The snapshot's end may come in two parts. */
static bool has_end(struct storm *storm, struct agent *a, size_t n)
{
    size_t keep = strlen(END_OF_SNAPSHOT) - 1, whole = a->tail_len + n;
    char *start = storm->bytes + TAIL_SIZE - a->tail_len;

    memcpy(start, a->tail, a->tail_len);
    a->tail_len = whole < keep ? whole : keep;
    memcpy(a->tail, start + whole - a->tail_len, a->tail_len);
    return memmem(start, whole, END_OF_SNAPSHOT, strlen(END_OF_SNAPSHOT));
}

static int on_beat_answered(struct storm *storm, struct agent *a, size_t n)
{
    if (n < 12 || memcmp(storm->bytes + TAIL_SIZE, "HTTP/1.1 200", 12) != 0)
        return err_fail(EPROTO, "a heartbeat was not accepted");
    samples_add(&storm->latencies, bench_now_us() - a->beat_due_us);
    a->beat_due_us += BEAT_EVERY_US;
    a->is_waiting = false;
    return 0;
}

static int on_readable(struct storm *storm, struct agent *a)
{
    ssize_t n = recv(a->fd, storm->bytes + TAIL_SIZE, READ_SIZE, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        return n < 0 ? err_sys(errno, "recv") : err_fail(ECONNRESET, "an agent was cut off");
    storm->bytes_read += (size_t)n;
    if (a->state == BEATING)
        return on_beat_answered(storm, a, (size_t)n);
    if (a->state == REGISTERING)
        return on_registered(storm, a, (size_t)n);
    if (a->state == OPENING && has_end(storm, a, (size_t)n)) {
        a->state = FOLLOWING;
        storm->in++;
    }
    return 0;
}

/* ---- running ------------------------------------------------------------------------------- */

static int beat(struct storm *storm, struct agent *a)
{
    char request[200];
    int n;

    if (a->is_waiting || bench_now_us() < a->beat_due_us)
        return 0;
    n = snprintf(request, sizeof request,
                 "POST /api/nodes/%s/heartbeat HTTP/1.1\r\nHost: localhost\r\n"
                 "Content-Length: 0\r\n\r\n",
                 storm->ids[storm->beats++ % storm->id_count]);
    a->is_waiting = true;
    return dial_send(a->fd, request, (size_t)n);
}

static int beat_all(struct storm *storm)
{
    int r = 0;

    for (size_t i = 0; i < BEATERS && r == 0 && storm->id_count > 0; i++)
        r = beat(storm, &storm->agents[storm->count + i]);
    return r;
}

/* They begin one after the other, and only when there is a node. */
static int open_beaters(struct storm *storm)
{
    int r = 0;

    for (size_t i = 0; i < BEATERS && r == 0; i++) {
        struct agent *a = &storm->agents[storm->count + i];

        a->state = BEATING;
        a->beat_due_us = bench_now_us() + BEAT_EVERY_US / BEATERS * (int64_t)(BEATERS + i);
        r = join(storm, a);
    }
    return r;
}

static int turn(struct storm *storm)
{
    struct epoll_event events[64];
    int n = epoll_wait(storm->epoll_fd, events, (int)ARRAY_LEN(events), 1);
    int r = 0;

    for (int i = 0; i < n && r == 0; i++)
        r = on_readable(storm, events[i].data.ptr);
    if (r == 0)
        r = beat_all(storm);
    for (; r == 0 && storm->started < storm->count && storm->started - storm->in < AT_ONCE;)
        r = start_agent(storm);
    return r;
}

static int run(struct storm *storm)
{
    int64_t began_us = bench_now_us();
    int r = open_beaters(storm);
    double seconds;

    while (r == 0 && storm->in < storm->count) {
        r = turn(storm);
        if (r == 0 && bench_now_us() - began_us > DEADLINE_US)
            r = err_fail(ETIMEDOUT, "%" PRIu64 " of %" PRIu64 " agents are in", storm->in,
                         storm->count);
    }
    seconds = (double)(bench_now_us() - began_us) / 1e6;
    if (r == 0)
        (void)printf("{\"agents\": %" PRIu64 ", \"seconds\": %.3f, \"beats\": %zu, "
                     "\"beat_p99_ms\": %.3f, \"beat_worst_ms\": %.3f, \"bytes\": %" PRIu64 "}\n",
                     storm->count, seconds, storm->latencies.count,
                     samples_percentile_ms(&storm->latencies, 0.99),
                     samples_percentile_ms(&storm->latencies, 1), storm->bytes_read);
    return r;
}

static int parse_words(struct storm *storm, int argc, char **argv)
{
    uint32_t addr;
    uint16_t port;
    int r;

    if (argc != 3)
        return err_fail(EINVAL, "usage: storm ADDRESS:PORT AGENTS");
    r = parse_addr_port(argv[1], &addr, &port);
    if (r == 0)
        r = parse_u64(argv[2], AGENTS_MAX, &storm->count);
    if (r < 0)
        return r;
    storm->target = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addr)};
    storm->agents = mem_zalloc((storm->count + BEATERS) * sizeof *storm->agents);
    storm->ids = mem_zalloc((storm->count + BEATERS) * sizeof *storm->ids);
    return dial_allow(storm->count + BEATERS);
}

int main(int argc, char **argv)
{
    struct storm *storm = NEW(struct storm);
    int r = parse_words(storm, argc, argv);

    storm->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (r == 0)
        r = run(storm);
    if (r < 0)
        (void)fprintf(stderr, "storm: %s\n", err_text());
    samples_deinit(&storm->latencies);
    free(storm->agents);
    free(storm->ids);
    free(storm);
    return r < 0;
}
