/* Listening addresses and targets. */
#include "lib/rpc/address.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base/error.h"
#include "lib/base/ip4.h"
#include "lib/base/mem.h"
#include "lib/base/parse.h"
#include "lib/base/strbuf.h"

#define UNIX_PREFIX "unix:"
#define HTTP_PREFIX "http://"
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

static int prepare_unix(const char *path)
{
    struct sockaddr_un addr = unix_address(path);
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? err_sys(errno, "open a socket") : remove_stale(path);

    if (r < 0)
        return r;
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        return err_sys(errno, "listen on unix:%s", path);
    return unlink(path) < 0 ? err_sys(errno, "remove %s", path) : 0;
}

static int prepare_tcp(const struct rpc_listen *listen)
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(listen->ip),
                               .sin_port = htons(listen->port)};
    int one = 1;

    if (fd < 0)
        return err_sys(errno, "open a socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
        return err_sys(errno, "listen on %s", listen->address);
    return 0;
}

int rpc_listen_prepare(const struct rpc_listen *listen)
{
    return listen->path ? prepare_unix(listen->path) : prepare_tcp(listen);
}

/* host:port with a name: gRPC asks the resolver. An address goes as it is, so that a node needs no
 * working DNS to talk to itself. */
static int parse_host_port(const char *text, const char *host_port, char **ret_target)
{
    const char *colon = strrchr(host_port, ':');
    AUTO_FREE char *host = colon ? mem_printf("%.*s", (int)(colon - host_port), host_port) : NULL;
    uint64_t port = 0;
    uint32_t ip;

    if (!colon || parse_u64(colon + 1, UINT16_MAX, &port) < 0 || port == 0)
        return err_fail(EINVAL, "\"%s\": must be http://HOST:PORT or unix:PATH", text);
    if (strcmp(host, "localhost") == 0)
        *ret_target = mem_printf(IPV4_PREFIX "127.0.0.1:%u", (unsigned int)port);
    else if (ip4_parse(host, &ip) == 0)
        *ret_target = mem_printf(IPV4_PREFIX "%s:%u", host, (unsigned int)port);
    else if (parse_hostname(host) == 0)
        *ret_target = mem_printf("dns:///%s:%u", host, (unsigned int)port);
    else
        return err_fail(EINVAL, "\"%s\": \"%s\" is no host", text, host);
    return 0;
}

static int parse_http(const char *text, const char *rest, char **ret_target)
{
    size_t n = strlen(rest);
    AUTO_FREE char *host_port = NULL;

    if (n > 0 && rest[n - 1] == '/')
        n--;
    host_port = mem_printf("%.*s", (int)n, rest);
    return parse_host_port(text, host_port, ret_target);
}

int rpc_target_parse(const char *text, char **ret_target)
{
    const char *path = after_prefix(text, UNIX_PREFIX);
    const char *rest = after_prefix(text, HTTP_PREFIX);
    int r;

    if (rest)
        return parse_http(text, rest, ret_target);
    if (!path)
        return err_fail(EINVAL, "\"%s\": must be http://HOST:PORT or unix:PATH", text);
    r = check_unix_path(text, &path);
    if (r == 0)
        *ret_target = encode_unix_path(path);
    return r;
}
