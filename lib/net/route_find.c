/* The route to exactly one destination, by a lookup of its first address. */
#include <libmnl/libmnl.h>

#include "lib/base/error.h"
#include "lib/net/message.h"
#include "lib/net/route.h"

struct answer {
    struct route_entry entry;
    bool is_main; /* a route of the main table, that can be read */
};

static int take_answer(const struct nlmsghdr *message, void *data)
{
    struct answer *answer = data;

    answer->is_main = route_parse(message, &answer->entry);
    return 0;
}

int route_find(struct nl *nl, struct ip4_prefix dst, struct route_entry *ret_entry)
{
    union nl_request request = {0};
    struct rtmsg *header = nl_request_begin(&request.header, RTM_GETROUTE, 0, sizeof *header);
    struct answer answer = {.is_main = false};
    int r;

    header->rtm_family = AF_INET;
    header->rtm_dst_len = 32;
    header->rtm_flags = RTM_F_FIB_MATCH;
    nl_put_ip4(&request.header, RTA_DST, dst.addr);
    r = nl_query(nl, &request.header, take_answer, &answer);
    if (r == -ENETUNREACH)
        return ROUTE_NONE;
    /* A route that refuses packets answers with its error instead of itself. */
    if (r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL)
        return ROUTE_UNSURE;
    if (r < 0)
        return err_wrap(r, "look for a route");
    if (!answer.is_main || answer.entry.dst.len > dst.len)
        return ROUTE_UNSURE;
    if (answer.entry.dst.len < dst.len)
        return ROUTE_NONE;
    *ret_entry = answer.entry;
    return 0;
}
