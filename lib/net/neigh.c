/* Permanent IPv4 neighbours. net/core/neighbour.c. */
#include "lib/net/neigh.h"

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "lib/base/error.h"
#include "lib/net/message.h"
#include "lib/net/route.h"

const char *neigh_state_word(uint16_t state)
{
    static const struct {
        uint16_t state;
        const char *word;
    } words[] = {{NUD_INCOMPLETE, "INCOMPLETE"}, {NUD_REACHABLE, "REACHABLE"},
                 {NUD_STALE, "STALE"},           {NUD_DELAY, "DELAY"},
                 {NUD_PROBE, "PROBE"},           {NUD_FAILED, "FAILED"},
                 {NUD_NOARP, "NOARP"},           {NUD_PERMANENT, "PERMANENT"}};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (state & words[i].state)
            return words[i].word;
    return "NONE";
}

bool neigh_is_silent(const struct neigh_entry *entry)
{
    return (entry->state & (NUD_INCOMPLETE | NUD_FAILED)) != 0;
}

bool neigh_parse(const struct nlmsghdr *message, struct neigh_entry *ret_entry)
{
    const struct ndmsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs;

    if (!header || message->nlmsg_type != RTM_NEWNEIGH || header->ndm_family != AF_INET)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    *ret_entry = (struct neigh_entry){.ifindex = header->ndm_ifindex,
                                      .addr = nl_attr_ip4(&attrs, NDA_DST),
                                      .state = header->ndm_state,
                                      .is_permanent = (header->ndm_state & NUD_PERMANENT) != 0,
                                      .is_external = (header->ndm_flags & NTF_EXT_LEARNED) != 0,
                                      .protocol = nl_attr_u8(&attrs, NDA_PROTOCOL, 0)};
    /* One that is still being asked for has no MAC address: zeros. */
    (void)nl_attr_mac(&attrs, NDA_LLADDR, &ret_entry->mac);
    return attrs.of[NDA_DST];
}

static bool take_neigh(const struct nlmsghdr *message, const void *filter, void *ret_item)
{
    const int *ifindex = filter;
    struct neigh_entry *entry = ret_item;

    return neigh_parse(message, entry) && (*ifindex == 0 || entry->ifindex == *ifindex);
}

int neigh_dump(struct nl *nl, int ifindex, struct neigh_entry **ret_entries, size_t *ret_count)
{
    union nl_request request = {0};
    struct ndmsg *header = nl_request_begin(&request.header, RTM_GETNEIGH, 0, sizeof *header);
    void *entries;
    int r;

    header->ndm_family = AF_INET;
    if (ifindex)
        mnl_attr_put_u32(&request.header, NDA_IFINDEX, (uint32_t)ifindex);
    r = nl_dump_items(nl, &request.header, take_neigh, &ifindex, sizeof **ret_entries, &entries,
                      ret_count);
    if (r < 0)
        return err_wrap(r, "list neighbours of device %d", ifindex);
    *ret_entries = entries;
    return 0;
}

static int take_entry(const struct nlmsghdr *message, void *data)
{
    return neigh_parse(message, data) ? 0 : err_fail(EPROTO, "an unreadable answer");
}

int neigh_get(struct nl *nl, int ifindex, uint32_t addr, struct neigh_entry *ret_entry)
{
    union nl_request request = {0};
    struct ndmsg *header = nl_request_begin(&request.header, RTM_GETNEIGH, 0, sizeof *header);
    char text[IP4_TEXT_SIZE];
    int r;

    header->ndm_family = AF_INET;
    header->ndm_ifindex = ifindex;
    nl_put_ip4(&request.header, NDA_DST, addr);
    r = nl_query(nl, &request.header, take_entry, ret_entry);
    return r < 0 ? err_wrap(r, "look at neighbour %s on device %d", ip4_format(addr, text), ifindex)
                 : 0;
}

static void fill(struct nlmsghdr *request, uint16_t type, uint16_t flags,
                 const struct neigh_entry *entry)
{
    struct ndmsg *header = nl_request_begin(request, type, flags, sizeof *header);

    header->ndm_family = AF_INET;
    header->ndm_ifindex = entry->ifindex;
    nl_put_ip4(request, NDA_DST, entry->addr);
}

void neigh_fill_replace(struct nlmsghdr *request, const struct neigh_entry *entry)
{
    struct ndmsg *header;

    fill(request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, entry);
    header = mnl_nlmsg_get_payload(request);
    header->ndm_state = NUD_PERMANENT;
    header->ndm_flags = NTF_EXT_LEARNED;
    nl_put_mac(request, NDA_LLADDR, entry->mac);
    mnl_attr_put_u8(request, NDA_PROTOCOL, QUILT_ROUTE_PROTOCOL);
}

void neigh_fill_delete(struct nlmsghdr *request, const struct neigh_entry *entry)
{
    fill(request, RTM_DELNEIGH, 0, entry);
}

int neigh_replace(struct nl *nl, const struct neigh_entry *entry)
{
    union nl_request request = {0};
    char addr[IP4_TEXT_SIZE];
    char mac[MAC_TEXT_SIZE];
    int r;

    neigh_fill_replace(&request.header, entry);
    r = nl_transact(nl, &request.header);
    return r < 0 ? err_wrap(r, "set neighbour %s (%s) on device %d", ip4_format(entry->addr, addr),
                            mac_format(entry->mac, mac), entry->ifindex)
                 : 0;
}
