/* IPsec policies. */
#include "lib/net/xfrm.h"

#include <libmnl/libmnl.h>
#include <linux/xfrm.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/net/message.h"
#include "lib/net/socket.h"

static int take_count(const struct nlmsghdr *message, void *data)
{
    struct xfrmu_spdinfo info;
    struct nl_attrs attrs;
    const struct nlattr *attr;
    uint32_t *ret_count = data;

    if (message->nlmsg_type != XFRM_MSG_NEWSPDINFO)
        return err_fail(EPROTO, "an unreadable answer");
    nl_attrs_parse(message, sizeof(uint32_t), &attrs);
    attr = attrs.of[XFRMA_SPD_INFO];
    if (!attr || mnl_attr_get_payload_len(attr) < sizeof info)
        return err_fail(EPROTO, "an answer without numbers");
    memcpy(&info, mnl_attr_get_payload(attr), sizeof info);
    *ret_count = info.outcnt + info.fwdcnt;
    return 0;
}

int xfrm_count_policies(uint32_t *ret_count)
{
    AUTO_NL struct nl *nl = NULL;
    union nl_request request = {0};
    uint32_t count = 0;
    int r = nl_socket_open(NETLINK_XFRM, &nl);

    *ret_count = 0;
    if (r == -EPROTONOSUPPORT)
        return 0;
    if (r == 0) {
        (void)nl_request_begin(&request.header, XFRM_MSG_GETSPDINFO, 0, sizeof(uint32_t));
        r = nl_query(nl, &request.header, take_count, &count);
    }
    if (r < 0)
        return err_wrap(r, "count IPsec policies");
    *ret_count = count;
    return 0;
}

int xfrm_monitor_new(struct loop *loop, loop_fn fn, void *data, struct change_monitor **ret_monitor)
{
    int r = change_monitor_new(loop, NETLINK_XFRM, XFRMNLGRP_POLICY, fn, data, ret_monitor);

    if (r == -EPROTONOSUPPORT) /* a kernel without IPsec has nothing to tell */
        return 0;
    return r < 0 ? err_wrap(r, "listen to IPsec policies") : 0;
}
