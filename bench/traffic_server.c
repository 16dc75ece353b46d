/* The passive ends. Each is as plain as its protocol allows, so that what is measured is the way.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/traffic.h"
#include "lib/base/error.h"
#include "lib/base/mem.h"

#define BACKLOG 1024
#define MANY 64
#define RECEIVE_BUFFER_BYTES (16 << 20)

int traffic_tune(int fd)
{
    const char name[] = TRAFFIC_CONGESTION;

    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof name - 1) < 0)
        return err_sys(errno, "congestion control %s", name);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0)
        return err_sys(errno, "TCP_NODELAY");
    return 0;
}

/* What the one who starts a server waits for. */
static void say_ready(void)
{
    (void)fprintf(stderr, "ready\n");
}

static int listen_at(const struct sockaddr_in *self, int *ret_fd)
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_sys(errno, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0)
        return err_sys(errno, "SO_REUSEADDR");
    if (traffic_tune(fd) < 0) /* what is accepted inherits it */
        return -EINVAL;
    if (bind(fd, (const struct sockaddr *)self, sizeof *self) < 0 || listen(fd, BACKLOG) < 0)
        return err_sys(errno, "listen");
    *ret_fd = TAKE_FD(fd);
    say_ready();
    return 0;
}

/* ---- streams: everything is read and thrown away --------------------------------------------- */

static int watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? err_sys(errno, "epoll") : 0;
}

static int take_stream(int epoll_fd, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    return fd < 0 ? err_sys(errno, "accept") : watch(epoll_fd, fd);
}

static void drain(int fd)
{
    static char chunk[TRAFFIC_CHUNK];
    ssize_t n = recv(fd, chunk, sizeof chunk, 0);

    if (n == 0 || (n < 0 && errno != EAGAIN))
        (void)close(fd); /* and epoll forgets it */
}

int traffic_serve_stream(const struct sockaddr_in *self)
{
    AUTO_CLOSE int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    AUTO_CLOSE int listener = -1;
    int r = listen_at(self, &listener);

    if (r == 0)
        r = watch(epoll_fd, listener);
    while (r == 0) {
        struct epoll_event events[MANY];
        int n = epoll_wait(epoll_fd, events, MANY, -1);

        for (int i = 0; i < n && r == 0; i++) {
            if (events[i].data.fd == listener)
                r = take_stream(epoll_fd, listener);
            else
                drain(events[i].data.fd);
        }
    }
    return r;
}

/* ---- request and response -------------------------------------------------------------------- */

static int next_connection(int listener, int *ret_fd)
{
    *ret_fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    return *ret_fd < 0 ? err_sys(errno, "accept") : 0;
}

static bool answer(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1;
}

/* One connection after the other; on each a byte is answered with a byte, until it ends. */
int traffic_serve_echo(const struct sockaddr_in *self)
{
    AUTO_CLOSE int listener = -1;
    int r = listen_at(self, &listener);

    while (r == 0) {
        AUTO_CLOSE int fd = -1;

        r = next_connection(listener, &fd);
        while (r == 0 && answer(fd))
            ;
    }
    return r;
}

/* One answer a connection. The server closes first: it is the one that is left with the TIME_WAIT,
 * and the client does not run out of ports. */
int traffic_serve_connect(const struct sockaddr_in *self)
{
    AUTO_CLOSE int listener = -1;
    int r = listen_at(self, &listener);

    while (r == 0) {
        AUTO_CLOSE int fd = -1;

        r = next_connection(listener, &fd);
        if (r == 0)
            (void)answer(fd);
    }
    return r;
}

/* ---- datagrams: counted ---------------------------------------------------------------------- */

static int open_counter(const struct sockaddr_in *self, int *ret_fd)
{
    const int bytes = RECEIVE_BUFFER_BYTES;
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_sys(errno, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
        return err_sys(errno, "receive buffer");
    if (bind(fd, (const struct sockaddr *)self, sizeof *self) < 0)
        return err_sys(errno, "bind");
    *ret_fd = TAKE_FD(fd);
    say_ready();
    return 0;
}

struct arrivals {
    struct mmsghdr messages[MANY];
    struct iovec vectors[MANY];
    struct sockaddr_in senders[MANY];
    char bytes[MANY][TRAFFIC_BYTES];
};

static void prepare(struct arrivals *a)
{
    for (size_t i = 0; i < MANY; i++) {
        a->vectors[i] = (struct iovec){a->bytes[i], sizeof a->bytes[i]};
        a->messages[i].msg_hdr = (struct msghdr){.msg_name = &a->senders[i],
                                                 .msg_namelen = sizeof a->senders[i],
                                                 .msg_iov = &a->vectors[i],
                                                 .msg_iovlen = 1};
    }
}

static int tell(int fd, const struct sockaddr_in *whom, uint64_t count)
{
    const struct traffic_count answer = {htobe64(count)};

    if (sendto(fd, &answer, sizeof answer, 0, (const struct sockaddr *)whom, sizeof *whom) < 0)
        return err_sys(errno, "tell the count");
    return 0;
}

int traffic_serve_datagram(const struct sockaddr_in *self)
{
    static struct arrivals arrivals;
    AUTO_CLOSE int fd = -1;
    uint64_t count = 0;
    int r = open_counter(self, &fd);

    while (r == 0) {
        int n;

        prepare(&arrivals);
        n = recvmmsg(fd, arrivals.messages, MANY, MSG_WAITFORONE, NULL);
        if (n < 0)
            r = err_sys(errno, "receive");
        for (int i = 0; i < n && r == 0; i++) {
            if (arrivals.messages[i].msg_len == sizeof(struct traffic_count))
                r = tell(fd, &arrivals.senders[i], count);
            else
                count++;
        }
    }
    return r;
}
