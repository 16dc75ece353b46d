/* ICMP echoes (RFC 792), a TCP connection that is begun, a UDP datagram. */
#include "cli/trace/send.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/checksum.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/base/random.h"
#include "lib/net/netns.h"

#define PACKET_SIZE 128

struct opening {
    struct flow *flow;
    int fd;
};

static struct sockaddr_in address_of(uint32_t addr, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addr)};
}

static int socket_for(const struct flow *flow)
{
    const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;

    if (flow->protocol == IPPROTO_ICMP)
        return socket(AF_INET, SOCK_RAW | flags, IPPROTO_ICMP);
    return socket(AF_INET, (flow->protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | flags, 0);
}

static int open_inside(void *data)
{
    struct opening *opening = data;
    struct flow *flow = opening->flow;
    struct sockaddr_in from = address_of(flow->from, 0), to = address_of(flow->to, flow->port);
    socklen_t size = sizeof from;
    AUTO_CLOSE int fd = socket_for(flow);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&from, sizeof from) < 0 ||
        getsockname(fd, (struct sockaddr *)&from, &size) < 0)
        return err_sys(errno, "open a socket in the container");
    flow->mark = flow->protocol == IPPROTO_ICMP ? (uint16_t)random_u64() : ntohs(from.sin_port);
    /* TCP's first packet leaves here; without a route inside, it never does. */
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS &&
        errno != ENETUNREACH && errno != EHOSTUNREACH)
        return err_sys(errno, "connect in the container");
    opening->fd = TAKE_FD(fd);
    return 0;
}

int send_open(int netns_fd, struct flow *flow, int *ret_fd)
{
    struct opening opening = {.flow = flow, .fd = -1};
    int r = netns_run(netns_fd, open_inside, &opening);

    if (r == 0)
        *ret_fd = opening.fd;
    return r;
}

void send_packet(int fd, const struct flow *flow)
{
    struct icmphdr echo = {.type = ICMP_ECHO, .un.echo.id = htons(flow->mark)};

    echo.checksum = checksum_inet(&echo, sizeof echo);
    if (flow->protocol == IPPROTO_ICMP)
        (void)send(fd, &echo, sizeof echo, MSG_NOSIGNAL);
    else if (flow->protocol == IPPROTO_UDP)
        (void)send(fd, "", 0, MSG_NOSIGNAL);
}

/* One that did not get there tells its error once. Then it is ready like one that did, and so is
 * one that never left; but they have no peer. */
static bool is_tcp_answered(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    struct sockaddr_in peer;
    int error = 0;
    socklen_t error_size = sizeof error, peer_size = sizeof peer;

    if (poll(&ready, 1, 0) <= 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) < 0)
        return false;
    if (error == 0)
        return getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0;
    return error == ECONNREFUSED || error == ECONNRESET;
}

bool send_is_answered(int fd, const struct flow *flow)
{
    uint8_t packet[PACKET_SIZE];
    bool is_inside;
    ssize_t n;

    if (flow->protocol == IPPROTO_TCP)
        return is_tcp_answered(fd);
    if (flow->protocol == IPPROTO_UDP)
        return recv(fd, packet, sizeof packet, 0) >= 0 || errno == ECONNREFUSED;
    while ((n = recv(fd, packet, sizeof packet, 0)) >= 0)
        if (flow_recognize(flow, packet, (size_t)n, 0, &is_inside) == FLOW_ANSWER &&
            packet[(packet[0] & 15u) * 4u] == ICMP_ECHOREPLY)
            return true;
    return false;
}
