/* Network devices. RTM_NEWLINK without NLM_F_CREATE changes the device of that index. */
#include "lib/net/link.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/net/message.h"

/* ---- look ------------------------------------------------------------------------------- */

static void parse_vxlan(const struct nl_attrs *linkinfo, struct link_vxlan *ret)
{
    struct nl_attrs data;

    nl_attrs_parse_nested(linkinfo, IFLA_INFO_DATA, &data);
    ret->vni = nl_attr_u32(&data, IFLA_VXLAN_ID, 0);
    ret->port = nl_attr_u16_be(&data, IFLA_VXLAN_PORT, 0);
    ret->local = nl_attr_ip4(&data, IFLA_VXLAN_LOCAL);
    ret->remote = nl_attr_ip4(&data, IFLA_VXLAN_GROUP);
    ret->lower_ifindex = nl_attr_ifindex(&data, IFLA_VXLAN_LINK);
    ret->is_learning = nl_attr_u8(&data, IFLA_VXLAN_LEARNING, 0) != 0;
    ret->is_external = nl_attr_u8(&data, IFLA_VXLAN_COLLECT_METADATA, 0) != 0;
}

static void parse_kind(const struct nl_attrs *attrs, struct link_info *ret)
{
    struct nl_attrs linkinfo;

    nl_attrs_parse_nested(attrs, IFLA_LINKINFO, &linkinfo);
    nl_attr_text(&linkinfo, IFLA_INFO_KIND, ret->kind, sizeof ret->kind);
    if (strcmp(ret->kind, "vxlan") == 0)
        parse_vxlan(&linkinfo, &ret->vxlan);
    if (strcmp(ret->kind, "veth") == 0)
        ret->peer_ifindex = nl_attr_ifindex(attrs, IFLA_LINK);
}

bool link_parse(const struct nlmsghdr *message, struct link_info *ret_info)
{
    const struct ifinfomsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs;

    if (!header || message->nlmsg_type != RTM_NEWLINK)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    *ret_info = (struct link_info){.ifindex = header->ifi_index,
                                   .is_up = (header->ifi_flags & IFF_UP) != 0,
                                   .has_carrier = (header->ifi_flags & IFF_LOWER_UP) != 0,
                                   .type = header->ifi_type,
                                   .mtu_bytes = nl_attr_u32(&attrs, IFLA_MTU, 0)};
    nl_attr_text(&attrs, IFLA_IFNAME, ret_info->name, sizeof ret_info->name);
    nl_attr_text(&attrs, IFLA_IFALIAS, ret_info->alias, sizeof ret_info->alias);
    (void)nl_attr_mac(&attrs, IFLA_ADDRESS, &ret_info->mac); /* tunnels have none: zeros */
    parse_kind(&attrs, ret_info);
    return true;
}

static int take_link(const struct nlmsghdr *message, void *data)
{
    return link_parse(message, data) ? 0 : err_fail(EPROTO, "an unreadable answer");
}

