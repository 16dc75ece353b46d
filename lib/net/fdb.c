/* Forwarding entries of VXLAN devices. */
#include "lib/net/fdb.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "lib/base/error.h"
#include "lib/net/message.h"

bool fdb_parse(const struct nlmsghdr *message, struct fdb_entry *ret_entry)
{
    const struct ndmsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs;

    if (!header || message->nlmsg_type != RTM_NEWNEIGH || header->ndm_family != AF_BRIDGE)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    *ret_entry = (struct fdb_entry){.ifindex = header->ndm_ifindex,
                                    .remote = nl_attr_ip4(&attrs, NDA_DST),
                                    .is_permanent = (header->ndm_state & NUD_PERMANENT) != 0,
                                    .is_external = (header->ndm_flags & NTF_EXT_LEARNED) != 0,
                                    .port = nl_attr_u16_be(&attrs, NDA_PORT, 0),
                                    .vni = nl_attr_u32(&attrs, NDA_VNI, 0),
                                    .via = (int)nl_attr_u32(&attrs, NDA_IFINDEX, 0),
                                    .nexthop = nl_attr_u32(&attrs, NDA_NH_ID, 0)};
    return nl_attr_mac(&attrs, NDA_LLADDR, &ret_entry->mac);
}

static bool take_fdb(const struct nlmsghdr *message, const void *filter, void *ret_item)
{
    const int *ifindex = filter;
    struct fdb_entry *entry = ret_item;

    return fdb_parse(message, entry) && entry->ifindex == *ifindex;
}

int fdb_dump(struct nl *nl, int ifindex, struct fdb_entry **ret_entries, size_t *ret_count)
{
    union nl_request request = {0};
    struct ndmsg *header = nl_request_begin(&request.header, RTM_GETNEIGH, 0, sizeof *header);
    void *entries;
    int r;

    header->ndm_family = AF_BRIDGE;
    header->ndm_ifindex = ifindex;
    r = nl_dump_items(nl, &request.header, take_fdb, &ifindex, sizeof **ret_entries, &entries,
                      ret_count);
    if (r < 0)
        return err_wrap(r, "list FDB entries of device %d", ifindex);
    *ret_entries = entries;
    return 0;
}

static void fill(struct nlmsghdr *request, uint16_t type, uint16_t flags,
                 const struct fdb_entry *entry)
{
    struct ndmsg *header = nl_request_begin(request, type, flags, sizeof *header);

    header->ndm_family = AF_BRIDGE;
    header->ndm_ifindex = entry->ifindex;
    header->ndm_state = NUD_PERMANENT;
    header->ndm_flags = NTF_SELF | NTF_EXT_LEARNED;
    nl_put_mac(request, NDA_LLADDR, entry->mac);
    nl_put_ip4(request, NDA_DST, entry->remote);
}

void fdb_fill_replace(struct nlmsghdr *request, const struct fdb_entry *entry)
{
    fill(request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, entry);
}

/* An entry with another port or VNI than the device's is another remote. */
void fdb_fill_delete(struct nlmsghdr *request, const struct fdb_entry *entry)
{
    fill(request, RTM_DELNEIGH, 0, entry);
    if (entry->port)
        mnl_attr_put_u16(request, NDA_PORT, htons(entry->port));
    if (entry->vni)
        mnl_attr_put_u32(request, NDA_VNI, entry->vni);
}

static int take_entry(const struct nlmsghdr *message, void *data)
{
    return fdb_parse(message, data) ? 0 : err_fail(EPROTO, "an unreadable answer");
}

int fdb_get(struct nl *nl, int ifindex, struct mac mac, struct fdb_entry *ret_entry)
{
    union nl_request request = {0};
    struct ndmsg *header = nl_request_begin(&request.header, RTM_GETNEIGH, 0, sizeof *header);
    char text[MAC_TEXT_SIZE];
    int r;

    header->ndm_family = AF_BRIDGE;
    header->ndm_ifindex = ifindex;
    header->ndm_flags = NTF_SELF;
    nl_put_mac(&request.header, NDA_LLADDR, mac);
    r = nl_query(nl, &request.header, take_entry, ret_entry);
    return r < 0 ? err_wrap(r, "look at FDB entry %s on device %d", mac_format(mac, text), ifindex)
                 : 0;
}
