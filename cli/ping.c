/* Pings the peers over the overlay. */
#include "cli/ping.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/checksum.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"

#define ROUNDS 3
#define ROUND_MS 400
#define SERIES_LATE_MS 500
#define IP_HEADER_MAX 60

static int open_socket(const char *device)
{
    int probe = IP_PMTUDISC_PROBE;
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);

    if (fd < 0)
        return err_sys(errno, "open a socket for pings");
    if (device &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0) {
        int r = err_sys(errno, "ping over %s", device);

        (void)close(fd);
        return r;
    }
    (void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
    return fd;
}

/* One that cannot be sent is one that is not answered. */
static void send_echo(int fd, const struct ping_target *target, uint16_t id, uint16_t index)
{
    struct icmphdr echo = {.type = ICMP_ECHO, .un.echo = {.id = id, .sequence = htons(index)}};
    const struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(target->addr)};
    size_t least = sizeof(struct iphdr) + sizeof echo;
    size_t size =
        target->size_bytes > least ? target->size_bytes - sizeof(struct iphdr) : sizeof echo;
    AUTO_FREE char *packet = mem_zalloc(size);

    echo.checksum = checksum_inet(&echo, sizeof echo);
    memcpy(packet, &echo, sizeof echo);
    (void)sendto(fd, packet, size, 0, (const struct sockaddr *)&to, sizeof to);
}

/* A raw socket hears every ICMP packet of the host, IP header first. */
static bool is_our_answer(const uint8_t *packet, size_t n, uint16_t id, uint16_t *ret_index)
{
    size_t ip_header = n > 0 ? (packet[0] & 15u) * 4u : 0;
    struct icmphdr answer;

    if (n < ip_header + sizeof answer)
        return false;
    memcpy(&answer, packet + ip_header, sizeof answer);
    *ret_index = ntohs(answer.un.echo.sequence);
    return answer.type == ICMP_ECHOREPLY && answer.un.echo.id == id;
}

/* False: none waits to be read. */
static bool next_answer(int fd, uint16_t id, uint32_t *ret_addr, uint16_t *ret_index)
{
    uint8_t packet[IP_HEADER_MAX + sizeof(struct icmphdr)];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t n;

    while ((n = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &size)) >= 0) {
        *ret_addr = ntohl(from.sin_addr.s_addr);
        if (is_our_answer(packet, (size_t)n, id, ret_index))
            return true;
        size = sizeof from;
    }
    return false;
}

static void take_answers(int fd, struct ping_target *targets, size_t count, uint16_t id)
{
    uint32_t addr;
    uint16_t index;

    while (next_answer(fd, id, &addr, &index))
        if (index < count && targets[index].addr == addr)
            targets[index].has_answered = true;
}

static bool all_answered(const struct ping_target *targets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!targets[i].has_answered)
            return false;
    return true;
}

static void listen_for_a_round(int fd, struct ping_target *targets, size_t count, uint16_t id)
{
    int64_t end_ms = clock_boot_ms() + ROUND_MS, left_ms = ROUND_MS;
    struct pollfd heard = {.fd = fd, .events = POLLIN};

    while (left_ms > 0 && !all_answered(targets, count)) {
        (void)poll(&heard, 1, (int)left_ms);
        take_answers(fd, targets, count, id);
        left_ms = end_ms - clock_boot_ms();
    }
}

int ping_run_as(const char *device, uint16_t id_be, struct ping_target *targets, size_t count)
{
    int fd = open_socket(device);

    if (fd < 0)
        return fd;
    for (int round = 0; round < ROUNDS && !all_answered(targets, count); round++) {
        for (size_t i = 0; i < count; i++)
            if (!targets[i].has_answered)
                send_echo(fd, &targets[i], id_be, (uint16_t)i);
        listen_for_a_round(fd, targets, count, id_be);
    }
    (void)close(fd);
    return 0;
}

int ping_run(const char *device, struct ping_target *targets, size_t count)
{
    return ping_run_as(device, (uint16_t)random_u64(), targets, count);
}

/* ---- a series -------------------------------------------------------------------------------- */

/* The sequence number of a ping is the number of the try, times count, and that of its target. */
struct series {
    int fd;
    uint16_t id_be;
    struct ping_target *targets;
    size_t count, asked, answered;
    bool *has_answer; /* by sequence number */
};

static void take_answer(struct series *s, uint32_t addr, uint16_t sequence)
{
    struct ping_target *target = &s->targets[sequence % s->count];

    if (sequence >= s->asked || target->addr != addr || s->has_answer[sequence])
        return;
    s->has_answer[sequence] = true;
    s->answered++;
    target->answers++;
    target->has_answered = true;
}

/* Whoever was held up looks once more before what waits to be read counts as lost. */
static void listen_for_answers(struct series *s, int64_t span_ms, bool is_end)
{
    int64_t end_ms = clock_boot_ms() + span_ms, left_ms = span_ms;
    struct pollfd heard = {.fd = s->fd, .events = POLLIN};
    uint32_t addr;
    uint16_t sequence;

    while (left_ms > 0 && !(is_end && s->answered == s->asked)) {
        (void)poll(&heard, 1, (int)left_ms);
        while (next_answer(s->fd, s->id_be, &addr, &sequence))
            take_answer(s, addr, sequence);
        left_ms = end_ms - clock_boot_ms();
    }
}

int ping_run_series(const char *device, uint16_t id_be, struct ping_target *targets, size_t count,
                    unsigned int tries)
{
    AUTO_CLOSE int fd = open_socket(device);
    AUTO_FREE bool *has_answer = mem_zalloc(count * tries + 1);
    struct series s = {fd, id_be, targets, count, 0, 0, has_answer};

    if (fd < 0)
        return fd;
    for (unsigned int try = 0; try < tries; try++) {
        for (size_t i = 0; i < count; i++)
            send_echo(fd, &targets[i], id_be, (uint16_t)s.asked++);
        listen_for_answers(&s, PING_SERIES_PAUSE_MS, false);
    }
    listen_for_answers(&s, SERIES_LATE_MS, true);
    return 0;
}
