/* A BPF program at a device's ingress by clsact. */
#include "lib/net/tc.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "lib/base/error.h"
#include "lib/net/message.h"

#define OUR_PRIORITY 81U
#define OUR_HANDLE 1
#define OUR_NAME "quilt"

static struct tcmsg *begin(union nl_request *request, uint16_t type, uint16_t flags, int ifindex)
{
    struct tcmsg *header = nl_request_begin(&request->header, type, flags, sizeof *header);

    header->tcm_family = AF_UNSPEC;
    header->tcm_ifindex = ifindex;
    return header;
}

static struct tcmsg *begin_filter(union nl_request *request, uint16_t type, uint16_t flags,
                                  int ifindex)
{
    struct tcmsg *header = begin(request, type, flags, ifindex);

    header->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
    header->tcm_handle = OUR_HANDLE;
    header->tcm_info = TC_H_MAKE(OUR_PRIORITY << 16, htons(ETH_P_ALL));
    mnl_attr_put_strz(&request->header, TCA_KIND, "bpf");
    return header;
}

static int take_id(const struct nlmsghdr *message, void *data)
{
    struct nl_attrs attrs, options;
    uint32_t *ret_id = data;

    if (message->nlmsg_type != RTM_NEWTFILTER || !nl_message_header(message, sizeof(struct tcmsg)))
        return err_fail(EPROTO, "an unreadable answer");
    nl_attrs_parse(message, sizeof(struct tcmsg), &attrs);
    nl_attrs_parse_nested(&attrs, TCA_OPTIONS, &options);
    *ret_id = nl_attr_u32(&options, TCA_BPF_ID, 0);
    return 0;
}

int tc_get_ingress(struct nl *nl, int ifindex, uint32_t *ret_id)
{
    union nl_request request = {0};
    int r;

    (void)begin_filter(&request, RTM_GETTFILTER, 0, ifindex);
    r = nl_query(nl, &request.header, take_id, ret_id);
    if (r == -EINVAL) /* there is no qdisc */
        return -ENOENT;
    return r < 0 ? err_wrap(r, "look at the ingress of device %d", ifindex) : 0;
}

static int ensure_clsact(struct nl *nl, int ifindex)
{
    union nl_request request = {0};
    struct tcmsg *header = begin(&request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex);
    int r;

    header->tcm_parent = TC_H_CLSACT;
    header->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    mnl_attr_put_strz(&request.header, TCA_KIND, "clsact");
    r = nl_transact(nl, &request.header);
    if (r == -EEXIST)
        return 0;
    return r < 0 ? err_wrap(r, "make the clsact qdisc of device %d", ifindex) : 0;
}

int tc_set_ingress(struct nl *nl, int ifindex, int program_fd)
{
    union nl_request request = {0};
    struct nlattr *options;
    int r = ensure_clsact(nl, ifindex);

    if (r < 0)
        return r;
    (void)begin_filter(&request, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, ifindex);
    options = mnl_attr_nest_start(&request.header, TCA_OPTIONS);
    mnl_attr_put_u32(&request.header, TCA_BPF_FD, (uint32_t)program_fd);
    mnl_attr_put_strz(&request.header, TCA_BPF_NAME, OUR_NAME);
    mnl_attr_put_u32(&request.header, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
    mnl_attr_nest_end(&request.header, options);
    r = nl_transact(nl, &request.header);
    return r < 0 ? err_wrap(r, "attach the BPF program to device %d", ifindex) : 0;
}

int tc_remove_ingress(struct nl *nl, int ifindex)
{
    union nl_request request = {0};
    int r;

    (void)begin_filter(&request, RTM_DELTFILTER, 0, ifindex);
    r = nl_transact(nl, &request.header);
    if (r == -ENOENT || r == -EINVAL)
        return 0;
    return r < 0 ? err_wrap(r, "detach the BPF program from device %d", ifindex) : 0;
}
