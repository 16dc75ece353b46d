/* TCP's first packet (RFC 9293), by the kernel and by hand. */
#include "cli/doctor/tcp_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/checksum.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"

#define PORT 1 /* tcpmux, which nobody has */
#define TRIES 5
#define PAUSE_MS 100       /* between tries as programs do it; less than TCP takes to repeat it */
#define SUMMED_PAUSE_MS 20 /* between those by hand */
#define LATE_MS 400        /* the last is waited for */
#define IP_HEADER_MAX 60
#define WINDOW 1024
#define SOURCE_PORT_MIN 1024

static int open_socket(const char *device, int type, int protocol)
{
    AUTO_CLOSE int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

    if (fd < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0)
        return err_sys(errno, "try TCP over %s", device);
    return TAKE_FD(fd);
}

static struct sockaddr_in address_of(uint32_t addr, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addr)};
}

/* ---- as programs do it ----------------------------------------------------------------------- */

/* Refused is answered; so is accepted. */
static bool is_answered(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;

    return poll(&ready, 1, 0) > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
           (error == 0 || error == ECONNREFUSED);
}

static int begin_connect(const char *device, uint32_t addr)
{
    const struct sockaddr_in to = address_of(addr, PORT);
    int fd = open_socket(device, SOCK_STREAM, 0);

    if (fd >= 0)
        (void)connect(fd, (const struct sockaddr *)&to, sizeof to);
    return fd;
}

static bool all_answer(const struct tcp_target *targets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (targets[i].answers == 0)
            return false;
    return true;
}

/* Each target has its TRIES in a row: those that are under way. */
static int begin_try(const char *device, struct tcp_target *targets, size_t count, int *fds)
{
    for (size_t i = 0; i < count; i++) {
        struct tcp_target *target = &targets[i];
        int fd;

        if (target->answers > 0)
            continue;
        fd = begin_connect(device, target->addr);
        if (fd < 0)
            return fd;
        fds[i * TRIES + target->sent++] = fd;
    }
    return 0;
}

static void wait_answers(const int *fds, struct tcp_target *targets, size_t count, int64_t span_ms)
{
    int64_t end_ms = clock_boot_ms() + span_ms;

    do {
        for (size_t i = 0; i < count; i++)
            for (unsigned int try = 0; try < targets[i].sent && targets[i].answers == 0; try++)
                targets[i].answers += is_answered(fds[i * TRIES + try]);
        (void)poll(NULL, 0, 1);
    } while (!all_answer(targets, count) && clock_boot_ms() < end_ms);
}

static int try_plain(const char *device, struct tcp_target *targets, size_t count)
{
    AUTO_FREE int *fds = mem_array(count * TRIES, sizeof *fds);
    int r = 0;

    for (int try = 0; r == 0 && try < TRIES && !all_answer(targets, count); try++) {
        r = begin_try(device, targets, count, fds);
        if (r == 0)
            wait_answers(fds, targets, count, try == TRIES - 1 ? LATE_MS : PAUSE_MS);
    }
    for (size_t i = 0; i < count; i++)
        for (unsigned int try = 0; try < targets[i].sent; try++)
            (void)close(fds[i * TRIES + try]);
    return r;
}

/* ---- by hand --------------------------------------------------------------------------------- */

struct pseudo {
    uint32_t from_be, to_be;
    uint8_t zero, protocol;
    uint16_t size_be;
    struct tcphdr tcp;
};
_Static_assert(sizeof(struct pseudo) == 32, "RFC 9293, figure 2");

static int source_of(const char *device, uint32_t addr, uint32_t *ret_be)
{
    AUTO_CLOSE int fd = open_socket(device, SOCK_DGRAM, 0);
    struct sockaddr_in to = address_of(addr, PORT), from;
    socklen_t size = sizeof from;

    if (fd < 0)
        return fd;
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) < 0 ||
        getsockname(fd, (struct sockaddr *)&from, &size) < 0)
        return err_sys(errno, "find the address of %s", device);
    *ret_be = from.sin_addr.s_addr;
    return 0;
}

