/* The active ends of small traffic: one byte or one datagram at a time. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/traffic.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

#define MAX_ROUND_TRIPS (1 << 22)
#define ANSWER_TIMEOUT_MS 200
#define QUESTIONS 20
#define DATAGRAMS_A_LOOK 64 /* between two looks at the clock */
#define PING_TIMEOUT_S 5
#define WARM_UP_PINGS 20

int64_t traffic_now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * TRAFFIC_NS_PER_S + ts.tv_nsec;
}

int traffic_connect(const struct sockaddr_in *target, int *ret_fd)
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0)
        return err_sys(errno, "socket");
    r = traffic_tune(fd);
    if (r < 0)
        return r;
    if (connect(fd, (const struct sockaddr *)target, sizeof *target) < 0)
        return err_sys(errno, "connect");
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* ---- request and response -------------------------------------------------------------------- */

static int go_and_return(int fd)
{
    char byte = 'q';
    ssize_t n;

    if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
        return err_sys(errno, "send");
    n = recv(fd, &byte, 1, 0);
    return n == 1 ? 0 : err_sys(n < 0 ? errno : ECONNRESET, "receive");
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Sorted. */
static double ns_at(const uint32_t *ns, size_t count, size_t percent)
{
    size_t rank = count * percent / 100;

    return ns[rank];
}

int traffic_run_echo(const struct traffic_words *words)
{
    AUTO_FREE uint32_t *ns = mem_array(MAX_ROUND_TRIPS, sizeof *ns);
    AUTO_CLOSE int fd = -1;
    size_t count = 0;
    int r = traffic_connect(&words->target, &fd);
    int64_t start_ns = traffic_now_ns() + TRAFFIC_WARM_UP_NS, from_ns = traffic_now_ns();

    while (r == 0 && from_ns < start_ns + words->duration_ns && count < MAX_ROUND_TRIPS) {
        int64_t to_ns;

        r = go_and_return(fd);
        to_ns = traffic_now_ns();
        if (from_ns >= start_ns)
            ns[count++] = (uint32_t)(to_ns - from_ns);
        from_ns = to_ns;
    }
    if (r < 0)
        return r;
    if (count == 0)
        return err_fail(ETIMEDOUT, "nothing came back");
    qsort(ns, count, sizeof *ns, compare);
    (void)printf("{\"round_trips\": %zu, \"p50_us\": %.3f, \"p99_us\": %.3f}\n", count,
                 ns_at(ns, count, 50) / 1e3, ns_at(ns, count, 99) / 1e3);
    return 0;
}

static int connect_once(const struct sockaddr_in *target)
{
    AUTO_CLOSE int fd = -1;
    char byte;
    int r = traffic_connect(target, &fd);

    if (r == 0)
        r = go_and_return(fd);
    if (r == 0 && recv(fd, &byte, 1, 0) != 0)
        r = err_fail(EPROTO, "the server did not close");
    return r;
}

int traffic_run_connect(const struct traffic_words *words)
{
    int64_t start_ns = traffic_now_ns(), at_ns = start_ns;
    uint64_t count = 0;
    double seconds;
    int r = 0;

    for (; r == 0 && at_ns < start_ns + words->duration_ns; count++) {
        r = connect_once(&words->target);
        at_ns = traffic_now_ns();
    }
    seconds = (double)(at_ns - start_ns) / TRAFFIC_NS_PER_S;
    if (r == 0)
        (void)printf("{\"connections\": %" PRIu64 ", \"seconds\": %.4f, \"per_second\": %.1f}\n",
                     count, seconds, (double)count / seconds);
    return r;
}

/* ---- datagrams ------------------------------------------------------------------------------- */

/* Asks the counter; its question waits in the same queue behind all that was sent before. A
 * question can be lost as anything else, so it is asked again. */
static int ask_count(int fd, uint64_t *ret_count)
{
    const struct traffic_count question = {0};

    for (int i = 0; i < QUESTIONS; i++) {
        struct traffic_count answer;
        struct pollfd wanted = {.fd = fd, .events = POLLIN};

        if (send(fd, &question, sizeof question, 0) < 0)
            return err_sys(errno, "ask for the count");
        if (poll(&wanted, 1, ANSWER_TIMEOUT_MS) == 1 &&
            recv(fd, &answer, sizeof answer, 0) == (ssize_t)sizeof answer) {
            *ret_count = be64toh(answer.count_be);
            return 0;
        }
    }
    return err_fail(ETIMEDOUT, "the other end does not tell its count");
}

static uint64_t send_for(int fd, int64_t duration_ns, int64_t *ret_took_ns)
{
    static const char bytes[TRAFFIC_BYTES];
    int64_t start_ns = traffic_now_ns(), at_ns = start_ns;
    uint64_t sent = 0;

    for (; at_ns < start_ns + duration_ns; at_ns = traffic_now_ns())
        for (int i = 0; i < DATAGRAMS_A_LOOK; i++)
            sent += send(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes;
    *ret_took_ns = at_ns - start_ns;
    return sent;
}

int traffic_run_datagram(const struct traffic_words *words)
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint64_t before, after, sent;
    int64_t took_ns;
    int r;

    if (fd < 0 || connect(fd, (const struct sockaddr *)&words->target, sizeof words->target) < 0)
        return err_sys(errno, "socket");
    r = ask_count(fd, &before);
    if (r < 0)
        return r;
    sent = send_for(fd, words->duration_ns, &took_ns);
    r = ask_count(fd, &after);
    if (r == 0)
        (void)printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"seconds\": %.4f, "
                     "\"per_second\": %.1f}\n",
                     sent, after - before, (double)took_ns / TRAFFIC_NS_PER_S,
                     (double)(after - before) * TRAFFIC_NS_PER_S / (double)took_ns);
    return r;
}

