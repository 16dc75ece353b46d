/* VXLAN devices. What the kernel does not let anybody change on one
 * (drivers/net/vxlan/vxlan_core.c, vxlan_nl2conf) is what vxlan_matches() compares. */
#include "lib/net/vxlan.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"
#include "lib/net/link_create.h"

static void put_kind(struct nlmsghdr *request, const struct vxlan_spec *spec)
{
    struct nlattr *linkinfo = mnl_attr_nest_start(request, IFLA_LINKINFO);
    struct nlattr *data;

    mnl_attr_put_strz(request, IFLA_INFO_KIND, "vxlan");
    data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
    mnl_attr_put_u32(request, IFLA_VXLAN_ID, spec->vni);
    mnl_attr_put_u16(request, IFLA_VXLAN_PORT, htons(spec->port));
    nl_put_ip4(request, IFLA_VXLAN_LOCAL, spec->local);
    mnl_attr_put_u8(request, IFLA_VXLAN_LEARNING, 0);
    mnl_attr_nest_end(request, data);
    mnl_attr_nest_end(request, linkinfo);
}

int vxlan_create(struct nl *nl, const struct vxlan_spec *spec)
{
    AUTO_LINK_CREATE struct link_create *create = NULL;
    struct nlmsghdr *request;
    int r = link_create_new(nl, spec->name, spec->alias, &create);

    if (r < 0)
        return r;
    request = link_create_request(create);
    nl_put_mac(request, IFLA_ADDRESS, spec->mac);
    mnl_attr_put_u32(request, IFLA_MTU, spec->mtu_bytes);
    put_kind(request, spec);
    r = link_create_send(nl, create);
    return r < 0 ? err_wrap(r, "create VXLAN device %s (VNI %u, UDP port %u)", spec->name,
                            spec->vni, spec->port)
                 : 0;
}

/* One thing that cannot be changed on a device: what it is there, and what it should be. */
struct fixed {
    const char *name;
    uint32_t have;
    uint32_t want;
    bool is_address;
};

static const char *describe(const struct fixed *f)
{
    static _Thread_local char text[128];
    char have[IP4_TEXT_SIZE];
    char want[IP4_TEXT_SIZE];

    if (f->is_address)
        (void)snprintf(text, sizeof text, "%s is %s, not %s", f->name, ip4_format(f->have, have),
                       ip4_format(f->want, want));
    else
        (void)snprintf(text, sizeof text, "%s is %u, not %u", f->name, f->have, f->want);
    return text;
}

bool vxlan_matches(const struct link_info *info, const struct vxlan_spec *spec,
                   const char **ret_difference)
{
    const struct link_vxlan *v = &info->vxlan;
    const struct fixed fixed[] = {
        {"VNI", v->vni, spec->vni, false},
        {"UDP port", v->port, spec->port, false},
        {"local address", v->local, spec->local, true},
        {"remote address", v->remote, 0, true},
        {"lower device", (uint32_t)v->lower_ifindex, 0, false},
        {"learning", v->is_learning, false, false},
        {"external mode", v->is_external, false, false},
    };

    if (strcmp(info->kind, "vxlan") != 0) {
        *ret_difference = "it is no VXLAN device";
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        if (fixed[i].have == fixed[i].want)
            continue;
        *ret_difference = describe(&fixed[i]);
        return false;
    }
    return true;
}

/* The device that holds the port in a way that excludes another one of this VNI. */
static const struct link_info *find_rival(const struct link_info *links, size_t count,
                                          const struct link_info *self)
{
    for (size_t i = 0; i < count; i++) {
        const struct link_info *other = &links[i];

        if (other->ifindex != self->ifindex && other->is_up &&
            other->vxlan.port == self->vxlan.port &&
            (other->vxlan.vni == self->vxlan.vni || other->vxlan.is_external))
            return other;
    }
    return NULL;
}

/* r is the kernel's refusal to set the device up. */
static int explain_refusal(struct nl *nl, int ifindex, int r)
{
    AUTO_FREE struct link_info *links = NULL;
    const struct link_info *rival;
    struct link_info self;
    size_t count;

    if (link_get_by_index(nl, ifindex, &self) < 0 || link_dump(nl, "vxlan", &links, &count) < 0)
        return err_sys(-r, "set device %d up", ifindex);
    rival = find_rival(links, count, &self);
    if (rival)
        return err_fail(-r, "set device %s up: VXLAN device %s already has VNI %u on UDP port %u",
                        self.name, rival->name, rival->vxlan.vni, rival->vxlan.port);
    return err_fail(-r, "set device %s up: UDP port %u is in use by something else on this host",
                    self.name, self.vxlan.port);
}

int vxlan_set_up(struct nl *nl, int ifindex)
{
    int r = link_set_up(nl, ifindex, true);

    if (r == -EADDRINUSE || r == -EEXIST || r == -ENOTUNIQ)
        return explain_refusal(nl, ifindex, r);
    return r;
}
