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
#define ROUNDS 2
#define ROUND_MS 400
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
        if (!targets[i].answers)
            return false;
    return true;
}

static void wait_answers(const int *fds, struct tcp_target *targets, size_t count)
{
    int64_t end_ms = clock_boot_ms() + ROUND_MS;

    do {
        for (size_t i = 0; i < count; i++)
            targets[i].answers = targets[i].answers || (fds[i] >= 0 && is_answered(fds[i]));
        (void)poll(NULL, 0, 1);
    } while (!all_answer(targets, count) && clock_boot_ms() < end_ms);
}

static int try_plain(const char *device, struct tcp_target *targets, size_t count)
{
    AUTO_FREE int *fds = mem_array(count, sizeof *fds);
    int r = 0;

    for (size_t i = 0; i < count; i++) {
        fds[i] = targets[i].answers ? -1 : begin_connect(device, targets[i].addr);
        if (!targets[i].answers && fds[i] < 0)
            r = fds[i];
    }
    if (r == 0)
        wait_answers(fds, targets, count);
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
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

static void note_answer(const uint8_t *packet, size_t n, uint16_t port_be,
                        struct tcp_target *targets, size_t count)
{
    size_t ip_header = n > 0 ? (packet[0] & 15u) * 4u : 0;
    struct iphdr ip;
    struct tcphdr tcp;

    if (n < ip_header + sizeof tcp || ip_header < sizeof ip)
        return;
    memcpy(&ip, packet, sizeof ip);
    memcpy(&tcp, packet + ip_header, sizeof tcp);
    for (size_t i = 0; i < count; i++)
        if (tcp.dest == port_be && tcp.source == htons(PORT) && targets[i].addr == ntohl(ip.saddr))
            targets[i].answers_summed = true;
}

static void hear_answers(int fd, uint16_t port_be, struct tcp_target *targets, size_t count)
{
    int64_t end_ms = clock_boot_ms() + ROUND_MS, left_ms = ROUND_MS;
    struct pollfd heard = {.fd = fd, .events = POLLIN};
    uint8_t packet[IP_HEADER_MAX + sizeof(struct tcphdr)];
    ssize_t n;

    while (left_ms > 0 && poll(&heard, 1, (int)left_ms) > 0) {
        while ((n = recv(fd, packet, sizeof packet, 0)) > 0)
            note_answer(packet, (size_t)n, port_be, targets, count);
        left_ms = end_ms - clock_boot_ms();
    }
}

/* Only for whom the ordinary way fails: the two are compared. */
static int try_summed(const char *device, struct tcp_target *targets, size_t count)
{
    AUTO_CLOSE int fd = open_socket(device, SOCK_RAW, IPPROTO_TCP);
    uint16_t port_be = htons((uint16_t)(SOURCE_PORT_MIN + random_u64() % 64000));

    if (fd < 0)
        return fd;
    for (size_t i = 0; i < count; i++)
        if (!targets[i].answers)
            send_syn(fd, device, targets[i].addr, port_be);
    hear_answers(fd, port_be, targets, count);
    return 0;
}

int tcp_probe_run(const char *device, struct tcp_target *targets, size_t count)
{
    for (int round = 0; round < ROUNDS && !all_answer(targets, count); round++) {
        int r = try_plain(device, targets, count);

        if (r < 0)
            return r;
    }
    return all_answer(targets, count) ? 0 : try_summed(device, targets, count);
}
