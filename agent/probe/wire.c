/* The sockets of the probes. */
#include "agent/probe/wire.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/icmp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/probe/packet.h"
#include "lib/api/mesh.h"
#include "lib/base/checksum.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

#define IP_HEADER_MAX 60
#define HEARD_BYTES (IP_HEADER_MAX + 64)
/* In one go, so that a flood leaves the loop to others, too. */
#define DRAIN_MAX 512

enum wire_socket { SOCKET_ECHO, SOCKET_UNDERLAY, SOCKET_OVERLAY, SOCKET_COUNT };

struct wire_end {
    struct probe_wire *wire;
    enum wire_socket kind;
    int fd; /* -1: none */
    struct loop_source *source;
};

struct probe_wire {
    struct probe_wire_config config;
    struct wire_end ends[SOCKET_COUNT];
    bool is_raw;
    uint16_t echo_id; /* of the raw socket */
    uint32_t vtep;
    char *echo_problem; /* owned */
};

/* A packet as it came. */
struct heard {
    uint8_t bytes[HEARD_BYTES];
    size_t n;    /* in bytes */
    size_t size; /* of the packet, which may be larger */
    struct sockaddr_in from;
};

struct echo {
    struct icmphdr header;
    uint64_t nonce;
};

static_assert(sizeof(struct echo) == 16, "it goes out as it lies in memory");

/* ---- opening ------------------------------------------------------------------------------- */

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

static int adopt(struct wire_end *end, int fd);

static int open_raw(struct probe_wire *w)
{
    const uint32_t all_but_replies = ~(UINT32_C(1) << ICMP_ECHOREPLY);
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_RAW, ICMP_FILTER, &all_but_replies, sizeof all_but_replies) < 0)
        return -errno;
    w->is_raw = true;
    w->echo_id = (uint16_t)random_u64();
    return adopt(&w->ends[SOCKET_ECHO], TAKE_FD(fd));
}

static int open_echo(struct probe_wire *w)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
    int r = fd >= 0 ? adopt(&w->ends[SOCKET_ECHO], fd) : open_raw(w);

    if (r != -EPERM && r != -EACCES)
        return r < 0 ? err_sys(-r, "open a socket for ICMP") : 0;
    w->echo_problem =
        mem_strdup("no ICMP socket: it takes CAP_NET_RAW, or this group in the sysctl "
                   "net.ipv4.ping_group_range");
    return 0;
}

static int bind_probe_port(int fd, uint32_t addr)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(MESH_PROBE_PORT), .sin_addr.s_addr = htonl(addr)};
    int r = set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);

    if (r == 0)
        r = set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    if (r == 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) < 0)
        r = -errno;
    return r;
}

static int open_udp(struct probe_wire *w, enum wire_socket kind, uint32_t addr)
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char text[IP4_TEXT_SIZE];
    int r = fd < 0 ? -errno : bind_probe_port(fd, addr);

    if (r == 0)
        r = adopt(&w->ends[kind], TAKE_FD(fd));
    return r < 0 ? err_sys(-r, "open UDP port %d on %s for probes", MESH_PROBE_PORT,
                           ip4_format(addr, text))
                 : 0;
}

static void close_end(struct wire_end *end)
{
    loop_source_free(TAKE_PTR(end->source));
    if (end->fd >= 0)
        (void)close(TAKE_FD(end->fd));
}

/* ---- reading ------------------------------------------------------------------------------- */

/* When it came is not asked of the kernel: one socket with SO_TIMESTAMP, and each packet of the
 * host is stamped on each device that it passes. */
static bool hear(const struct wire_end *end, struct heard *ret)
{
    socklen_t from_size = sizeof ret->from;
    ssize_t n = recvfrom(end->fd, ret->bytes, sizeof ret->bytes, MSG_TRUNC,
                         (struct sockaddr *)&ret->from, &from_size);

    if (n < 0)
        return false;
    ret->size = (size_t)n;
    ret->n = ret->size < sizeof ret->bytes ? ret->size : sizeof ret->bytes;
    return true;
}

/* A raw socket hears the IP header, too, and everybody's answers. */
static void take_echo(struct probe_wire *w, const struct heard *heard)
{
    size_t offset = w->is_raw && heard->n > 0 ? (heard->bytes[0] & 15u) * 4u : 0;
    struct echo echo;

    if (heard->n < offset + sizeof echo)
        return;
    memcpy(&echo, heard->bytes + offset, sizeof echo);
    if (echo.header.type != ICMP_ECHOREPLY || (w->is_raw && echo.header.un.echo.id != w->echo_id))
        return;
    w->config.answered(w->config.data, ntohl(heard->from.sin_addr.s_addr), echo.nonce, 0);
}

static void send_to(const struct wire_end *end, const void *bytes, size_t n, uint32_t addr,
                    uint16_t port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addr)};

    (void)sendto(end->fd, bytes, n, 0, (const struct sockaddr *)&to, sizeof to);
}

