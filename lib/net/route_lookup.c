/* How a packet would leave. */
#include <libmnl/libmnl.h>

#include "lib/base/error.h"
#include "lib/net/link.h"
#include "lib/net/message.h"
#include "lib/net/route.h"

/* The MTU that the route was given; 0 when it was not. One that expires was learned on the way (a
 * path MTU) and is no property of the route. */
static uint32_t configured_mtu(const struct nl_attrs *attrs)
{
    const struct nlattr *cache = attrs->of[RTA_CACHEINFO];
    struct nl_attrs metrics;

    if (cache && mnl_attr_get_payload_len(cache) >= sizeof(struct rta_cacheinfo)) {
        const struct rta_cacheinfo *info = mnl_attr_get_payload(cache);

        if (info->rta_expires != 0)
            return 0;
    }
    nl_attrs_parse_nested(attrs, RTA_METRICS, &metrics);
    return nl_attr_u32(&metrics, RTAX_MTU, 0);
}

bool route_path_parse(const struct nlmsghdr *message, struct route_path *ret_path)
{
    const struct rtmsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs;

    if (!header || message->nlmsg_type != RTM_NEWROUTE || header->rtm_family != AF_INET)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    *ret_path = (struct route_path){.ifindex = nl_attr_ifindex(&attrs, RTA_OIF),
                                    .gateway = nl_attr_ip4(&attrs, RTA_GATEWAY),
                                    .source = nl_attr_ip4(&attrs, RTA_PREFSRC),
                                    .mtu_bytes = configured_mtu(&attrs),
                                    .is_local = header->rtm_type == RTN_LOCAL};
    return ret_path->ifindex > 0;
}

static int take_path(const struct nlmsghdr *message, void *data)
{
    return route_path_parse(message, data) ? 0 : err_fail(EPROTO, "an unreadable answer");
}

/* Unreachable, prohibit and blackhole routes are all no way. */
static int no_way(int r)
{
    return r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL ? -ENETUNREACH : r;
}

static int ask(struct nl *nl, uint32_t addr, struct route_path *ret_path)
{
    union nl_request request = {0};
    struct rtmsg *header = nl_request_begin(&request.header, RTM_GETROUTE, 0, sizeof *header);
    char text[IP4_TEXT_SIZE];
    int r;

    header->rtm_family = AF_INET;
    header->rtm_dst_len = 32;
    nl_put_ip4(&request.header, RTA_DST, addr);
    r = nl_query(nl, &request.header, take_path, ret_path);
    return r < 0 ? err_wrap(no_way(r), "look up the route to %s", ip4_format(addr, text)) : 0;
}

int route_lookup(struct nl *nl, uint32_t addr, struct route_path *ret_path)
{
    struct route_path path;
    struct link_info link = {0};
    int r = ask(nl, addr, &path);

    if (r == 0)
        r = link_get_by_index(nl, path.ifindex, &link);
    if (r < 0)
        return r;
    if (path.mtu_bytes == 0 || path.mtu_bytes > link.mtu_bytes)
        path.mtu_bytes = link.mtu_bytes;
    *ret_path = path;
    return 0;
}
