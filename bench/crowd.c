/* A crowd of watchers, and the changes they are to hear of.
 *
 *     crowd ADDRESS:PORT WATCHERS CHANGES
 *     crowd ADDRESS:PORT WATCHERS 0 KEY CERT...    over TLS, as the nodes whose certificates for
 * that key these are (PEM files), in turn
 *
 * Opens WATCHERS event streams. When each has its snapshot, one host registers again and again,
 * each time with another ram_mb; after each change it waits until the last watcher has read it.
 * Prints one JSON line with the times from sending the request to the last watcher (and to the
 * reply), then goes on reading until it is ended by SIGTERM or SIGINT. Over TLS nothing changes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/dial.h"
#include "bench/samples.h"
#include "bench/wire.h"
#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define WATCHERS_MAX 20000
#define CHANGES_MAX 100000
#define FIRST_RAM_MB 1000000 /* all marks have as many digits */
#define MARK_SIZE 32
#define END_OF_EVENT "}\n\n" /* no comment ends like this */
#define DEADLINE_US 60000000
#define AT_ONCE 256 /* watchers on their way in */
#define READ_SIZE 65536

struct watcher {
    struct wire wire;
    uint64_t seen; /* the latest change it has read */
    char tail[MARK_SIZE];
    size_t tail_len;
};

struct crowd {
    struct sockaddr_in target;
    struct wire_identity **identities;
    size_t identity_count; /* 0: plain */
    uint64_t watcher_count;
    uint64_t change_count;
    int epoll_fd;
    int signal_fd;
    struct watcher *watchers; /* and the writer behind them */
    char mark[MARK_SIZE];     /* the text that each watcher looks for */
    uint64_t change;
    uint64_t waiting; /* watchers that have not seen the mark */
    bool is_answered;
    bool is_ended;
    int64_t began_us;
    struct samples last, reply;
    char bytes[MARK_SIZE + READ_SIZE];
};

/* ---- reading ------------------------------------------------------------------------------- */

static struct watcher *writer_of(struct crowd *crowd)
{
    return &crowd->watchers[crowd->watcher_count];
}

/* A mark may come in two parts: the end of what was read before is looked at again. */
static bool has_mark(struct crowd *crowd, struct watcher *w, size_t n)
{
    size_t keep = strlen(crowd->mark) - 1, len = MARK_SIZE + n;
    const char *start = crowd->bytes + MARK_SIZE - w->tail_len;
    bool found;

    memcpy(crowd->bytes + MARK_SIZE - w->tail_len, w->tail, w->tail_len);
    found = memmem(start, w->tail_len + n, crowd->mark, strlen(crowd->mark));
    w->tail_len = w->tail_len + n < keep ? w->tail_len + n : keep;
    memcpy(w->tail, crowd->bytes + len - w->tail_len, w->tail_len);
    return found;
}

static int on_watcher(struct crowd *crowd, struct watcher *w)
{
    ssize_t n = wire_receive(&w->wire, crowd->bytes + MARK_SIZE, READ_SIZE);

    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        return n < 0 ? err_sys(errno, "recv") : err_fail(ECONNRESET, "a watcher was cut off");
    if (w->seen == crowd->change || !has_mark(crowd, w, (size_t)n))
        return 0;
    w->seen = crowd->change;
    w->tail_len = 0;
    if (--crowd->waiting == 0)
        samples_add(&crowd->last, bench_now_us() - crowd->began_us);
    return 0;
}

static int on_answer(struct crowd *crowd)
{
    char *reply = crowd->bytes;
    ssize_t n = wire_receive(&writer_of(crowd)->wire, reply, READ_SIZE);

    if (n <= 0)
        return n < 0 ? err_sys(errno, "recv") : err_fail(ECONNRESET, "the server hung up");
    if (n < 12 || memcmp(reply, "HTTP/1.1 200", 12) != 0)
        return err_fail(EPROTO, "a change was answered: %.*s", (int)(n < 200 ? n : 200), reply);
    crowd->is_answered = true;
    samples_add(&crowd->reply, bench_now_us() - crowd->began_us);
    return 0;
}