static void answer(const struct wire_end *end, uint32_t from, uint64_t nonce, size_t size)
{
    const struct probe_packet packet = {PROBE_ANSWER, (uint16_t)(size + PROBE_HEADERS_BYTES),
                                        nonce};
    uint8_t bytes[PROBE_PACKET_BYTES];

    probe_packet_write(&packet, bytes);
    send_to(end, bytes, sizeof bytes, from, MESH_PROBE_PORT);
}

static void take_udp(const struct wire_end *end, const struct heard *heard)
{
    const struct probe_wire_config *config = &end->wire->config;
    uint32_t from = ntohl(heard->from.sin_addr.s_addr);
    struct probe_packet packet;

    if (heard->from.sin_port != htons(MESH_PROBE_PORT) ||
        !probe_packet_read(heard->bytes, heard->n, &packet))
        return;
    if (packet.type == PROBE_ANSWER)
        config->answered(config->data, from, packet.nonce, packet.ip_bytes);
    else if (config->admit(config->data, from))
        answer(end, from, packet.nonce, heard->size);
}

static void drain_end(const struct wire_end *end)
{
    struct heard heard;

    for (int i = 0; end->fd >= 0 && i < DRAIN_MAX && hear(end, &heard); i++) {
        if (end->kind == SOCKET_ECHO)
            take_echo(end->wire, &heard);
        else
            take_udp(end, &heard);
    }
}

static void on_readable(void *data, uint32_t events)
{
    const struct wire_end *end = data;

    drain_end(end);
    end->wire->config.drained(end->wire->config.data);
}

void probe_wire_drain(struct probe_wire *w)
{
    for (int i = 0; i < SOCKET_COUNT; i++)
        drain_end(&w->ends[i]);
}

static int adopt(struct wire_end *end, int fd)
{
    end->fd = fd;
    return loop_add_io(end->wire->config.loop, fd, EPOLLIN, on_readable, end, &end->source);
}

/* ---- sending ------------------------------------------------------------------------------- */

static void send_echo(const struct probe_wire *w, uint32_t addr, uint64_t nonce)
{
    struct echo echo = {.header = {.type = ICMP_ECHO, .un.echo.id = w->echo_id}, .nonce = nonce};

    echo.header.checksum = checksum_inet(&echo, sizeof echo);
    send_to(&w->ends[SOCKET_ECHO], &echo, sizeof echo, addr, 0);
}

static void send_request(const struct wire_end *end, uint32_t addr, uint64_t nonce,
                         uint32_t ip_bytes)
{
    const struct probe_packet packet = {PROBE_REQUEST, (uint16_t)ip_bytes, nonce};
    size_t n = ip_bytes > PROBE_HEADERS_BYTES ? ip_bytes - PROBE_HEADERS_BYTES : 0;
    AUTO_FREE uint8_t *bytes = NULL;

    n = n < PROBE_PACKET_BYTES ? PROBE_PACKET_BYTES : n;
    n = n > PROBE_PACKET_MAX ? PROBE_PACKET_MAX : n;
    bytes = mem_zalloc(n);
    probe_packet_write(&packet, bytes);
    send_to(end, bytes, n, addr, MESH_PROBE_PORT);
}

void probe_wire_send(struct probe_wire *w, enum probe_way way, uint32_t addr, uint64_t nonce,
                     uint32_t ip_bytes)
{
    bool is_echo = way == PROBE_HOST_ECHO || way == PROBE_VTEP_ECHO;
    enum wire_socket kind = is_echo                 ? SOCKET_ECHO
                            : way == PROBE_HOST_UDP ? SOCKET_UNDERLAY
                                                    : SOCKET_OVERLAY;

    if (w->ends[kind].fd < 0)
        return;
    if (is_echo)
        send_echo(w, addr, nonce);
    else
        send_request(&w->ends[kind], addr, nonce, ip_bytes);
}

/* ---- life ---------------------------------------------------------------------------------- */

int probe_wire_new(const struct probe_wire_config *config, struct probe_wire **ret_wire)
{
    struct probe_wire *w = NEW(struct probe_wire);
    int r;

    w->config = *config;
    for (int i = 0; i < SOCKET_COUNT; i++)
        w->ends[i] = (struct wire_end){.wire = w, .kind = (enum wire_socket)i, .fd = -1};
    r = open_echo(w);
    if (r == 0)
        r = open_udp(w, SOCKET_UNDERLAY, config->host_ip);
    if (r < 0) {
        probe_wire_free(w);
        return r;
    }
    *ret_wire = w;
    return 0;
}

void probe_wire_free(struct probe_wire *w)
{
    if (!w)
        return;
    for (int i = 0; i < SOCKET_COUNT; i++)
        close_end(&w->ends[i]);
    free(w->echo_problem);
    free(w);
}

int probe_wire_set_vtep(struct probe_wire *w, uint32_t vtep)
{
    int r;

    if (w->vtep == vtep)
        return 0;
    close_end(&w->ends[SOCKET_OVERLAY]);
    w->vtep = 0;
    r = vtep ? open_udp(w, SOCKET_OVERLAY, vtep) : 0;
    if (r < 0) {
        close_end(&w->ends[SOCKET_OVERLAY]);
        return r;
    }
    w->vtep = vtep;
    return 0;
}

const char *probe_wire_echo_problem(const struct probe_wire *w)
{
    return w->echo_problem;
}
