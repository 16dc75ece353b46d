/* A UDP flow with sequence numbers, for tests that ask what got lost.
 *
 *     flow recv PORT                    counts until SIGTERM, then prints one JSON line
 *     flow send ADDRESS PORT PER_SECOND sends until SIGTERM, then prints how many
 *
 * A datagram is one 64-bit sequence number in network order. The sender keeps its pace by absolute
 * deadlines, and a datagram that the kernel refuses counts as sent: it is lost, too.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/ip4.h"
#include "lib/base/parse.h"

#define NS_PER_S 1000000000LL
#define RECEIVE_BUFFER_BYTES (8 << 20)
#define MAX_SEQUENCE (1 << 24)
#define RECEIVE_TIMEOUT_US 100000

static volatile sig_atomic_t is_over;

static void on_term(int signo)
{
    (void)signo;
    is_over = 1;
}

static int64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int fail(const char *what)
{
    (void)fprintf(stderr, "flow: %s: %s\n", what, strerror(errno));
    return 1;
}

struct counts {
    uint64_t received;
    uint64_t duplicates;
    uint64_t first;
    uint64_t last;
    int64_t last_ns;
    int64_t longest_gap_ns;
};

static void count_one(struct counts *c, uint8_t *is_seen, uint64_t sequence)
{
    int64_t at_ns = now_ns();

    if (sequence >= MAX_SEQUENCE)
        return;
    if (is_seen[sequence]) {
        c->duplicates++;
        return;
    }
    is_seen[sequence] = 1;
    if (c->received == 0 || sequence < c->first)
        c->first = sequence;
    if (sequence > c->last)
        c->last = sequence;
    if (c->received > 0 && at_ns - c->last_ns > c->longest_gap_ns)
        c->longest_gap_ns = at_ns - c->last_ns;
    c->last_ns = at_ns;
    c->received++;
}

static int receive(uint16_t port)
{
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct timeval timeout = {.tv_usec = RECEIVE_TIMEOUT_US};
    const int buffer_bytes = RECEIVE_BUFFER_BYTES;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint8_t *is_seen = calloc(MAX_SEQUENCE, 1);
    struct counts c = {0};

    if (fd < 0 || !is_seen)
        return fail("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes) < 0)
        return fail("receive buffer");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0)
        return fail("receive timeout");
    if (bind(fd, (struct sockaddr *)&self, sizeof self) < 0)
        return fail("bind");
    (void)fprintf(stderr, "receiving\n");
    /* What is on its way when SIGTERM comes still counts: it ends when nothing comes any more. */
    for (;;) {
        uint64_t sequence_be;
        ssize_t n = recv(fd, &sequence_be, sizeof sequence_be, 0);

        if (n == (ssize_t)sizeof sequence_be)
            count_one(&c, is_seen, be64toh(sequence_be));
        else if (n < 0 && errno == EAGAIN && is_over)
            break;
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
            return fail("receive");
    }
    (void)printf("{\"received\": %" PRIu64 ", \"duplicates\": %" PRIu64 ", \"first\": %" PRIu64
                 ", \"last\": %" PRIu64 ", \"longest_gap_ms\": %.3f}\n",
                 c.received, c.duplicates, c.first, c.last, (double)c.longest_gap_ns / 1e6);
    free(is_seen);
    (void)close(fd);
    return 0;
}

static void sleep_until(int64_t at_ns)
{
    const struct timespec ts = {.tv_sec = at_ns / NS_PER_S, .tv_nsec = at_ns % NS_PER_S};

    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int send_flow(uint32_t ip, uint16_t port, uint64_t per_second)
{
    const struct sockaddr_in peer = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int64_t start_ns = now_ns();
    uint64_t sequence = 0, refused = 0;
    int last_errno = 0;

    if (fd < 0)
        return fail("socket");
    (void)fprintf(stderr, "sending\n");
    for (; !is_over && sequence < MAX_SEQUENCE; sequence++) {
        uint64_t sequence_be = htobe64(sequence);

        sleep_until(start_ns + (int64_t)(sequence * (uint64_t)NS_PER_S / per_second));
        if (sendto(fd, &sequence_be, sizeof sequence_be, 0, (const struct sockaddr *)&peer,
                   sizeof peer) < 0) {
            refused++;
            last_errno = errno;
        }
    }
    (void)printf("{\"sent\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"errno\": %d}\n", sequence,
                 refused, last_errno);
    (void)close(fd);
    return 0;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: flow recv PORT | flow send ADDRESS PORT PER_SECOND\n");
    return 2;
}

int main(int argc, char **argv)
{
    const struct sigaction action = {.sa_handler = on_term};
    uint64_t port, per_second;
    uint32_t ip;

    (void)sigaction(SIGTERM, &action, NULL);
    if (argc == 3 && strcmp(argv[1], "recv") == 0 && parse_u64(argv[2], UINT16_MAX, &port) == 0)
        return receive((uint16_t)port);
    if (argc == 5 && strcmp(argv[1], "send") == 0 && ip4_parse(argv[2], &ip) == 0 &&
        parse_u64(argv[3], UINT16_MAX, &port) == 0 &&
        parse_u64(argv[4], 1000000, &per_second) == 0 && per_second > 0)
        return send_flow(ip, (uint16_t)port, per_second);
    return usage();
}