static int turn(struct crowd *crowd)
{
    struct epoll_event events[256];
    int n = epoll_wait(crowd->epoll_fd, events, (int)ARRAY_LEN(events), 1000);
    int r = 0;

    for (int i = 0; i < n && r == 0; i++) {
        if (!events[i].data.ptr)
            crowd->is_ended = true;
        else if (events[i].data.ptr == writer_of(crowd))
            r = on_answer(crowd);
        else
            r = on_watcher(crowd, events[i].data.ptr);
    }
    return r;
}

/* Until all have seen the mark and the writer has its answer. */
static int wait_all(struct crowd *crowd)
{
    int r = 0;

    while (r == 0 && !crowd->is_ended && (crowd->waiting > 0 || !crowd->is_answered)) {
        r = turn(crowd);
        if (r == 0 && bench_now_us() - crowd->began_us > DEADLINE_US)
            r = err_fail(ETIMEDOUT, "%" PRIu64 " watchers wait for %s", crowd->waiting,
                         crowd->mark);
    }
    return r;
}

/* ---- speaking ------------------------------------------------------------------------------ */

static void look_for(struct crowd *crowd, uint64_t change)
{
    crowd->change = change;
    crowd->waiting = crowd->watcher_count;
    crowd->is_answered = false;
    crowd->began_us = bench_now_us();
    (void)snprintf(crowd->mark, MARK_SIZE, "\"ram_mb\":%" PRIu64, FIRST_RAM_MB + change);
}

static int send_change(struct crowd *crowd)
{
    char body[128], request[512];
    int n = snprintf(body, sizeof body, "{\"hostname\":\"crowd\",\"host_ip\":\"192.0.2.1\",%s}",
                     crowd->mark);

    n = snprintf(request, sizeof request,
                 "POST /api/nodes/register HTTP/1.1\r\nHost: localhost\r\n"
                 "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                 n, body);
    return wire_send(&writer_of(crowd)->wire, request, (size_t)n);
}

static int change_once(struct crowd *crowd, uint64_t change)
{
    int r;

    look_for(crowd, change);
    r = send_change(crowd);
    return r < 0 ? r : wait_all(crowd);
}

static int open_one(struct crowd *crowd, size_t number)
{
    struct watcher *w = &crowd->watchers[number];
    const struct wire_identity *identity =
        crowd->identity_count > 0 ? crowd->identities[number % crowd->identity_count] : NULL;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};
    int r = wire_open(&crowd->target, number, identity, &w->wire);

    if (r == 0 && epoll_ctl(crowd->epoll_fd, EPOLL_CTL_ADD, w->wire.fd, &event) < 0)
        r = err_sys(errno, "epoll_ctl");
    return r;
}

/* The first change founds the node that the others are of. */
static int found_node(struct crowd *crowd)
{
    int r = open_one(crowd, crowd->watcher_count);

    look_for(crowd, 1);
    crowd->waiting = 0;
    if (r == 0)
        r = send_change(crowd);
    if (r == 0)
        r = wait_all(crowd);
    /* Until the watchers have read a big list the server may have given the idle writer up. */
    close(writer_of(crowd)->wire.fd);
    return r;
}

/* Each watcher reads its snapshot to the end; who waited too long for it would be cut off. */
static int open_watchers(struct crowd *crowd)
{
    static const char watch[] = "GET /api/nodes HTTP/1.1\r\nHost: localhost\r\n"
                                "Accept: text/event-stream\r\n\r\n";
    int r = 0;

    look_for(crowd, 1);
    crowd->is_answered = true;
    (void)snprintf(crowd->mark, MARK_SIZE, END_OF_EVENT);
    for (uint64_t i = 0; i < crowd->watcher_count && r == 0; i++) {
        r = open_one(crowd, i);
        if (r == 0)
            r = wire_send(&crowd->watchers[i].wire, watch, sizeof watch - 1);
        while (r == 0 && i + 1 + crowd->waiting > crowd->watcher_count + AT_ONCE)
            r = turn(crowd);
    }
    crowd->began_us = bench_now_us();
    return r == 0 ? wait_all(crowd) : r;
}

