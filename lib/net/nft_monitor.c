/* Hearing that nftables objects changed. What changed is not read: the owner compares anyway. */
#include <linux/netfilter/nfnetlink.h>

#include "lib/base/error.h"
#include "lib/net/nft.h"
#include "lib/net/socket.h"

/* Datagrams taken in one round of the loop, so that a storm does not keep others waiting. */
#define ROUND_DATAGRAMS 256

struct nft_monitor {
    struct nl *nl;
    struct loop_source *io;
    struct loop_source *call; /* gathers a round's changes into one */
};

static void on_readable(void *data, uint32_t epoll_events)
{
    struct nft_monitor *m = data;

    for (int i = 0; i < ROUND_DATAGRAMS; i++) {
        size_t n;

        if (nl_socket_receive(m->nl, NL_NO_WAIT, &n) == -EAGAIN)
            return;
        /* A change, or a sign that one was missed. */
        loop_defer_arm(m->call);
    }
}

static int start(struct nft_monitor *m, struct loop *loop, loop_fn fn, void *data)
{
    int r = nl_socket_open(NETLINK_NETFILTER, &m->nl);

    if (r == 0)
        r = nl_socket_join(m->nl, NFNLGRP_NFTABLES);
    if (r == 0)
        r = loop_add_defer(loop, fn, data, &m->call);
    if (r == 0)
        r = loop_add_io(loop, nl_socket_fd(m->nl), EPOLLIN, on_readable, m, &m->io);
    return r < 0 ? err_wrap(r, "listen to nftables") : 0;
}

int nft_monitor_new(struct loop *loop, loop_fn fn, void *data, struct nft_monitor **ret_monitor)
{
    struct nft_monitor *m = NEW(struct nft_monitor);
    int r = start(m, loop, fn, data);

    if (r < 0) {
        nft_monitor_free(m);
        return r;
    }
    *ret_monitor = m;
    return 0;
}

void nft_monitor_free(struct nft_monitor *m)
{
    if (!m)
        return;
    loop_source_free(m->io);
    loop_source_free(m->call);
    nl_close(m->nl);
    free(m);
}
