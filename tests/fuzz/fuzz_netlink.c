/* Whatever bytes come as a netlink message, reading them ends and stays inside them. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/addr.h"
#include "lib/net/fdb.h"
#include "lib/net/link.h"
#include "lib/net/message.h"
#include "lib/net/neigh.h"
#include "lib/net/netlink_event.h"
#include "lib/net/nft_known.h"
#include "lib/net/route.h"
#include "lib/net/rule.h"
#include "tests/fuzz/fuzz.h"

static void read_with_all(const struct nlmsghdr *message)
{
    struct nl_verdict verdict;
    struct link_info link;
    struct addr_entry addr;
    struct neigh_entry neigh;
    struct fdb_entry fdb;
    struct route_entry route;
    struct route_path path;
    struct route_fib fib;
    struct rule_entry rule;
    struct rule_answer answer;
    struct nl_event event;
    struct nft_known known = {.table = "quilt"};

    (void)nl_verdict_parse(message, &verdict);
    (void)link_parse(message, &link);
    (void)addr_parse(message, &addr);
    (void)neigh_parse(message, &neigh);
    (void)fdb_parse(message, &fdb);
    (void)route_parse(message, &route);
    (void)route_path_parse(message, &path);
    (void)route_fib_parse(message, &fib);
    (void)rule_parse(message, &rule);
    (void)rule_answer_parse(message, &answer);
    (void)nl_event_parse(message, &event);
    nft_known_take(&known, message);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO_FREE struct nlmsghdr *message = NULL;

    /* The walk over a datagram (mnl_nlmsg_ok) lets only such lengths through. */
    if (n < NLMSG_HDRLEN || n > UINT32_MAX)
        return 0;
    message = mem_copy(bytes, n);
    message->nlmsg_len = (uint32_t)n;
    read_with_all(message);
    return 0;
}
