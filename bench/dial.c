/* Opening connections by the ten thousand. */
#include "bench/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

#define PER_ADDRESS 1000
#define SPARE_FILES 64

int dial_allow(size_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_sys(errno, "ask for the limit of open files");
    if (limit.rlim_max < wanted + SPARE_FILES)
        return err_fail(EMFILE, "only %ju files may be open, %zu are wanted",
                        (uintmax_t)limit.rlim_max, wanted + SPARE_FILES);
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? err_sys(errno, "raise the limit of files") : 0;
}

static int come_from(int fd, size_t number)
{
    const struct sockaddr_in self = {.sin_family = AF_INET,
                                     .sin_addr.s_addr =
                                         htonl(INADDR_LOOPBACK + (uint32_t)(number / PER_ADDRESS))};

    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (const struct sockaddr *)&self, sizeof self) < 0)
        return err_sys(errno, "bind");
    return 0;
}

int dial(const struct sockaddr_in *target, size_t number, int *ret_fd)
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_sys(errno, "socket");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0)
        return err_sys(errno, "TCP_NODELAY");
    if (number >= PER_ADDRESS && come_from(fd, number) < 0)
        return -EADDRNOTAVAIL;
    if (connect(fd, (const struct sockaddr *)target, sizeof *target) < 0)
        return err_sys(errno, "connect");
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int dial_send(int fd, const void *bytes, size_t n)
{
    ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

    if (sent < 0)
        return err_sys(errno, "send");
    return (size_t)sent == n ? 0 : err_fail(ENOBUFS, "the socket has no room for a request");
}
