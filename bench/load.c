/* An HTTP load generator for the benchmark: N keep-alive connections, each with one request in
 * flight, in one thread over epoll. The same program loads the control plane and the baseline, so
 * its own cost cancels out of the ratio.
 *
 *     load ADDRESS:PORT CONNECTIONS SECONDS register         POST /api/nodes/register, each as
 *                                                            another host
 *     load ADDRESS:PORT CONNECTIONS SECONDS heartbeat FILE   POST /api/nodes/ID/heartbeat, IDs from
 *                                                            FILE, one a line, in turn
 *     load ADDRESS:PORT CONNECTIONS SECONDS heartbeat FILE CERT KEY
 *                                                            the same over TLS, as whose
 *                                                            certificate that is (PEM files)
 *     load ADDRESS:PORT CONNECTIONS SECONDS list             GET /api/nodes
 *     load ADDRESS:PORT CONNECTIONS SECONDS fill COUNT       as register, but COUNT hosts, however
 *                                                            long it takes
 *     load ADDRESS:PORT CONNECTIONS SECONDS change COUNT     the first COUNT hosts register again,
 *                                                            in turn, each time with other facts
 *
 * Prints one JSON line: replies, those not 200, seconds, requests a second, and latencies.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/samples.h"
#include "bench/wire.h"
#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"

#define MAX_CONNECTIONS 1024
#define MAX_SECONDS 600
#define MAX_IDS 16384
#define MAX_HOSTS 1000000
#define ID_SIZE 64
#define REQUEST_SIZE 512
#define REPLY_SIZE 4194304 /* a list of 10,000 nodes */
#define CHANGED_RAM_MB 100000

struct connection {
    struct wire wire;
    int64_t sent_us;
    size_t reply_len;
    char reply[REPLY_SIZE + 1];
};

enum what { REGISTER, HEARTBEAT, LIST, FILL, CHANGE };

struct load {
    enum what what;
    uint64_t host_count; /* fill, change */
    struct sockaddr_in target;
    size_t connection_count;
    uint64_t seconds;
    char (*ids)[ID_SIZE]; /* heartbeat */
    size_t id_count;
    uint64_t sent;
    uint64_t replies;
    uint64_t failures;
    int epoll_fd;
    struct wire_identity *identity; /* NULL: plain */
    struct connection *connections;
    struct samples latencies;
};

static int make_register(uint64_t number, uint64_t ram_mb, char request[static REQUEST_SIZE])
{
    char body[200];
    int n = snprintf(body, sizeof body,
                     "{\"hostname\":\"load%" PRIu64 "\",\"host_ip\":\"172.%u.%u.%u\","
                     "\"cpu_cores\":4,\"ram_mb\":%" PRIu64 "}",
                     number, 16 + (unsigned)(number >> 16 & 15), (unsigned)(number >> 8 & 255),
                     (unsigned)(number & 255), ram_mb);

    return snprintf(request, REQUEST_SIZE,
                    "POST /api/nodes/register HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                    n, body);
}

static int make_heartbeat(const char *id, char request[static REQUEST_SIZE])
{
    return snprintf(request, REQUEST_SIZE,
                    "POST /api/nodes/%s/heartbeat HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: 0\r\n\r\n",
                    id);
}

static int make_request(struct load *load, uint64_t number, char request[static REQUEST_SIZE])
{
    /* main() has seen to it that there is something to count by. */
    assert(load->id_count > 0 || load->what != HEARTBEAT);
    assert(load->host_count > 0 || load->what != CHANGE);
    switch (load->what) {
    case HEARTBEAT:
        return make_heartbeat(load->ids[number % load->id_count], request);
    case LIST:
        return snprintf(request, REQUEST_SIZE,
                        "GET /api/nodes HTTP/1.1\r\nHost: localhost\r\n\r\n");
    case CHANGE:
        return make_register(number % load->host_count, CHANGED_RAM_MB + number, request);
    case REGISTER:
    case FILL:
        break;
    }
    return make_register(number, 8192, request);
}

static int send_next(struct load *load, struct connection *c)
{
    char request[REQUEST_SIZE];
    uint64_t number = load->sent++;
    int n;

    c->reply_len = 0;
    if (load->what == FILL && number >= load->host_count)
        return 0; /* all are on their way */
    n = make_request(load, number, request);
    c->sent_us = bench_now_us();
    return wire_send(&c->wire, request, (size_t)n);
}

static int open_connection(struct load *load, struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int r = wire_open(&load->target, (size_t)(c - load->connections), load->identity, &c->wire);

    if (r < 0)
        return r;
    if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, c->wire.fd, &event) < 0)
        return err_sys(errno, "epoll_ctl");
    return send_next(load, c);
}

/* The whole length of the reply that starts in the buffer, 0 while its head is incomplete. */
static size_t reply_length(const char *reply)
{
    const char *end = strstr(reply, "\r\n\r\n");
    const char *field = strcasestr(reply, "\r\ncontent-length: ");
    size_t body = 0;

    if (!end)
        return 0;
    if (field && field < end)
        for (field += strlen("\r\ncontent-length: "); *field >= '0' && *field <= '9'; field++)
            body = body * 10 + (size_t)(*field - '0');
    return (size_t)(end - reply) + 4 + body;
}

