/* Listening addresses and targets. */
#include "lib/rpc/address.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/strbuf.h"

#define BACKLOG 128
#define SOCKET_MODE_MASK 0117 /* umask of a unix socket of mode 0660 */
#define UNIX_PREFIX "unix:"
#define HTTP_PREFIX "http://"
#define HTTPS_PREFIX "https://"
#define IPV4_PREFIX "ipv4:"

static const char *after_prefix(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

/* "unix:PATH", and "unix://PATH" as others write it. */
static int check_unix_path(const char *text, const char **path)
{
    if (strncmp(*path, "///", 3) == 0)
        *path += 2;
    if (**path != '/')
        return err_fail(EINVAL, "\"%s\": a unix socket needs an absolute path, unix:/DIR/NAME",
                        text);
    if (strlen(*path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return err_fail(EINVAL, "\"%s\": longer than a unix socket's path may be (%zu bytes)", text,
                        sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
    return 0;
}

/* A client's target is a URI to gRPC; what a server listens on is not. */
static char *encode_unix_path(const char *path)
{
    static const char plain[] =
        "/-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct strbuf out = {0};

    strbuf_adds(&out, UNIX_PREFIX);
    for (; *path; path++) {
        if (strchr(plain, *path))
            strbuf_add(&out, path, 1);
        else
            strbuf_addf(&out, "%%%02X", (unsigned int)(unsigned char)*path);
    }
    return strbuf_take(&out);
}

static int parse_unix(const char *text, const char *path, struct rpc_listen *ret_listen)
{
    int r = check_unix_path(text, &path);

    if (r < 0)
        return r;
    *ret_listen = (struct rpc_listen){.address = mem_printf(UNIX_PREFIX "%s", path),
                                      .path = mem_strdup(path)};
    return 0;
}

static int parse_tcp(const char *text, struct rpc_listen *ret_listen)
{
    uint32_t ip;
    uint16_t port;
    int r = parse_addr_port(text, &ip, &port);

    if (r < 0)
        return r;
    *ret_listen = (struct rpc_listen){.address = mem_strdup(text), .ip = ip, .port = port};
    return 0;
}

int rpc_listen_parse(const char *text, struct rpc_listen *ret_listen)
{
    const char *path = after_prefix(text, UNIX_PREFIX);

    return path ? parse_unix(text, path, ret_listen) : parse_tcp(text, ret_listen);
}

void rpc_listen_deinit(struct rpc_listen *listen)
{
    free(listen->address);
    free(listen->path);
    *listen = (struct rpc_listen){0};
}

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    memcpy(addr.sun_path, path, strlen(path));
    return addr;
}

/* Whether the socket file is a leftover: nobody answers at it. */
static int check_stale(const char *path)
{
    struct sockaddr_un addr = unix_address(path);
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_sys(errno, "open a socket");
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0 || errno == EAGAIN)
        return err_sys(EADDRINUSE, "listen on unix:%s", path);
    return errno == ECONNREFUSED ? 0 : err_sys(errno, "look at the socket %s", path);
}

static int remove_stale(const char *path)
{
    struct stat st;
    int r;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_sys(errno, "listen on unix:%s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_fail(EEXIST, "listen on unix:%s: there is a file of that name, not a socket",
                        path);
    r = check_stale(path);
    if (r < 0)
        return r;
    return unlink(path) < 0 ? err_sys(errno, "remove the stale socket %s", path) : 0;
}

static int listen_unix(const struct rpc_listen *where, int fd)
{
    struct sockaddr_un addr = unix_address(where->path);
    mode_t old_mask;
    int r = remove_stale(where->path);

    if (r < 0)
        return r;
    old_mask = umask(SOCKET_MODE_MASK);
    r = bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ? -errno : 0;
    (void)umask(old_mask);
    if (r == 0 && listen(fd, BACKLOG) < 0)
        r = -errno;
    return r < 0 ? err_sys(-r, "listen on %s", where->address) : 0;
}

static int listen_tcp(const struct rpc_listen *where, int fd, int *ret_port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(where->ip), .sin_port = htons(where->port)};
    socklen_t size = sizeof addr;
    int one = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &size) < 0)
        return err_sys(errno, "listen on %s", where->address);
    *ret_port = ntohs(addr.sin_port);
    return 0;
}

