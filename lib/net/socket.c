/* One netlink socket. libmnl opens and binds it; receiving is ours, because the sender has to be
 * checked and a datagram that does not fit must not pass for a short one. */
#include "lib/net/socket.h"

#include <libmnl/libmnl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "lib/base/error.h"

/* The kernel fills dump datagrams up to 32 KiB when the reader has room for it (af_netlink.c,
 * netlink_dump). */
#define FIRST_DATA_SIZE 32768
/* No single datagram of ours comes near; the bound is there so that a size is never believed. */
#define MAX_DATA_SIZE (8U << 20)
#define RECEIVE_BUFFER_BYTES (4 << 20)
/* The kernel answers inside sendmsg(2); this only keeps a surprise from lasting for ever. */
#define ANSWER_TIMEOUT_S 10

static int set_receive_buffer(int fd)
{
    int size = RECEIVE_BUFFER_BYTES;

    /* Over net.core.rmem_max needs CAP_NET_ADMIN; who lacks it gets what the limit gives. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) == 0)
        return 0;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0)
        return err_sys(errno, "set a netlink socket's receive buffer");
    return 0;
}

static int set_options(struct nl *nl)
{
    /* Words with errors; acknowledgements without our own message in them; filters of a dump are
     * obeyed instead of ignored. */
    static const int options[] = {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK};
    struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    int fd = mnl_socket_get_fd(nl->mnl);
    int one = 1;

    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (setsockopt(fd, SOL_NETLINK, options[i], &one, sizeof one) < 0)
            return err_sys(errno, "set netlink socket option %d", options[i]);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0)
        return err_sys(errno, "set a netlink socket's timeout");
    return set_receive_buffer(fd);
}

int nl_socket_open(int protocol, struct nl **ret_nl)
{
    AUTO_NL struct nl *nl = NEW(struct nl);
    int r;

    nl->mnl = mnl_socket_open2(protocol, SOCK_CLOEXEC);
    if (!nl->mnl)
        return err_sys(errno, "open a netlink socket");
    r = set_options(nl);
    if (r < 0)
        return r;
    if (mnl_socket_bind(nl->mnl, 0, MNL_SOCKET_AUTOPID) < 0)
        return err_sys(errno, "bind a netlink socket");
    nl->port_id = mnl_socket_get_portid(nl->mnl);
    nl->data_size = FIRST_DATA_SIZE;
    nl->data = mem_alloc(nl->data_size);
    *ret_nl = TAKE_PTR(nl);
    return 0;
}

void nl_close(struct nl *nl)
{
    if (!nl)
        return;
    if (nl->mnl)
        (void)mnl_socket_close(nl->mnl);
    free(nl->data);
    free(nl);
}

int nl_socket_join(struct nl *nl, int group)
{
    if (mnl_socket_setsockopt(nl->mnl, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
        return err_sys(errno, "join netlink group %d", group);
    return 0;
}

int nl_socket_fd(const struct nl *nl)
{
    return mnl_socket_get_fd(nl->mnl);
}

int nl_socket_send(struct nl *nl, const void *bytes, size_t n)
{
    ssize_t sent;

    do
        sent = mnl_socket_sendto(nl->mnl, bytes, n);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return err_sys(errno, "send to the kernel over netlink");
    return 0;
}

static int receive_failed(int errnum, enum nl_wait wait)
{
    if (errnum == ENOBUFS)
        return -ENOBUFS;
    if (errnum != EAGAIN)
        return err_sys(errnum, "receive from the kernel over netlink");
    if (wait == NL_NO_WAIT)
        return -EAGAIN;
    return err_fail(ETIMEDOUT, "the kernel did not answer within %d s", ANSWER_TIMEOUT_S);
}

/* MSG_TRUNC told us the datagram's real size. */
static int grow(struct nl *nl, size_t needed)
{
    if (needed > MAX_DATA_SIZE)
        return err_fail(EPROTO, "the kernel sent a netlink datagram of %zu bytes", needed);
    while (nl->data_size < needed)
        nl->data_size *= 2;
    free(nl->data);
    nl->data = mem_alloc(nl->data_size);
    return -EMSGSIZE;
}

int nl_socket_receive(struct nl *nl, enum nl_wait wait, size_t *ret_n)
{
    int flags = MSG_TRUNC | (wait == NL_NO_WAIT ? MSG_DONTWAIT : 0);

    for (;;) {
        struct sockaddr_nl sender = {0};
        struct iovec iov = {.iov_base = nl->data, .iov_len = nl->data_size};
        struct msghdr msg = {
            .msg_name = &sender, .msg_namelen = sizeof sender, .msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n = recvmsg(nl_socket_fd(nl), &msg, flags);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return receive_failed(errno, wait);
        if (msg.msg_namelen != sizeof sender || sender.nl_pid != 0)
            continue;
        if (msg.msg_flags & MSG_TRUNC)
            return grow(nl, (size_t)n);
        *ret_n = (size_t)n;
        return 0;
    }
}
