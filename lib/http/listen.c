/* The server's listening socket, made here so that its options and errors are ours. SO_REUSEADDR
 * but not SO_REUSEPORT: two servers on one port are a mistake that must show. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/log.h"
#include "lib/base/privilege.h"
#include "lib/http/server_internal.h"

#define BACKLOG 4096
/* Descriptors a daemon needs besides its connections. */
#define OTHER_FILES 128

static int set_flag(int fd, int level, int option)
{
    return setsockopt(fd, level, option, &(int){1}, sizeof(int));
}

static int bind_and_listen(int fd, uint32_t addr, uint16_t *port)
{
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(addr)};
    socklen_t size = sizeof name;

    if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR) < 0 || set_flag(fd, IPPROTO_TCP, TCP_NODELAY) < 0 ||
        bind(fd, (const struct sockaddr *)&name, size) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&name, &size) < 0)
        return -errno;
    *port = ntohs(name.sin_port);
    return 0;
}

/* What the kernel's word leaves open. */
static const char *advice(int errnum)
{
    switch (errnum) {
    case EADDRINUSE:
        return "; 'ss -ltnp' shows which program has it";
    case EADDRNOTAVAIL:
        return "; this host has no such address";
    case EACCES:
        return "; ports below 1024 are for root";
    default:
        return "";
    }
}

int http_listen(uint32_t addr, uint16_t *port, int *ret_fd)
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char text[IP4_TEXT_SIZE];
    int r = fd < 0 ? -errno : bind_and_listen(fd, addr, port);

    if (r < 0) {
        (void)err_sys(-r, "listen on %s:%u", ip4_format(addr, text), *port);
        return err_fail(-r, "%s%s", err_text(), advice(-r));
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Of few files half are for connections, of many all but OTHER_FILES. */
static unsigned int connections_of(uint64_t files)
{
    return (unsigned int)(files < 2 * OTHER_FILES ? files / 2 : files - OTHER_FILES);
}

unsigned int http_fit_connections(unsigned int wanted)
{
    uint64_t files = privilege_open_files((uint64_t)wanted + OTHER_FILES);
    unsigned int fitting = connections_of(files);

    if (fitting >= wanted)
        return wanted;
    log_warn("few open files are allowed, so fewer connections are taken", LOG_U("limit", files),
             LOG_U("connections", fitting), LOG_U("wanted", wanted));
    return fitting;
}
