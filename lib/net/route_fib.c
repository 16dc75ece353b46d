/* Which route a packet would take. */
#include <libmnl/libmnl.h>

#include "lib/base/error.h"
#include "lib/net/message.h"
#include "lib/net/route.h"

bool route_fib_parse(const struct nlmsghdr *message, struct route_fib *ret_fib)
{
    const struct rtmsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs, metrics;

    if (!header || message->nlmsg_type != RTM_NEWROUTE || header->rtm_family != AF_INET)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    nl_attrs_parse_nested(&attrs, RTA_METRICS, &metrics);
    *ret_fib = (struct route_fib){
        .ifindex = nl_attr_ifindex(&attrs, RTA_OIF),
        .gateway = nl_attr_ip4(&attrs, RTA_GATEWAY),
        .mtu_bytes = nl_attr_u32(&metrics, RTAX_MTU, 0),
    };
    ret_fib->is_simple = header->rtm_type == RTN_UNICAST && ret_fib->ifindex > 0 &&
                         !attrs.of[RTA_MULTIPATH] && !attrs.of[RTA_VIA] &&
                         !attrs.of[RTA_ENCAP_TYPE];
    return true;
}

static int take_fib(const struct nlmsghdr *message, void *data)
{
    return route_fib_parse(message, data) ? 0 : err_fail(EPROTO, "an unreadable answer");
}

/* Unreachable, prohibit and blackhole routes are all no way. */
static int no_way(int r)
{
    return r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL ? -ENETUNREACH : r;
}

int route_fib(struct nl *nl, uint32_t addr, struct route_fib *ret_fib)
{
    union nl_request request = {0};
    struct rtmsg *header = nl_request_begin(&request.header, RTM_GETROUTE, 0, sizeof *header);
    char text[IP4_TEXT_SIZE];
    int r;

    header->rtm_family = AF_INET;
    header->rtm_dst_len = 32;
    header->rtm_flags = RTM_F_FIB_MATCH;
    nl_put_ip4(&request.header, RTA_DST, addr);
    r = nl_query(nl, &request.header, take_fib, ret_fib);
    return r < 0 ? err_wrap(no_way(r), "look up the route to %s", ip4_format(addr, text)) : 0;
}
