/* IPv4 routes of the main table. */
#include "lib/net/route.h"

#include <libmnl/libmnl.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/net/link.h"
#include "lib/net/message.h"

/* ---- look ------------------------------------------------------------------------------- */

/* Several next hops stand one after the other in one attribute:
 *
 *     rtnexthop (rtnh_len) | attributes of this hop | rtnexthop | ...
 */
static void parse_first_hop(const struct nlattr *multipath, struct route_entry *ret)
{
    const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
    size_t n = mnl_attr_get_payload_len(multipath);
    struct nl_attrs attrs;

    ret->is_multipath = true;
    if (n < sizeof *hop || hop->rtnh_len < sizeof *hop || hop->rtnh_len > n)
        return;
    ret->ifindex = hop->rtnh_ifindex;
    ret->is_onlink = (hop->rtnh_flags & RTNH_F_ONLINK) != 0;
    nl_attrs_parse_bytes(hop + 1, hop->rtnh_len - sizeof *hop, &attrs);
    ret->gateway = nl_attr_ip4(&attrs, RTA_GATEWAY);
}

bool route_parse(const struct nlmsghdr *message, struct route_entry *ret_entry)
{
    const struct rtmsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs, metrics;

    if (!header || message->nlmsg_type != RTM_NEWROUTE || header->rtm_family != AF_INET)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    if (header->rtm_dst_len > 32 ||
        nl_attr_u32(&attrs, RTA_TABLE, header->rtm_table) != RT_TABLE_MAIN)
        return false;
    nl_attrs_parse_nested(&attrs, RTA_METRICS, &metrics);
    *ret_entry = (struct route_entry){
        .dst = {.addr = nl_attr_ip4(&attrs, RTA_DST), .len = header->rtm_dst_len},
        .gateway = nl_attr_ip4(&attrs, RTA_GATEWAY),
        .ifindex = nl_attr_ifindex(&attrs, RTA_OIF),
        .is_onlink = (header->rtm_flags & RTNH_F_ONLINK) != 0,
        .scope = header->rtm_scope,
        .protocol = header->rtm_protocol,
        .type = header->rtm_type,
        .metric = nl_attr_u32(&attrs, RTA_PRIORITY, 0),
        .mtu_bytes = nl_attr_u32(&metrics, RTAX_MTU, 0)};
    if (attrs.of[RTA_MULTIPATH])
        parse_first_hop(attrs.of[RTA_MULTIPATH], ret_entry);
    return true;
}

struct route_filter {
    uint8_t protocol;             /* 0: all */
    int ifindex;                  /* 0: all */
    const struct ip4_prefix *dst; /* NULL: all */
};

static bool take_route(const struct nlmsghdr *message, const void *filter, void *ret_item)
{
    const struct route_filter *f = filter;
    struct route_entry *entry = ret_item;

    return route_parse(message, entry) && (!f->protocol || entry->protocol == f->protocol) &&
           (!f->ifindex || entry->ifindex == f->ifindex) &&
           (!f->dst || ip4_prefix_equal(entry->dst, *f->dst));
}

static int dump(struct nl *nl, const struct route_filter *filter, struct route_entry **ret_entries,
                size_t *ret_count)
{
    union nl_request request = {0};
    struct rtmsg *header = nl_request_begin(&request.header, RTM_GETROUTE, 0, sizeof *header);
    void *entries = NULL;
    int r;

    header->rtm_family = AF_INET;
    header->rtm_table = RT_TABLE_MAIN;
    header->rtm_protocol = filter->protocol;
    if (filter->ifindex)
        mnl_attr_put_u32(&request.header, RTA_OIF, (uint32_t)filter->ifindex);
    *ret_count = 0;
    r = nl_dump_items(nl, &request.header, take_route, filter, sizeof **ret_entries, &entries,
                      ret_count);
    /* A namespace that never had a route has no main table; a device that is gone has no routes. */
    if (r == -ENOENT || (r == -ENODEV && filter->ifindex))
        r = 0;
    if (r < 0)
        return err_wrap(r, "list routes");
    *ret_entries = entries;
    return 0;
}

int route_dump(struct nl *nl, uint8_t protocol, int ifindex, struct route_entry **ret_entries,
               size_t *ret_count)
{
    struct route_filter filter = {.protocol = protocol, .ifindex = ifindex};

    return dump(nl, &filter, ret_entries, ret_count);
}

int route_get_exact(struct nl *nl, struct ip4_prefix dst, struct route_entry **ret_entries,
                    size_t *ret_count)
{
    struct route_filter filter = {.dst = &dst};

    return dump(nl, &filter, ret_entries, ret_count);
}

/* ---- change ----------------------------------------------------------------------------- */

static struct rtmsg *fill(struct nlmsghdr *request, uint16_t type, uint16_t flags,
                          const struct route_entry *entry)
{
    struct rtmsg *header = nl_request_begin(request, type, flags, sizeof *header);

    header->rtm_family = AF_INET;
    header->rtm_dst_len = entry->dst.len;
    header->rtm_table = RT_TABLE_MAIN;
    header->rtm_protocol = QUILT_ROUTE_PROTOCOL;
    nl_put_ip4(request, RTA_DST, entry->dst.addr);
    return header;
}

static void put_mtu(struct nlmsghdr *request, uint32_t mtu_bytes)
{
    struct nlattr *metrics = mnl_attr_nest_start(request, RTA_METRICS);

    mnl_attr_put_u32(request, RTAX_MTU, mtu_bytes);
    mnl_attr_nest_end(request, metrics);
}

void route_fill_replace(struct nlmsghdr *request, const struct route_entry *entry)
{
    struct rtmsg *header = fill(request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, entry);

    header->rtm_type = RTN_UNICAST;
    header->rtm_scope = entry->scope;
    header->rtm_flags = entry->gateway && entry->is_onlink ? RTNH_F_ONLINK : 0;
    mnl_attr_put_u32(request, RTA_OIF, (uint32_t)entry->ifindex);
    if (entry->gateway)
        nl_put_ip4(request, RTA_GATEWAY, entry->gateway);
    if (entry->mtu_bytes)
        put_mtu(request, entry->mtu_bytes);
}

/* Destination and protocol name it; where it leads does not matter. */
void route_fill_delete(struct nlmsghdr *request, const struct route_entry *entry)
{
    struct rtmsg *header = fill(request, RTM_DELROUTE, 0, entry);

    header->rtm_scope = RT_SCOPE_NOWHERE;
}

static int failed(int r, const char *verb, const struct route_entry *entry)
{
    char dst[IP4_PREFIX_TEXT_SIZE];

    return err_wrap(r, "%s route %s by device %d", verb, ip4_prefix_format(entry->dst, dst),
                    entry->ifindex);
}

int route_replace(struct nl *nl, const struct route_entry *entry)
{
    union nl_request request = {0};
    int r;

    route_fill_replace(&request.header, entry);
    r = nl_transact(nl, &request.header);
    return r < 0 ? failed(r, "replace", entry) : 0;
}

int route_delete(struct nl *nl, const struct route_entry *entry)
{
    union nl_request request = {0};
    int r;

    route_fill_delete(&request.header, entry);
    r = nl_gone_is_fine(nl_transact(nl, &request.header));
    return r < 0 ? failed(r, "delete", entry) : 0;
}