static void count_reply(struct load *load, const struct connection *c)
{
    load->replies++;
    if (strncmp(c->reply, "HTTP/1.1 200", 12) != 0)
        load->failures++;
    samples_add(&load->latencies, bench_now_us() - c->sent_us);
}

static int on_readable(struct load *load, struct connection *c)
{
    ssize_t n = wire_receive(&c->wire, c->reply + c->reply_len, REPLY_SIZE - c->reply_len);
    size_t whole;

    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        return n < 0 ? err_sys(errno, "recv") : err_fail(ECONNRESET, "the server hung up");
    c->reply_len += (size_t)n;
    c->reply[c->reply_len] = '\0';
    whole = reply_length(c->reply);
    if (whole > REPLY_SIZE)
        return err_fail(EMSGSIZE, "a reply of %zu bytes is too long for this program", whole);
    if (whole == 0 || c->reply_len < whole)
        return 0;
    count_reply(load, c);
    return send_next(load, c);
}

static bool is_done(const struct load *load, int64_t end_us)
{
    return load->what == FILL ? load->replies >= load->host_count : bench_now_us() >= end_us;
}

static int run(struct load *load)
{
    int64_t end_us = bench_now_us() + (int64_t)load->seconds * 1000000;
    int r = 0;

    for (size_t i = 0; i < load->connection_count && r == 0; i++)
        r = open_connection(load, &load->connections[i]);
    while (r == 0 && !is_done(load, end_us)) {
        struct epoll_event events[64];
        int n = epoll_wait(load->epoll_fd, events, (int)ARRAY_LEN(events), 100);

        for (int i = 0; i < n && r == 0; i++)
            r = on_readable(load, events[i].data.ptr);
    }
    return r;
}

static int read_ids(struct load *load, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[ID_SIZE + 2];

    if (!file)
        return err_sys(errno, "open %s", path);
    load->ids = mem_zalloc(MAX_IDS * sizeof *load->ids);
    while (load->id_count < MAX_IDS && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strlen(line) >= ID_SIZE)
            break;
        memcpy(load->ids[load->id_count++], line, strlen(line) + 1);
    }
    (void)fclose(file);
    return load->id_count > 0 ? 0 : err_fail(EINVAL, "%s has no ids", path);
}

/* What to do, and with what. */
static int parse_what(struct load *load, int argc, char **argv)
{
    static const char *const names[] = {"register", "heartbeat", "list", "fill", "change"};
    size_t i = 0;

    while (i < ARRAY_LEN(names) && strcmp(argv[4], names[i]) != 0)
        i++;
    if (i == ARRAY_LEN(names) || (argc >= 6) != (i != REGISTER && i != LIST) ||
        (argc > 6 && (argc != 8 || i != HEARTBEAT)))
        return err_fail(EINVAL, "what is '%s' with %d words?", argv[4], argc - 5);
    load->what = (enum what)i;
    if (argc == 8 && wire_identity_load(argv[6], argv[7], &load->identity) < 0)
        return -EINVAL;
    if (load->what == HEARTBEAT)
        return read_ids(load, argv[5]);
    return argc == 6 ? parse_u64(argv[5], MAX_HOSTS, &load->host_count) : 0;
}

static int parse_words(struct load *load, int argc, char **argv)
{
    uint64_t connections;
    uint32_t addr;
    uint16_t port;
    int r;

    if (argc < 5)
        return err_fail(EINVAL, "usage: load ADDRESS:PORT CONNECTIONS SECONDS register|list|"
                                "heartbeat FILE [CERT KEY]|fill COUNT|change COUNT");
    r = parse_addr_port(argv[1], &addr, &port);
    if (r == 0)
        r = parse_u64(argv[2], MAX_CONNECTIONS, &connections);
    if (r == 0)
        r = parse_u64(argv[3], MAX_SECONDS, &load->seconds);
    if (r < 0)
        return r;
    load->connection_count = (size_t)connections;
    load->target = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addr)};
    return parse_what(load, argc, argv);
}

static void print_result(struct load *load, double seconds)
{
    (void)printf("{\"replies\": %" PRIu64 ", \"failures\": %" PRIu64 ", \"seconds\": %.3f, "
                 "\"per_second\": %.1f, \"p50_ms\": %.2f, \"p99_ms\": %.2f}\n",
                 load->replies, load->failures, seconds, (double)load->replies / seconds,
                 samples_percentile_ms(&load->latencies, 0.5),
                 samples_percentile_ms(&load->latencies, 0.99));
}

int main(int argc, char **argv)
{
    struct load load = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    int64_t start_us;
    int r = parse_words(&load, argc, argv);

    if (r == 0) {
        load.connections = mem_zalloc(load.connection_count * sizeof *load.connections);
        start_us = bench_now_us();
        r = run(&load);
        print_result(&load, (double)(bench_now_us() - start_us) / 1e6);
    }
    if (r < 0)
        (void)fprintf(stderr, "load: %s\n", err_text());
    free(load.connections);
    samples_deinit(&load.latencies);
    free(load.ids);
    wire_identity_free(load.identity);
    return r < 0;
}
