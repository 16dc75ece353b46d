/* Reads packets as far as it takes to know one again. */
#include "cli/trace/flow.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <string.h>

#define VXLAN_SIZE 8
#define ETH_SIZE 14

/* The header's size, 0 when it is none. */
static size_t read_ip(const uint8_t *packet, size_t n, struct iphdr *ret)
{
    if (n < sizeof *ret)
        return 0;
    memcpy(ret, packet, sizeof *ret);
    if (ret->version != 4 || ret->ihl < 5 || (size_t)ret->ihl * 4 > n)
        return 0;
    return (size_t)ret->ihl * 4;
}

static enum flow_part recognize_icmp(const struct flow *flow, const struct iphdr *ip,
                                     const uint8_t *rest, size_t n)
{
    bool is_forth = ntohl(ip->saddr) == flow->from && ntohl(ip->daddr) == flow->to;
    bool is_back = ntohl(ip->saddr) == flow->to && ntohl(ip->daddr) == flow->from;
    struct icmphdr icmp;

    if (n < sizeof icmp)
        return FLOW_OTHER;
    memcpy(&icmp, rest, sizeof icmp);
    if (ntohs(icmp.un.echo.id) != flow->mark)
        return FLOW_OTHER;
    if (icmp.type == ICMP_ECHO && is_forth)
        return FLOW_REQUEST;
    return icmp.type == ICMP_ECHOREPLY && is_back ? FLOW_ANSWER : FLOW_OTHER;
}

/* TCP's and UDP's headers both begin with the ports. */
static enum flow_part recognize_ports(const struct flow *flow, const struct iphdr *ip,
                                      const uint8_t *rest, size_t n)
{
    uint16_t ports[2];

    if (n < sizeof ports)
        return FLOW_OTHER;
    memcpy(ports, rest, sizeof ports);
    if (ntohl(ip->saddr) == flow->from && ntohl(ip->daddr) == flow->to &&
        ntohs(ports[0]) == flow->mark && ntohs(ports[1]) == flow->port)
        return FLOW_REQUEST;
    if (ntohl(ip->saddr) == flow->to && ntohl(ip->daddr) == flow->from &&
        ntohs(ports[1]) == flow->mark && ntohs(ports[0]) == flow->port)
        return FLOW_ANSWER;
    return FLOW_OTHER;
}

static bool is_error_about(const struct flow *flow, const struct iphdr *ip, const uint8_t *rest,
                           size_t n)
{
    struct iphdr quoted;
    size_t size;

    if (ip->protocol != IPPROTO_ICMP || ntohl(ip->daddr) != flow->from ||
        n < sizeof(struct icmphdr) ||
        (rest[0] != ICMP_DEST_UNREACH && rest[0] != ICMP_TIME_EXCEEDED))
        return false;
    rest += sizeof(struct icmphdr);
    n -= sizeof(struct icmphdr);
    size = read_ip(rest, n, &quoted);
    if (size == 0 || quoted.protocol != flow->protocol)
        return false;
    return flow->protocol == IPPROTO_ICMP
               ? recognize_icmp(flow, &quoted, rest + size, n - size) == FLOW_REQUEST
               : recognize_ports(flow, &quoted, rest + size, n - size) == FLOW_REQUEST;
}

static enum flow_part recognize_plain(const struct flow *flow, const uint8_t *packet, size_t n)
{
    struct iphdr ip;
    size_t size = read_ip(packet, n, &ip);

    if (size == 0)
        return FLOW_OTHER;
    if (is_error_about(flow, &ip, packet + size, n - size))
        return FLOW_ERROR;
    if (ip.protocol != flow->protocol)
        return FLOW_OTHER;
    return flow->protocol == IPPROTO_ICMP ? recognize_icmp(flow, &ip, packet + size, n - size)
                                          : recognize_ports(flow, &ip, packet + size, n - size);
}

enum flow_part flow_recognize(const struct flow *flow, const uint8_t *packet, size_t n,
                              uint16_t vxlan_port, bool *ret_is_inside)
{
    struct iphdr ip;
    struct udphdr udp;
    size_t size = read_ip(packet, n, &ip), inside;

    *ret_is_inside = false;
    if (size == 0)
        return FLOW_OTHER;
    inside = size + sizeof udp + VXLAN_SIZE + ETH_SIZE;
    if (ip.protocol == IPPROTO_UDP && n > inside) {
        memcpy(&udp, packet + size, sizeof udp);
        if (ntohs(udp.dest) == vxlan_port) {
            *ret_is_inside = true;
            return recognize_plain(flow, packet + inside, n - inside);
        }
    }
    return recognize_plain(flow, packet, n);
}
