/* IPv4 routing rules, and what they make of a packet. */
#include "lib/net/rule.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/net/message.h"

/* ---- look ------------------------------------------------------------------------------- */

/* FRA_DPORT_MASK of Linux 6.15, all bits of it for a single port. */
#define TARGET_PORT_MASK 29
#define WHOLE_PORT 0xffff

static bool is_whole_port(const struct nlattr *attr)
{
    uint16_t mask;

    if (mnl_attr_get_payload_len(attr) < sizeof mask)
        return false;
    memcpy(&mask, mnl_attr_get_payload(attr), sizeof mask);
    return mask == WHOLE_PORT;
}

/* Attributes that make a rule fit fewer packets and are not read here; a newer kernel's, too. */
static bool has_more_conditions(const struct nl_attrs *attrs)
{
    static const int types[] = {FRA_TUN_ID, FRA_L3MDEV, FRA_UID_RANGE, FRA_SPORT_RANGE};

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (attrs->of[types[i]])
            return true;
    for (int type = FRA_DPORT_RANGE + 1; type < NL_ATTR_TYPES; type++)
        if (attrs->of[type] && (type != TARGET_PORT_MASK || !is_whole_port(attrs->of[type])))
            return true;
    return false;
}

static void parse_ports(const struct nl_attrs *attrs, struct rule_entry *ret)
{
    const struct nlattr *attr = attrs->of[FRA_DPORT_RANGE];
    struct fib_rule_port_range ports;

    if (!attr || mnl_attr_get_payload_len(attr) < sizeof ports)
        return;
    memcpy(&ports, mnl_attr_get_payload(attr), sizeof ports);
    ret->port_first = ports.start;
    ret->port_last = ports.end;
}

bool rule_parse(const struct nlmsghdr *message, struct rule_entry *ret_entry)
{
    const struct fib_rule_hdr *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs;

    if (!header || message->nlmsg_type != RTM_NEWRULE || header->family != AF_INET ||
        header->src_len > 32 || header->dst_len > 32)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    *ret_entry =
        (struct rule_entry){.priority = nl_attr_u32(&attrs, FRA_PRIORITY, 0),
                            .action = header->action,
                            .table = nl_attr_u32(&attrs, FRA_TABLE, header->table),
                            .goes_to = nl_attr_u32(&attrs, FRA_GOTO, 0),
                            .from = {.addr = nl_attr_ip4(&attrs, FRA_SRC), .len = header->src_len},
                            .to = {.addr = nl_attr_ip4(&attrs, FRA_DST), .len = header->dst_len},
                            .mark = nl_attr_u32(&attrs, FRA_FWMARK, 0),
                            .mark_mask = nl_attr_u32(&attrs, FRA_FWMASK, 0),
                            .protocol = nl_attr_u8(&attrs, FRA_IP_PROTO, 0),
                            .is_inverted = (header->flags & FIB_RULE_INVERT) != 0,
                            .is_special = header->tos != 0 || has_more_conditions(&attrs)};
    nl_attr_text(&attrs, FRA_IIFNAME, ret_entry->in_device, sizeof ret_entry->in_device);
    nl_attr_text(&attrs, FRA_OIFNAME, ret_entry->out_device, sizeof ret_entry->out_device);
    parse_ports(&attrs, ret_entry);
    return true;
}

static bool take_rule(const struct nlmsghdr *message, const void *filter, void *ret_item)
{
    return rule_parse(message, ret_item);
}

int rule_dump(struct nl *nl, struct rule_entry **ret_entries, size_t *ret_count)
{
    union nl_request request = {0};
    struct fib_rule_hdr *header = nl_request_begin(&request.header, RTM_GETRULE, 0, sizeof *header);
    void *entries = NULL;
    int r;

    header->family = AF_INET;
    *ret_count = 0;
    r = nl_dump_items(nl, &request.header, take_rule, NULL, sizeof **ret_entries, &entries,
                      ret_count);
    if (r == -EOPNOTSUPP) /* a kernel without rules has no others, either */
        r = 0;
    if (r < 0)
        return err_wrap(r, "list routing rules");
    *ret_entries = entries;
    return 0;
}

bool rule_is_added(const struct rule_entry *entry)
{
    return entry->action != FR_ACT_TO_TBL ||
           (entry->table != RT_TABLE_LOCAL && entry->table != RT_TABLE_MAIN &&
            entry->table != RT_TABLE_DEFAULT);
}

/* ---- ask -------------------------------------------------------------------------------- */

bool rule_answer_parse(const struct nlmsghdr *message, struct rule_answer *ret_answer)
{
    const struct rtmsg *header = nl_message_header(message, sizeof *header);
    struct nl_attrs attrs;

    if (!header || message->nlmsg_type != RTM_NEWROUTE || header->rtm_family != AF_INET)
        return false;
    nl_attrs_parse(message, sizeof *header, &attrs);
    *ret_answer = (struct rule_answer){.ifindex = nl_attr_ifindex(&attrs, RTA_OIF),
                                       .table = nl_attr_u32(&attrs, RTA_TABLE, header->rtm_table)};
    return true;
}

static int take_answer(const struct nlmsghdr *message, void *data)
{
    return rule_answer_parse(message, data) ? 0 : err_fail(EPROTO, "an unreadable answer");
}

struct rule_answer rule_ask(struct nl *nl, const struct rule_question *question)
{
    union nl_request request = {0};
    struct rtmsg *header = nl_request_begin(&request.header, RTM_GETROUTE, 0, sizeof *header);
    struct rule_answer answer = {0};
    int r;

    header->rtm_family = AF_INET;
    header->rtm_dst_len = 32;
    header->rtm_flags = RTM_F_LOOKUP_TABLE;
    nl_put_ip4(&request.header, RTA_DST, question->to);
    if (question->from) {
        header->rtm_src_len = 32;
        nl_put_ip4(&request.header, RTA_SRC, question->from);
    }
    if (question->in_ifindex)
        mnl_attr_put_u32(&request.header, RTA_IIF, (uint32_t)question->in_ifindex);
    if (question->protocol)
        mnl_attr_put_u8(&request.header, RTA_IP_PROTO, question->protocol);
    if (question->port)
        mnl_attr_put_u16(&request.header, RTA_DPORT, htons(question->port));
    r = nl_query(nl, &request.header, take_answer, &answer);
    if (r < 0)
        answer = (struct rule_answer){.error = r};
    return answer;
}
