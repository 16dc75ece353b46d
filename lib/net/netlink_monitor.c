/* Hearing what changes. A notification that got lost is never missed for good: the kernel marks the
 * socket, and then everything still queued is thrown away and the owner told to look at all of it.
 */
#include <libmnl/libmnl.h>

#include "lib/base/error.h"
#include "lib/net/netlink_event.h"
#include "lib/net/socket.h"

/* Datagrams passed on in one round of the loop, so that a storm does not keep others waiting. */
#define ROUND_DATAGRAMS 256
/* More than a full receive buffer holds (768 bytes of kernel memory each at least). */
#define DRAIN_DATAGRAMS 16384

struct nl_monitor {
    struct nl *nl;
    struct loop_source *io;
    nl_event_fn fn;
    void *data;
    uint32_t own_port_id; /* 0: nobody's; the kernel's own messages have 0 too */
};

/* The queue has to become empty: until then the kernel drops what is new. */
static void drain(struct nl_monitor *m)
{
    for (int i = 0; i < DRAIN_DATAGRAMS; i++) {
        size_t n;

        if (nl_socket_receive(m->nl, NL_NO_WAIT, &n) == -EAGAIN)
            return;
    }
}

static void overrun(struct nl_monitor *m)
{
    const struct nl_event event = {.type = NL_EVENT_OVERRUN};

    drain(m);
    m->fn(&event, m->data);
}

static void pass_on(struct nl_monitor *m, size_t n)
{
    const struct nlmsghdr *message = m->nl->data;

    for (int left = (int)n; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        struct nl_event event;

        if (!nl_event_parse(message, &event))
            continue;
        event.is_own = m->own_port_id != 0 && message->nlmsg_pid == m->own_port_id;
        m->fn(&event, m->data);
    }
}

static void on_readable(void *data, uint32_t epoll_events)
{
    struct nl_monitor *m = data;

    for (int i = 0; i < ROUND_DATAGRAMS; i++) {
        size_t n;
        int r = nl_socket_receive(m->nl, NL_NO_WAIT, &n);

        if (r == -EAGAIN)
            return;
        if (r < 0) {
            overrun(m);
            return;
        }
        pass_on(m, n);
    }
}

static int start(struct nl_monitor *m, struct loop *loop, const int *groups)
{
    int r = nl_socket_open(NETLINK_ROUTE, &m->nl);

    for (; r == 0 && *groups; groups++)
        r = nl_socket_join(m->nl, *groups);
    if (r == 0)
        r = loop_add_io(loop, nl_socket_fd(m->nl), EPOLLIN, on_readable, m, &m->io);
    return r < 0 ? err_wrap(r, "listen to network changes") : 0;
}

int nl_monitor_new(struct loop *loop, const int *groups, nl_event_fn fn, void *data,
                   struct nl_monitor **ret_monitor)
{
    struct nl_monitor *m = NEW(struct nl_monitor);
    int r;

    m->fn = fn;
    m->data = data;
    r = start(m, loop, groups);
    if (r < 0) {
        nl_monitor_free(m);
        return r;
    }
    *ret_monitor = m;
    return 0;
}

void nl_monitor_free(struct nl_monitor *m)
{
    if (!m)
        return;
    loop_source_free(m->io);
    nl_close(m->nl);
    free(m);
}

void nl_monitor_ignore(struct nl_monitor *m, const struct nl *nl)
{
    m->own_port_id = nl->port_id;
}
