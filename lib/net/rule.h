/* IPv4 routing rules (ip-rule(8)), which say by which table a packet goes; all of them are other
 * programs', for we have none. linux/fib_rules.h; net/core/fib_rules.c, net/ipv4/fib_rules.c.
 */
#pragma once

#include <linux/fib_rules.h>
#include <linux/if.h>

#include "lib/base/ip4.h"
#include "lib/net/netlink.h"

struct rule_entry {
    uint32_t priority;
    uint8_t action;   /* FR_ACT_* */
    uint32_t table;   /* FR_ACT_TO_TBL */
    uint32_t goes_to; /* FR_ACT_GOTO: to the rules from this priority on */
    struct ip4_prefix from, to;
    char in_device[IFNAMSIZ], out_device[IFNAMSIZ]; /* "": any; "lo": of this host itself */
    uint32_t mark, mark_mask;
    uint8_t protocol;               /* IPPROTO_*; 0: any */
    uint16_t port_first, port_last; /* the destination's; 0: any */
    bool is_inverted;               /* it is for those packets that the rest does not fit */
    bool is_special;                /* it asks for more than the above: a user, a source port */
};

/* False: no rule of IPv4. */
bool rule_parse(const struct nlmsghdr *message, struct rule_entry *ret_entry);
/* In the order in which the kernel asks them. */
int rule_dump(struct nl *nl, struct rule_entry **ret_entries, size_t *ret_count);
/* Whether it is not one of the three that every host has. */
bool rule_is_added(const struct rule_entry *entry);

struct rule_question {
    uint32_t from, to; /* host order; from 0: not chosen yet */
    int in_ifindex;    /* the device that the packet came by; 0: it is this host's own */
    uint8_t protocol;  /* 0: any */
    uint16_t port;     /* the destination's, of UDP or TCP; 0: any */
};

struct rule_answer {
    int error;      /* 0, or why there is no way: -ENETUNREACH, -EACCES, -EINVAL (blackhole), ... */
    int ifindex;    /* where it would leave */
    uint32_t table; /* that said so */
};
bool rule_answer_parse(const struct nlmsghdr *message, struct rule_answer *ret_answer);
/* What the rules and their tables make of a packet (RTM_GETROUTE). */
struct rule_answer rule_ask(struct nl *nl, const struct rule_question *question);