static int open_all(struct crowd *crowd)
{
    bool is_plain = crowd->identity_count == 0;
    int r = is_plain ? found_node(crowd) : 0;

    if (r == 0)
        r = open_watchers(crowd);
    return r < 0 || !is_plain ? r : open_one(crowd, crowd->watcher_count);
}

static int run(struct crowd *crowd)
{
    int64_t began_us = bench_now_us();
    int r = open_all(crowd);
    double opened_s = (double)(bench_now_us() - began_us) / 1e6;

    samples_deinit(&crowd->last);
    samples_deinit(&crowd->reply);
    for (uint64_t i = 0; i < crowd->change_count && r == 0 && !crowd->is_ended; i++)
        r = change_once(crowd, i + 2);
    if (r < 0)
        return r;
    (void)printf(
        "{\"watchers\": %" PRIu64 ", \"opened_s\": %.3f, \"changes\": %zu, "
        "\"last_p50_ms\": %.3f, \"last_p99_ms\": %.3f, \"reply_p50_ms\": %.3f}\n",
        crowd->watcher_count, opened_s, crowd->last.count, samples_percentile_ms(&crowd->last, 0.5),
        samples_percentile_ms(&crowd->last, 0.99), samples_percentile_ms(&crowd->reply, 0.5));
    (void)fflush(stdout);
    while (r == 0 && !crowd->is_ended)
        r = turn(crowd);
    return r;
}

/* ---- life ---------------------------------------------------------------------------------- */

static int load_identities(struct crowd *crowd, const char *key, char **certs, int count)
{
    int r = 0;

    crowd->identities = mem_array((size_t)count, sizeof(struct wire_identity *));
    for (int i = 0; i < count && r == 0; i++) {
        r = wire_identity_load(certs[i], key, &crowd->identities[i]);
        crowd->identity_count += r == 0;
    }
    return r;
}

static int parse_words(struct crowd *crowd, int argc, char **argv)
{
    uint32_t addr;
    uint16_t port;
    int r;

    if (argc < 4 || argc == 5)
        return err_fail(EINVAL, "usage: crowd ADDRESS:PORT WATCHERS CHANGES | 0 KEY CERT...");
    r = parse_addr_port(argv[1], &addr, &port);
    if (r == 0)
        r = parse_u64(argv[2], WATCHERS_MAX, &crowd->watcher_count);
    if (r == 0)
        r = parse_u64(argv[3], argc == 4 ? CHANGES_MAX : 0, &crowd->change_count);
    if (r == 0 && argc > 4)
        r = load_identities(crowd, argv[4], argv + 5, argc - 5);
    if (r < 0)
        return r;
    crowd->target = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addr)};
    crowd->watchers = mem_array(crowd->watcher_count + 1, sizeof *crowd->watchers);
    memset(crowd->watchers, 0, (crowd->watcher_count + 1) * sizeof *crowd->watchers);
    return dial_allow(crowd->watcher_count + 1);
}

static int hear_signals(struct crowd *crowd)
{
    struct epoll_event event = {.events = EPOLLIN};
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    crowd->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    crowd->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (epoll_ctl(crowd->epoll_fd, EPOLL_CTL_ADD, crowd->signal_fd, &event) < 0)
        return err_sys(errno, "wait for signals");
    return 0;
}

int main(int argc, char **argv)
{
    struct crowd *crowd = NEW(struct crowd);
    int r = parse_words(crowd, argc, argv);

    if (r == 0)
        r = hear_signals(crowd);
    if (r == 0)
        r = run(crowd);
    if (r < 0)
        (void)fprintf(stderr, "crowd: %s\n", err_text());
    samples_deinit(&crowd->last);
    samples_deinit(&crowd->reply);
    free(crowd->watchers);
    for (size_t i = 0; i < crowd->identity_count; i++)
        wire_identity_free(crowd->identities[i]);
    free(crowd->identities);
    free(crowd);
    return r < 0;
}
