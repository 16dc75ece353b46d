/* Hearing that something has changed. */
#include "lib/net/change_monitor.h"

#include <libmnl/libmnl.h>

#include "lib/base/error.h"
#include "lib/net/socket.h"

/* Datagrams taken in one round of the loop, so that a storm does not keep others waiting. */
#define ROUND_DATAGRAMS 256

struct change_monitor {
    struct nl *nl;
    struct loop_source *io;
    struct loop_source *call; /* gathers a round's changes into one */
    change_read_fn read;
    void *read_data;
    bool is_losing;
};

/* Once the kernel has lost some it drops all that is new until the queue is empty. */
static void pass_on(struct change_monitor *m, size_t n)
{
    const struct nlmsghdr *message = m->nl->data;

    if (m->is_losing) {
        m->read(m->read_data, NULL);
        return;
    }
    for (int left = (int)n; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
        m->read(m->read_data, message);
}

static void on_readable(void *data, uint32_t epoll_events)
{
    struct change_monitor *m = data;

    for (int i = 0; i < ROUND_DATAGRAMS; i++) {
        size_t n;
        int r = nl_socket_receive(m->nl, NL_NO_WAIT, &n);
        bool is_empty = r == -EAGAIN;

        m->is_losing |= r < 0 && !is_empty;
        if (m->read)
            pass_on(m, r < 0 ? 0 : n);
        m->is_losing &= !is_empty;
        if (is_empty)
            return;
        /* A change, or a sign that one was missed. */
        loop_defer_arm(m->call);
    }
}

int change_monitor_new(struct loop *loop, int protocol, int group, loop_fn fn, void *data,
                       struct change_monitor **ret_monitor)
{
    struct change_monitor *m = NEW(struct change_monitor);
    int r = nl_socket_open(protocol, &m->nl);

    if (r == 0)
        r = nl_socket_join(m->nl, group);
    if (r == 0)
        r = loop_add_defer(loop, fn, data, &m->call);
    if (r == 0)
        r = loop_add_io(loop, nl_socket_fd(m->nl), EPOLLIN, on_readable, m, &m->io);
    if (r < 0) {
        change_monitor_free(m);
        return r;
    }
    *ret_monitor = m;
    return 0;
}

void change_monitor_read(struct change_monitor *m, change_read_fn read, void *data)
{
    m->read = read;
    m->read_data = data;
}

void change_monitor_free(struct change_monitor *m)
{
    if (!m)
        return;
    loop_source_free(m->io);
    loop_source_free(m->call);
    nl_close(m->nl);
    free(m);
}