static struct ifinfomsg *begin_get(struct nlmsghdr *request)
{
    return nl_request_begin(request, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
}

int link_get(struct nl *nl, const char *name, struct link_info *ret_info)
{
    union nl_request request = {0};
    struct link_info info;
    int r = parse_ifname(name);

    if (r < 0)
        return r;
    (void)begin_get(&request.header);
    mnl_attr_put_u32(&request.header, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    mnl_attr_put_strz(&request.header, IFLA_IFNAME, name);
    r = nl_query(nl, &request.header, take_link, &info);
    if (r < 0)
        return err_wrap(r, "look at device %s", name);
    *ret_info = info;
    return 0;
}

int link_get_by_index(struct nl *nl, int ifindex, struct link_info *ret_info)
{
    union nl_request request = {0};
    struct link_info info;
    int r;

    begin_get(&request.header)->ifi_index = ifindex;
    mnl_attr_put_u32(&request.header, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    r = nl_query(nl, &request.header, take_link, &info);
    if (r < 0)
        return err_wrap(r, "look at device %d", ifindex);
    *ret_info = info;
    return 0;
}

static bool take_kind(const struct nlmsghdr *message, const void *filter, void *ret_item)
{
    const char *kind = filter;
    struct link_info *info = ret_item;

    return link_parse(message, info) && (!kind || strcmp(kind, info->kind) == 0);
}

int link_dump(struct nl *nl, const char *kind, struct link_info **ret_links, size_t *ret_count)
{
    union nl_request request = {0};
    void *links;
    int r;

    (void)begin_get(&request.header);
    mnl_attr_put_u32(&request.header, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    if (kind) {
        /* The kernel takes this as a hint: a kind that it has no module for filters nothing. */
        struct nlattr *linkinfo = mnl_attr_nest_start(&request.header, IFLA_LINKINFO);

        mnl_attr_put_strz(&request.header, IFLA_INFO_KIND, kind);
        mnl_attr_nest_end(&request.header, linkinfo);
    }
    r = nl_dump_items(nl, &request.header, take_kind, kind, sizeof **ret_links, &links, ret_count);
    if (r < 0)
        return err_wrap(r, "list devices");
    *ret_links = links;
    return 0;
}

/* ---- change ----------------------------------------------------------------------------- */

static struct ifinfomsg *begin_set(struct nlmsghdr *request, int ifindex)
{
    struct ifinfomsg *header = nl_request_begin(request, RTM_NEWLINK, 0, sizeof *header);

    header->ifi_index = ifindex;
    return header;
}

static int send_set(struct nl *nl, union nl_request *request, int ifindex, const char *what)
{
    int r = nl_transact(nl, &request->header);

    return r < 0 ? err_wrap(r, "set %s of device %d", what, ifindex) : 0;
}

int link_set_up(struct nl *nl, int ifindex, bool is_up)
{
    union nl_request request = {0};
    struct ifinfomsg *header = begin_set(&request.header, ifindex);
    int r;

    header->ifi_change = IFF_UP;
    header->ifi_flags = is_up ? IFF_UP : 0;
    r = nl_transact(nl, &request.header);
    return r < 0 ? err_wrap(r, "set device %d %s", ifindex, is_up ? "up" : "down") : 0;
}

int link_set_mtu(struct nl *nl, int ifindex, uint32_t mtu_bytes)
{
    union nl_request request = {0};

    (void)begin_set(&request.header, ifindex);
    mnl_attr_put_u32(&request.header, IFLA_MTU, mtu_bytes);
    return send_set(nl, &request, ifindex, "the MTU");
}

int link_set_mac(struct nl *nl, int ifindex, struct mac mac)
{
    union nl_request request = {0};

    (void)begin_set(&request.header, ifindex);
    nl_put_mac(&request.header, IFLA_ADDRESS, mac);
    return send_set(nl, &request, ifindex, "the MAC address");
}

int link_set_alias(struct nl *nl, int ifindex, const char *alias)
{
    union nl_request request = {0};

    if (strlen(alias) >= LINK_ALIAS_MAX)
        return err_fail(EINVAL, "a device's alias is longer than %d bytes", LINK_ALIAS_MAX - 1);
    (void)begin_set(&request.header, ifindex);
    mnl_attr_put_str(&request.header, IFLA_IFALIAS, alias);
    return send_set(nl, &request, ifindex, "the alias");
}

int link_delete(struct nl *nl, int ifindex)
{
    union nl_request request = {0};
    struct ifinfomsg *header = nl_request_begin(&request.header, RTM_DELLINK, 0, sizeof *header);
    int r;

    header->ifi_index = ifindex;
    r = nl_transact(nl, &request.header);
    if (r == -ENODEV)
        return 0;
    return r < 0 ? err_wrap(r, "delete device %d", ifindex) : 0;
}