/* ---- the first packet ------------------------------------------------------------------------ */

static uint16_t checksum(const uint16_t *words, size_t count)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += words[i];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* One ICMP echo, which the kernel at the far end answers without waking anybody. */
static int ping(int fd, uint32_t addr, uint16_t sequence, int64_t *ret_ns)
{
    const struct sockaddr_in target = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(addr)};
    uint16_t id_be = htons((uint16_t)getpid());
    struct icmphdr echo = {.type = ICMP_ECHO,
                           .un.echo = {.id = id_be, .sequence = htons(sequence)}};
    int64_t start_ns;

    echo.checksum = checksum((const uint16_t *)(const void *)&echo, sizeof echo / 2);
    start_ns = traffic_now_ns();
    if (sendto(fd, &echo, sizeof echo, 0, (const struct sockaddr *)&target, sizeof target) < 0)
        return err_sys(errno, "send");
    for (;;) {
        struct {
            struct iphdr ip;
            struct icmphdr icmp;
        } __attribute__((packed)) answer;

        if (recv(fd, &answer, sizeof answer, 0) < 0)
            return err_sys(errno, "no answer");
        if (answer.icmp.type == ICMP_ECHOREPLY && answer.icmp.un.echo.id == id_be &&
            answer.icmp.un.echo.sequence == htons(sequence))
            break;
    }
    *ret_ns = traffic_now_ns() - start_ns;
    return 0;
}

int traffic_run_first(uint32_t addr)
{
    const struct timeval timeout = {.tv_sec = PING_TIMEOUT_S};
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    int64_t first_ns = 0, second_ns = 0;
    int r = 0;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0)
        return err_sys(errno, "raw socket");
    /* The program's own first steps are not the network's. */
    for (uint16_t i = 0; i < WARM_UP_PINGS && r == 0; i++)
        r = ping(fd, INADDR_LOOPBACK, i, &first_ns);
    if (r == 0)
        r = ping(fd, addr, WARM_UP_PINGS, &first_ns);
    if (r == 0)
        r = ping(fd, addr, WARM_UP_PINGS + 1, &second_ns);
    if (r == 0)
        (void)printf("{\"first_us\": %.3f, \"second_us\": %.3f}\n", (double)first_ns / 1e3,
                     (double)second_ns / 1e3);
    return r;
}
