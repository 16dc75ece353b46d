/* Notifications as bytes. */
#include "lib/net/netlink_event.h"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "lib/net/message.h"

typedef bool (*read_fn)(const struct nlmsghdr *message, struct nl_event *ret_event);

static bool read_link(const struct nlmsghdr *message, struct nl_event *ret)
{
    const struct ifinfomsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs;

    if (!header)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    ret->ifindex = header->ifi_index;
    nl_attr_text(&attrs, IFLA_IFNAME, ret->ifname, sizeof ret->ifname);
    return true;
}

static bool read_addr(const struct nlmsghdr *message, struct nl_event *ret)
{
    const struct ifaddrmsg *header = nl_message_header(message, sizeof *header);

    if (header)
        ret->ifindex = (int)header->ifa_index;
    return header;
}

static bool read_neigh(const struct nlmsghdr *message, struct nl_event *ret)
{
    const struct ndmsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs;

    if (!header)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    ret->ifindex = header->ndm_ifindex;
    ret->is_fdb = header->ndm_family == AF_BRIDGE;
    ret->addr = nl_attr_ip4(&attrs, NDA_DST);
    (void)nl_attr_mac(&attrs, NDA_LLADDR, &ret->mac);
    return true;
}

static bool read_route(const struct nlmsghdr *message, struct nl_event *ret)
{
    const struct rtmsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs;

    if (!header)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    ret->ifindex = nl_attr_ifindex(&attrs, RTA_OIF);
    ret->protocol = header->rtm_protocol;
    ret->dst =
        (struct ip4_prefix){.addr = nl_attr_ip4(&attrs, RTA_DST), .len = header->rtm_dst_len};
    return true;
}

/* Which one it was does not matter: any may change every way. */
static bool read_rule(const struct nlmsghdr *message, struct nl_event *ret)
{
    return nl_message_header(message, sizeof(struct fib_rule_hdr));
}

static bool read_netconf(const struct nlmsghdr *message, struct nl_event *ret)
{
    const struct netconfmsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs;

    if (!header)
        return false;
    /* Negative indexes stand for "all" and "default". */
    nl_attrs_parse(message, sizeof *header, &attrs);
    ret->ifindex = (int)nl_attr_u32(&attrs, NETCONFA_IFINDEX, 0);
    return true;
}

static const struct {
    uint16_t message_type;
    bool is_removal;
    enum nl_event_type type;
    read_fn read;
} kinds[] = {
    {RTM_NEWLINK, false, NL_EVENT_LINK, read_link},
    {RTM_DELLINK, true, NL_EVENT_LINK, read_link},
    {RTM_NEWADDR, false, NL_EVENT_ADDR, read_addr},
    {RTM_DELADDR, true, NL_EVENT_ADDR, read_addr},
    {RTM_NEWNEIGH, false, NL_EVENT_NEIGH, read_neigh},
    {RTM_DELNEIGH, true, NL_EVENT_NEIGH, read_neigh},
    {RTM_NEWROUTE, false, NL_EVENT_ROUTE, read_route},
    {RTM_DELROUTE, true, NL_EVENT_ROUTE, read_route},
    {RTM_NEWRULE, false, NL_EVENT_RULE, read_rule},
    {RTM_DELRULE, true, NL_EVENT_RULE, read_rule},
    {RTM_NEWNETCONF, false, NL_EVENT_NETCONF, read_netconf},
    {RTM_DELNETCONF, true, NL_EVENT_NETCONF, read_netconf},
};

bool nl_event_parse(const struct nlmsghdr *message, struct nl_event *ret_event)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct nl_event event = {.type = kinds[i].type, .is_removal = kinds[i].is_removal};

        if (kinds[i].message_type != message->nlmsg_type)
            continue;
        if (!kinds[i].read(message, &event))
            return false;
        *ret_event = event;
        return true;
    }
    return false;
}
