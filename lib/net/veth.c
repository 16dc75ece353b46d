/* Pairs of virtual Ethernet devices. drivers/net/veth.c, veth_newlink. */
#include "lib/net/veth.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"
#include "lib/net/link_create.h"

static void put_end(struct nlmsghdr *request, struct mac mac, uint32_t mtu_bytes)
{
    nl_put_mac(request, IFLA_ADDRESS, mac);
    mnl_attr_put_u32(request, IFLA_MTU, mtu_bytes);
}

static void put_kind(struct nlmsghdr *request, const struct veth_spec *spec)
{
    struct nlattr *linkinfo = mnl_attr_nest_start(request, IFLA_LINKINFO);
    struct nlattr *data;
    struct nlattr *peer;

    mnl_attr_put_strz(request, IFLA_INFO_KIND, "veth");
    data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
    peer = mnl_attr_nest_start(request, VETH_INFO_PEER);
    (void)mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(request, IFLA_IFNAME, spec->peer_name);
    mnl_attr_put_u32(request, IFLA_NET_NS_FD, (uint32_t)spec->peer_netns_fd);
    put_end(request, spec->peer_mac, spec->mtu_bytes);
    mnl_attr_nest_end(request, peer);
    mnl_attr_nest_end(request, data);
    mnl_attr_nest_end(request, linkinfo);
}

int veth_create(struct nl *nl, const struct veth_spec *spec)
{
    AUTO_LINK_CREATE struct link_create *create = NULL;
    struct nlmsghdr *request;
    int r = parse_ifname(spec->peer_name);

    if (r == 0)
        r = link_create_new(nl, spec->name, spec->alias, &create);
    if (r < 0)
        return r;
    request = link_create_request(create);
    put_end(request, spec->mac, spec->mtu_bytes);
    put_kind(request, spec);
    r = link_create_send(nl, create);
    return r < 0 ? err_wrap(r, "create devices %s and, in the other namespace, %s", spec->name,
                            spec->peer_name)
                 : 0;
}