int rpc_listen_open(const struct rpc_listen *listen, int *ret_fd, int *ret_port)
{
    AUTO_CLOSE int fd =
        socket(listen->path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int port = 0, r;

    if (fd < 0)
        return err_sys(errno, "open a socket");
    r = listen->path ? listen_unix(listen, fd) : listen_tcp(listen, fd, &port);
    if (r < 0)
        return r;
    *ret_fd = TAKE_FD(fd);
    *ret_port = port;
    return 0;
}

void rpc_listen_remove(const struct rpc_listen *listen)
{
    if (listen->path)
        (void)unlink(listen->path);
}

/* ---- targets -------------------------------------------------------------------------------- */

static int fail_form(const char *text)
{
    return err_fail(EINVAL, "\"%s\": must be http://HOST:PORT, https://ADDR:PORT or unix:PATH",
                    text);
}

/* gRPC asks the resolver. What a node's certificate is for are addresses. */
static int parse_name(const char *text, struct rpc_target *target)
{
    if (parse_hostname(target->host) < 0)
        return err_fail(EINVAL, "\"%s\": \"%s\" is no host", text, target->host);
    if (target->is_tls)
        return err_fail(EINVAL,
                        "\"%s\": over TLS the host is an address, which its certificate has", text);
    target->address = mem_printf("dns:///%s:%u", target->host, target->port);
    return 0;
}

/* An address goes as it is, so that a node needs no working DNS to talk to itself. */
static int parse_host_port(const char *text, const char *host_port, struct rpc_target *target)
{
    const char *colon = strrchr(host_port, ':');
    char ip[IP4_TEXT_SIZE];
    uint64_t port = 0;

    if (!colon || parse_u64(colon + 1, UINT16_MAX, &port) < 0 || port == 0)
        return fail_form(text);
    target->host = mem_printf("%.*s", (int)(colon - host_port), host_port);
    target->port = (uint16_t)port;
    if (strcmp(target->host, "localhost") == 0)
        target->ip = INADDR_LOOPBACK;
    else if (ip4_parse(target->host, &target->ip) < 0)
        return parse_name(text, target);
    target->address = mem_printf(IPV4_PREFIX "%s:%u", ip4_format(target->ip, ip), target->port);
    return 0;
}

static int parse_http(const char *text, const char *rest, struct rpc_target *target)
{
    size_t n = strlen(rest);
    AUTO_FREE char *host_port = NULL;

    if (n > 0 && rest[n - 1] == '/')
        n--;
    host_port = mem_printf("%.*s", (int)n, rest);
    return parse_host_port(text, host_port, target);
}

static int parse_target(const char *text, struct rpc_target *target)
{
    const char *path = after_prefix(text, UNIX_PREFIX);
    const char *plain = after_prefix(text, HTTP_PREFIX);
    const char *secure = after_prefix(text, HTTPS_PREFIX);
    int r;

    target->is_tls = secure != NULL;
    if (plain || secure)
        return parse_http(text, plain ? plain : secure, target);
    if (!path)
        return fail_form(text);
    r = check_unix_path(text, &path);
    if (r < 0)
        return r;
    target->address = encode_unix_path(path);
    target->path = mem_strdup(path);
    return 0;
}

int rpc_target_parse(const char *text, struct rpc_target *ret_target)
{
    struct rpc_target target = {0};
    int r = parse_target(text, &target);

    if (r == 0)
        *ret_target = target;
    else
        rpc_target_deinit(&target);
    return r;
}

void rpc_target_deinit(struct rpc_target *target)
{
    free(target->address);
    free(target->host);
    free(target->path);
    *target = (struct rpc_target){0};
}
