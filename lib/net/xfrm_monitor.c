/* Hearing that IPsec policies changed. What changed is not read: the owner counts anyway. */
#include <linux/xfrm.h>

#include "lib/base/error.h"
#include "lib/net/socket.h"
#include "lib/net/xfrm.h"

/* Datagrams taken in one round of the loop, so that a storm does not keep others waiting. */
#define ROUND_DATAGRAMS 256

struct xfrm_monitor {
    struct nl *nl;
    struct loop_source *io;
    struct loop_source *call; /* gathers a round's changes into one */
};

static void on_readable(void *data, uint32_t epoll_events)
{
    struct xfrm_monitor *m = data;

    for (int i = 0; i < ROUND_DATAGRAMS; i++) {
        size_t n;

        if (nl_socket_receive(m->nl, NL_NO_WAIT, &n) == -EAGAIN)
            return;
        /* A change, or a sign that one was missed. */
        loop_defer_arm(m->call);
    }
}

static int start(struct xfrm_monitor *m, struct loop *loop, loop_fn fn, void *data)
{
    int r = nl_socket_open(NETLINK_XFRM, &m->nl);

    if (r == -EPROTONOSUPPORT) /* a kernel without IPsec has nothing to tell */
        return 0;
    if (r == 0)
        r = nl_socket_join(m->nl, XFRMNLGRP_POLICY);
    if (r == 0)
        r = loop_add_defer(loop, fn, data, &m->call);
    if (r == 0)
        r = loop_add_io(loop, nl_socket_fd(m->nl), EPOLLIN, on_readable, m, &m->io);
    return r < 0 ? err_wrap(r, "listen to IPsec policies") : 0;
}

int xfrm_monitor_new(struct loop *loop, loop_fn fn, void *data, struct xfrm_monitor **ret_monitor)
{
    struct xfrm_monitor *m = NEW(struct xfrm_monitor);
    int r = start(m, loop, fn, data);

    if (r < 0) {
        xfrm_monitor_free(m);
        return r;
    }
    *ret_monitor = m;
    return 0;
}

void xfrm_monitor_free(struct xfrm_monitor *m)
{
    if (!m)
        return;
    loop_source_free(m->io);
    loop_source_free(m->call);
    nl_close(m->nl);
    free(m);
}
