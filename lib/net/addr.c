/* IPv4 addresses on devices. */
#include "lib/net/addr.h"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/net/message.h"

bool addr_parse(const struct nlmsghdr *message, struct addr_entry *ret_entry)
{
    const struct ifaddrmsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs;

    if (!header || message->nlmsg_type != RTM_NEWADDR || header->ifa_family != AF_INET)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    /* IFA_ADDRESS is the other end's on point-to-point devices. */
    *ret_entry = (struct addr_entry){.ifindex = (int)header->ifa_index,
                                     .addr = nl_attr_ip4(&attrs, IFA_LOCAL),
                                     .prefix_len = header->ifa_prefixlen,
                                     .scope = header->ifa_scope};
    return attrs.of[IFA_LOCAL];
}

static bool take_addr(const struct nlmsghdr *message, const void *filter, void *ret_item)
{
    const int *ifindex = filter;
    struct addr_entry *entry = ret_item;

    return addr_parse(message, entry) && (*ifindex == 0 || entry->ifindex == *ifindex);
}

int addr_dump(struct nl *nl, int ifindex, struct addr_entry **ret_entries, size_t *ret_count)
{
    union nl_request request = {0};
    struct ifaddrmsg *header = nl_request_begin(&request.header, RTM_GETADDR, 0, sizeof *header);
    void *entries;
    int r;

    header->ifa_family = AF_INET;
    header->ifa_index = (uint32_t)ifindex;
    r = nl_dump_items(nl, &request.header, take_addr, &ifindex, sizeof **ret_entries, &entries,
                      ret_count);
    if (r < 0)
        return err_wrap(r, "list addresses of device %d", ifindex);
    *ret_entries = entries;
    return 0;
}

static void fill(struct nlmsghdr *request, uint16_t type, uint16_t flags,
                 const struct addr_entry *entry)
{
    struct ifaddrmsg *header = nl_request_begin(request, type, flags, sizeof *header);

    header->ifa_family = AF_INET;
    header->ifa_prefixlen = entry->prefix_len;
    header->ifa_scope = entry->scope;
    header->ifa_index = (uint32_t)entry->ifindex;
    nl_put_ip4(request, IFA_LOCAL, entry->addr);
    nl_put_ip4(request, IFA_ADDRESS, entry->addr);
}

static int failed(int r, const char *verb, const struct addr_entry *entry)
{
    char text[IP4_TEXT_SIZE];

    return err_wrap(r, "%s address %s/%u on device %d", verb, ip4_format(entry->addr, text),
                    entry->prefix_len, entry->ifindex);
}

int addr_add(struct nl *nl, const struct addr_entry *entry)
{
    union nl_request request = {0};
    int r;

    fill(&request.header, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, entry);
    r = nl_transact(nl, &request.header);
    if (r == -EEXIST)
        return 0;
    return r < 0 ? failed(r, "add", entry) : 0;
}

int addr_delete(struct nl *nl, const struct addr_entry *entry)
{
    union nl_request request = {0};
    int r;

    fill(&request.header, RTM_DELADDR, 0, entry);
    r = nl_gone_is_fine(nl_transact(nl, &request.header));
    return r < 0 ? failed(r, "delete", entry) : 0;
}
