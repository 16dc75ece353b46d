/* One netlink socket: opened, bound, told to speak clearly; datagrams out and in. Below netlink.h,
 * for the files of lib/net only.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/net/netlink.h"

struct mnl_socket;

struct nl {
    struct mnl_socket *mnl;
    uint32_t port_id;      /* our address, nlmsg_pid of what is for us */
    uint32_t sequence;     /* of the latest request */
    struct nlmsghdr *data; /* the latest datagram */
    size_t data_size;      /* room in data; grows when a datagram did not fit */
};

/* protocol: NETLINK_ROUTE, NETLINK_NETFILTER. */
int nl_socket_open(int protocol, struct nl **ret_nl);
int nl_socket_join(struct nl *nl, int group);
int nl_socket_fd(const struct nl *nl);

int nl_socket_send(struct nl *nl, const void *bytes, size_t n);

enum nl_wait { NL_WAIT, NL_NO_WAIT };

/* The next datagram from the kernel into nl->data; what comes from anybody else is dropped.
 *
 *     -EAGAIN     NL_NO_WAIT: nothing there
 *     -ETIMEDOUT  NL_WAIT: the kernel did not answer
 *     -EMSGSIZE   it did not fit and is lost; there is room for its like now
 *     -ENOBUFS    the kernel had no room to queue some for us
 *
 * -EAGAIN, -EMSGSIZE and -ENOBUFS carry no text: they are the caller's to answer. */
int nl_socket_receive(struct nl *nl, enum nl_wait wait, size_t *ret_n);