static void send_syn(int fd, const char *device, uint32_t addr, uint16_t port_be)
{
    const struct sockaddr_in to = address_of(addr, 0);
    struct pseudo p = {.to_be = htonl(addr),
                       .protocol = IPPROTO_TCP,
                       .size_be = htons(sizeof p.tcp),
                       .tcp = {.source = port_be,
                               .dest = htons(PORT),
                               .seq = (uint32_t)random_u64(),
                               .doff = sizeof p.tcp / 4,
                               .syn = 1,
                               .window = htons(WINDOW)}};

    if (source_of(device, addr, &p.from_be) < 0)
        return;
    p.tcp.check = checksum_inet(&p, sizeof p);
    (void)sendto(fd, &p.tcp, sizeof p.tcp, 0, (const struct sockaddr *)&to, sizeof to);
}

/* Each try has a port of its own. */
struct summed {
    int fd;
    uint16_t first_port;
    struct tcp_target *targets;
    size_t count;
    bool *has_answer; /* TRIES for each */
};

static void note_answer(struct summed *s, const uint8_t *packet, size_t n)
{
    size_t ip_header = n > 0 ? (packet[0] & 15u) * 4u : 0;
    struct iphdr ip;
    struct tcphdr tcp;
    uint16_t try;

    if (n < ip_header + sizeof tcp || ip_header < sizeof ip)
        return;
    memcpy(&ip, packet, sizeof ip);
    memcpy(&tcp, packet + ip_header, sizeof tcp);
    try = (uint16_t)(ntohs(tcp.dest) - s->first_port);
    for (size_t i = 0; i < s->count && try < TRIES && tcp.source == htons(PORT); i++) {
        bool *has_answer = &s->has_answer[i * TRIES + try];

        if (s->targets[i].addr != ntohl(ip.saddr) || *has_answer)
            continue;
        *has_answer = true;
        s->targets[i].summed_answers++;
    }
}

static bool is_all_heard(const struct summed *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->targets[i].summed_answers < s->targets[i].summed_sent)
            return false;
    return true;
}

static void hear_answers(struct summed *s, int64_t span_ms, bool is_end)
{
    int64_t end_ms = clock_boot_ms() + span_ms, left_ms = span_ms;
    struct pollfd heard = {.fd = s->fd, .events = POLLIN};
    uint8_t packet[IP_HEADER_MAX + sizeof(struct tcphdr)];
    ssize_t n;

    while (left_ms > 0 && !(is_end && is_all_heard(s))) {
        (void)poll(&heard, 1, (int)left_ms);
        while ((n = recv(s->fd, packet, sizeof packet, 0)) > 0)
            note_answer(s, packet, (size_t)n);
        left_ms = end_ms - clock_boot_ms();
    }
}

/* Only for whom the ordinary way fails: the two are compared. */
static int try_summed(const char *device, struct tcp_target *targets, size_t count)
{
    AUTO_CLOSE int fd = open_socket(device, SOCK_RAW, IPPROTO_TCP);
    AUTO_FREE bool *has_answer = mem_zalloc(count * TRIES);
    struct summed s = {fd, (uint16_t)(SOURCE_PORT_MIN + random_u64() % 64000), targets, count,
                       has_answer};

    if (fd < 0)
        return fd;
    for (int try = 0; try < TRIES; try++) {
        for (size_t i = 0; i < count; i++)
            if (targets[i].answers == 0) {
                send_syn(fd, device, targets[i].addr, htons((uint16_t)(s.first_port + try)));
                targets[i].summed_sent++;
            }
        hear_answers(&s, SUMMED_PAUSE_MS, false);
    }
    hear_answers(&s, LATE_MS, true);
    return 0;
}

int tcp_probe_run(const char *device, struct tcp_target *targets, size_t count)
{
    int r = try_plain(device, targets, count);

    return r < 0 || all_answer(targets, count) ? r : try_summed(device, targets, count);
}
