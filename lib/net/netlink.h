/* Talking rtnetlink: requests, batches, dumps and notifications. The only user of libmnl.
 *
 * Requests are synchronous: the kernel answers a netlink request inside sendmsg(2), so waiting for
 * the answer is waiting for a function to return. What can be lost are notifications (ENOBUFS); a
 * monitor that lost some says so by NL_EVENT_OVERRUN, and its owner looks at everything again.
 *
 * Error texts carry the kernel's own words (extended ack) where it has some.
 * Source: man 7 netlink, man 7 rtnetlink, linux/netlink.h.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/ip4.h"
#include "lib/base/loop.h"
#include "lib/base/mem.h"

/* Room for one of our requests with its attributes. */
#define NL_REQUEST_MAX 1024

union nl_request {
    struct nlmsghdr header;
    char bytes[NL_REQUEST_MAX];
};

struct nl; /* a NETLINK_ROUTE socket, bound to the network namespace it was opened in */

int nl_open(struct nl **ret_nl);
/* In the namespace of netns_fd; the calling thread is back in its own when this returns. */
int nl_open_in(int netns_fd, struct nl **ret_nl);
void nl_close(struct nl *nl);
DEFINE_CLEANUP(struct nl *, nl_close);
#define AUTO_NL CLEANUP(cleanup_nl_close)

/* Sends one request and waits for its acknowledgement. 0, or the kernel's -errno with its words. */
int nl_transact(struct nl *nl, struct nlmsghdr *request);

/* Sends one request and hands its reply, which is one message, to fn (RTM_GETLINK, RTM_GETROUTE
 * without dump). */
typedef int (*nl_message_fn)(const struct nlmsghdr *message, void *data);
int nl_query(struct nl *nl, struct nlmsghdr *request, nl_message_fn fn, void *data);

/* Sends a dump request and hands each message to fn, in the kernel's order. A dump that the kernel
 * marks as interrupted (NLM_F_DUMP_INTR) is asked again from the start: begin (may be NULL) is
 * called before each attempt so that the caller can drop what it gathered. fn's failure ends it. */
int nl_dump(struct nl *nl, struct nlmsghdr *request, void (*begin)(void *data), nl_message_fn fn,
            void *data);

/* ---- batches: many requests in few system calls ------------------------------------------- */

/* One change in a batch. After nl_batch_send() result is 0 or the kernel's -errno, and text says
 * what went wrong, with the kernel's words. */
struct nl_change {
    int result;
    const char *text; /* owned by the batch; "" when nothing went wrong */
    void *owner;      /* the caller's, untouched */
};

struct nl_batch;
struct nl_batch *nl_batch_new(void);
void nl_batch_free(struct nl_batch *batch);
DEFINE_CLEANUP(struct nl_batch *, nl_batch_free);
#define AUTO_NL_BATCH CLEANUP(cleanup_nl_batch_free)
/* A zeroed buffer of NL_REQUEST_MAX bytes for the next request; a *_fill function writes into it,
 * before the next call with this batch. */
struct nlmsghdr *nl_batch_next(struct nl_batch *batch, void *owner);
size_t nl_batch_count(const struct nl_batch *batch);
/* Sends all in order, once; one that fails does not stop the others. Returns 0 when the talking
 * worked (each change has its own result), negative when the socket failed. */
int nl_batch_send(struct nl *nl, struct nl_batch *batch);
const struct nl_change *nl_batch_result(const struct nl_batch *batch, size_t index);

/* ---- notifications ------------------------------------------------------------------------- */

enum nl_event_type {
    NL_EVENT_LINK,    /* ifindex */
    NL_EVENT_ADDR,    /* ifindex */
    NL_EVENT_NEIGH,   /* ifindex; also bridge FDB entries of VXLAN devices */
    NL_EVENT_ROUTE,   /* ifindex of the outgoing device, 0 when there is none */
    NL_EVENT_RULE,    /* of policy routing */
    NL_EVENT_NETCONF, /* ifindex (-1: all, -2: default); forwarding, rp_filter and the like */
    NL_EVENT_OVERRUN  /* some were lost: look at everything */
};

struct nl_event {
    enum nl_event_type type;
    bool is_removal;
    int ifindex;
    uint8_t protocol;      /* routes: RTA/rtm_protocol; else 0 */
    struct ip4_prefix dst; /* routes only */
    bool is_fdb;           /* neighbours: it is a forwarding entry */
    uint32_t addr;         /* neighbours: its address; forwarding entries: the remote; host order */
    struct mac mac;        /* neighbours and forwarding entries; zeros when the kernel tells none */
    bool is_own;           /* caused by a request on the socket given to nl_monitor_ignore() */
    char ifname[16];       /* links only */
};

typedef void (*nl_event_fn)(const struct nl_event *event, void *data);

/* fn must not free the monitor. */
struct nl_monitor;
/* groups: RTNLGRP_* numbers (linux/rtnetlink.h), ended by 0. The receive buffer is 4 MiB. */
int nl_monitor_new(struct loop *loop, const int *groups, nl_event_fn fn, void *data,
                   struct nl_monitor **ret_monitor);
void nl_monitor_free(struct nl_monitor *monitor);
/* Events whose change came through this request socket (by its port id) are marked is_own. Not all
 * can be: the kernel says whose change it was for routes, addresses and neighbours, but not for
 * VXLAN forwarding entries. */
void nl_monitor_ignore(struct nl_monitor *monitor, const struct nl *nl);
