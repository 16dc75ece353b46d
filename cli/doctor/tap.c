/* A packet socket with a filter in front, so that a busy host's other packets never fill it. */
#include "cli/doctor/tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include "lib/base/error.h"

#define PACKETS_MAX 4096
#define PROTOCOL_OFFSET 9
#define PORT_OFFSET 2 /* of the destination in a UDP header */

/* From the UDP header on: it, VXLAN's (RFC 7348 section 5), Ethernet's, IP's without options. */
#define INNER_IP_OFFSET (8 + 8 + 14)
#define INNER_PROTOCOL_OFFSET (INNER_IP_OFFSET + PROTOCOL_OFFSET)
#define INNER_ICMP_OFFSET (INNER_IP_OFFSET + 20)
#define INNER_ID_OFFSET (INNER_ICMP_OFFSET + 4)

struct tap {
    int fd;
    uint32_t *senders;
    size_t count;
};

/* An echo reply of this identifier in VXLAN to this port; the socket hands over packets from their
 * IP header on. Not what a switch floods to all, which is for another host. */
static int set_filter(int fd, uint16_t port, uint16_t id_be)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 0, 14),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 12),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, PROTOCOL_OFFSET),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 10),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, PORT_OFFSET),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 7),
        BPF_STMT(BPF_LD | BPF_B | BPF_IND, INNER_PROTOCOL_OFFSET),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 0, 5),
        BPF_STMT(BPF_LD | BPF_B | BPF_IND, INNER_ICMP_OFFSET),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHOREPLY, 0, 3),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, INNER_ID_OFFSET),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohs(id_be), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, sizeof(struct iphdr)),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
        return err_sys(errno, "set a filter for packets");
    return 0;
}

/* The protocol comes last: nothing is heard that the filter has not seen. All of them are heard
 * before the device's own filters, tc's and nftables' at ingress, one of them only behind. */
static int open_filtered(uint16_t port, uint16_t id_be, int *ret_fd)
{
    AUTO_CLOSE int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int r;

    if (fd < 0)
        return err_sys(errno, "open a socket that hears packets");
    r = set_filter(fd, port, id_be);
    if (r < 0)
        return r;
    if (bind(fd, (const struct sockaddr *)&all, sizeof all) < 0)
        return err_sys(errno, "hear packets");
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int tap_open(uint16_t udp_port, uint16_t id_be, struct tap **ret_tap)
{
    struct tap *tap;
    int fd, r = open_filtered(udp_port, id_be, &fd);

    if (r < 0)
        return r;
    tap = NEW(struct tap);
    tap->fd = fd;
    *ret_tap = tap;
    return 0;
}

static void drain(struct tap *tap)
{
    struct iphdr ip;

    while (tap->count < PACKETS_MAX && recv(tap->fd, &ip, sizeof ip, 0) == sizeof ip) {
        tap->senders = mem_resize(tap->senders, tap->count + 1, sizeof *tap->senders);
        tap->senders[tap->count++] = ntohl(ip.saddr);
    }
}

bool tap_has_heard(struct tap *tap, uint32_t addr)
{
    drain(tap);
    for (size_t i = 0; i < tap->count; i++)
        if (tap->senders[i] == addr)
            return true;
    return false;
}

void tap_close(struct tap *tap)
{
    (void)close(tap->fd);
    free(tap->senders);
    free(tap);
}
