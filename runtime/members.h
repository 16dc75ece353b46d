/* Who is in the firewall's sets, followed one by one: what each set is to have, and what it lacks
 * yet or has too many. Pure.
 *
 *     taken by n others ── > 0: it is to be there ── difference ──> the sets' elements
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum members_set {
    MEMBERS_PEERS,     /* hosts that VXLAN is taken from */
    MEMBERS_ORIGINS,   /* subnets, and the hosts that speak for them */
    MEMBERS_ENDPOINTS, /* addresses that containers may send as */
    MEMBERS_HOPS,      /* subnets, and the next hops on the overlay to them */
    MEMBERS_DEVICES,   /* containers' addresses, and the devices that lead to them */
    MEMBERS_SET_COUNT
};

/* Addresses in host order. */
struct member {
    enum members_set set;
    uint32_t addr; /* the peer's, the subnet's, the endpoint's */
    uint32_t to;   /* of origins the host, of hops the next one, of devices the index; else 0 */
};

struct members_entry;
struct members {
    struct members_entry *entries;
    struct members_entry *changed;    /* those that may differ from the set */
    size_t counts[MEMBERS_SET_COUNT]; /* that are to be there */
};

void members_deinit(struct members *members);

/* One reason more for it to be there, and one less. */
void members_take(struct members *members, struct member member);
void members_leave(struct members *members, struct member member);

/* Members that are known as a list: sorted by address, each once. */
struct member_list {
    struct member *items; /* owned */
    size_t count;
};
void members_sort(struct member_list *list);
/* Takes what is new in it, leaves what is gone, and has it as the list from now on; whether there
 * was any. Costs a walk through both. */
bool members_follow(struct members *members, struct member_list *list, struct member_list next);

struct members_difference {
    struct member *adds, *removals; /* owned */
    size_t add_count, removal_count;
};
void members_difference_deinit(struct members_difference *difference);
/* What the sets are to be changed by. Costs what has changed. */
void members_compare(const struct members *members, struct members_difference *ret);
/* The sets have been changed by all of that. */
void members_written(struct members *members);
