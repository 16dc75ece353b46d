/* An endpoint in the kernel. */
#include "runtime/plug.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/net/netns.h"
#include "lib/net/veth.h"
#include "runtime/fastpath.h"

/* ---- which namespace --------------------------------------------------------------------- */

/* The namespace's number, by any socket that is in it; kernels before 5.14 have none. */
static int read_cookie(void *data)
{
    uint64_t *ret_cookie = data;
    socklen_t size = sizeof *ret_cookie;
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    *ret_cookie = 0;
    if (fd < 0)
        return err_sys(errno, "make a socket in the namespace");
    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret_cookie, &size) < 0 && errno != ENOPROTOOPT)
        return err_sys(errno, "read the namespace's number");
    return 0;
}

int plug_open_netns(const char *path, int *ret_fd, struct endpoint_netns *ret_netns)
{
    AUTO_CLOSE int fd = -1;
    struct netns_id id;
    uint64_t cookie;
    int r = netns_open(path, &fd, &id);

    if (r == 0)
        r = netns_run(fd, read_cookie, &cookie);
    if (r < 0)
        return r;
    *ret_netns = (struct endpoint_netns){.dev = id.dev, .ino = id.ino, .cookie = cookie};
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* The namespace that the endpoint was attached to, and no other at its path. */
static int open_own_netns(const struct endpoint *endpoint, int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    struct endpoint_netns netns;
    int r;

    if (endpoint->netns_path[0] == '\0')
        return PLUG_GONE;
    r = plug_open_netns(endpoint->netns_path, &fd, &netns);
    if (r == -ENOENT)
        return PLUG_GONE;
    if (r < 0)
        return r;
    if (!endpoint_netns_equal(&netns, &endpoint->netns))
        return PLUG_GONE;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* ---- the pieces ---------------------------------------------------------------------------- */

bool plug_is_ours(const struct link_info *info)
{
    return strcmp(info->kind, "veth") == 0 &&
           strncmp(info->alias, ENDPOINT_ALIAS_PREFIX, strlen(ENDPOINT_ALIAS_PREFIX)) == 0;
}

struct mac plug_host_mac(void)
{
    return mac_from_ip4(ENDPOINT_GATEWAY);
}

struct route_entry plug_host_route(uint32_t addr, int ifindex)
{
    return (struct route_entry){.dst = {.addr = addr, .len = 32},
                                .ifindex = ifindex,
                                .scope = RT_SCOPE_LINK,
                                .protocol = QUILT_ROUTE_PROTOCOL,
                                .type = RTN_UNICAST};
}

struct neigh_entry plug_host_neigh(uint32_t addr, int ifindex)
{
    return (struct neigh_entry){.ifindex = ifindex, .addr = addr, .mac = mac_from_ip4(addr)};
}

int plug_ensure_sysctls(struct kernel *kernel, const char *host_ifname)
{
    static const struct {
        const char *family, *name, *value;
    } settings[] = {
        {"ipv6", "disable_ipv6", "1"}, /* the mesh is IPv4; no link-local chatter */
        {"ipv6", "accept_ra", "0"},
        {"ipv4", "forwarding", "1"},
        /* Both ends know each other's MAC address; a question would only fill the host's table of
         * neighbours, which all devices share, with whatever sender it claims. */
        {"ipv4", "arp_ignore", "8"},
    };

    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        char path[64 + IFNAMSIZ];
        int r;

        (void)snprintf(path, sizeof path, "net/%s/conf/%s/%s", settings[i].family, host_ifname,
                       settings[i].name);
        r = kernel_ensure_sysctl(kernel, path, settings[i].value, KERNEL_SYSCTL);
        if (r < 0)
            return r;
    }
    return 0;
}

enum { INNER_ELSEWHERE = 1 }; /* the other end is not in this namespace, or not under its name */

/* The other end of the host's device. One that cannot be looked at is not one that is elsewhere: a
 * container must not lose its device for that. */
static int find_inner(struct nl *inside, const struct endpoint *endpoint,
                      const struct link_info *host, struct link_info *ret_inner)
{
    struct link_info inner;
    int r =
        host->peer_ifindex > 0 ? link_get_by_index(inside, host->peer_ifindex, &inner) : -ENODEV;

    if (r == -ENODEV)
        return INNER_ELSEWHERE;
    if (r < 0)
        return r;
    if (strcmp(inner.kind, "veth") != 0 || inner.peer_ifindex != host->ifindex ||
        strcmp(inner.name, endpoint->ifname) != 0 ||
        !mac_equal(inner.mac, mac_from_ip4(endpoint->addr)))
        return INNER_ELSEWHERE;
    *ret_inner = inner;
    return 0;
}

static int create_pair(struct kernel *kernel, struct nl *inside, int netns_fd,
                       const struct endpoint *endpoint, uint32_t mtu_bytes)
{
    char host_ifname[IFNAMSIZ], alias[ENDPOINT_ALIAS_SIZE];
    struct link_info taken;
    struct veth_spec spec = {.name = host_ifname,
                             .alias = alias,
                             .mac = plug_host_mac(),
                             .peer_name = endpoint->ifname,
                             .peer_mac = mac_from_ip4(endpoint->addr),
                             .peer_netns_fd = netns_fd,
                             .mtu_bytes = mtu_bytes};
    int r = link_get(inside, endpoint->ifname, &taken);

    if (r == 0)
        return err_fail(EEXIST, "ifname: '%s' exists already in %s, as another device",
                        endpoint->ifname, endpoint->netns_path);
    if (r != -ENODEV)
        return r;
    endpoint_host_ifname(endpoint->addr, host_ifname);
    endpoint_alias(endpoint->id, endpoint->ifname, alias);
    kernel->writes[KERNEL_ENDPOINT]++;
    return veth_create(kernel->nl, &spec);
}

/* Finds the pair or creates it. What bears our name and alias but does not lead into this namespace
 * is left over from an earlier life of the container. */
static int ensure_pair(struct kernel *kernel, struct nl *inside, int netns_fd,
                       const struct endpoint *endpoint, uint32_t mtu_bytes,
                       struct link_info *ret_host, struct link_info *ret_inner)
{
    char host_ifname[IFNAMSIZ];
    int r;

    endpoint_host_ifname(endpoint->addr, host_ifname);
    r = link_get(kernel->nl, host_ifname, ret_host);
    if (r == 0 && plug_is_ours(ret_host)) {
        r = find_inner(inside, endpoint, ret_host, ret_inner);
        if (r <= 0)
            return r;
        r = 0;
    }
    if (r == 0)
        r = plug_remove(kernel, endpoint->addr);
    if (r == 0 || r == -ENODEV)
        r = create_pair(kernel, inside, netns_fd, endpoint, mtu_bytes);
    if (r == 0)
        r = link_get(kernel->nl, host_ifname, ret_host);
    if (r == 0)
        r = link_get(inside, endpoint->ifname, ret_inner);
    return r;
}

static int ensure_loopback(struct kernel *kernel, struct nl *inside)
{
    struct link_info lo;
    int r = link_get(inside, "lo", &lo);

    return r < 0 ? r : kernel_ensure_up(kernel, inside, &lo);
}

/* The gateway is on the link, then everything goes by it. */
static int ensure_inner_routes(struct kernel *kernel, struct nl *inside, int ifindex)
{
    struct route_entry gateway = plug_host_route(ENDPOINT_GATEWAY, ifindex);
    struct route_entry all = {.gateway = ENDPOINT_GATEWAY,
                              .ifindex = ifindex,
                              .scope = RT_SCOPE_UNIVERSE,
                              .protocol = QUILT_ROUTE_PROTOCOL,
                              .type = RTN_UNICAST};
    int r = kernel_ensure_route(kernel, inside, &gateway, KERNEL_ENDPOINT);

    return r < 0 ? r : kernel_ensure_route(kernel, inside, &all, KERNEL_ENDPOINT);
}

static int build_inside(struct kernel *kernel, struct nl *inside, const struct endpoint *endpoint,
                        struct link_info *inner, uint32_t mtu_bytes)
{
    const struct addr_entry address = {
        .ifindex = inner->ifindex, .addr = endpoint->addr, .prefix_len = 32};
    const struct neigh_entry gateway = {
        .ifindex = inner->ifindex, .addr = ENDPOINT_GATEWAY, .mac = plug_host_mac()};
    int r = kernel_ensure_mtu(kernel, inside, inner, mtu_bytes);

    if (r == 0)
        r = kernel_ensure_addr(kernel, inside, &address);
    if (r == 0)
        r = ensure_loopback(kernel, inside);
    if (r == 0)
        r = kernel_ensure_up(kernel, inside, inner);
    if (r == 0)
        r = kernel_ensure_neigh(kernel, inside, &gateway);
    if (r == 0)
        r = ensure_inner_routes(kernel, inside, inner->ifindex);
    return r < 0 ? err_wrap(r, "inside %s", endpoint->netns_path) : 0;
}

int plug_build_host(struct kernel *kernel, const struct endpoint *endpoint, struct link_info *host,
                    uint32_t mtu_bytes)
{
    struct neigh_entry neigh = plug_host_neigh(endpoint->addr, host->ifindex);
    struct route_entry route = plug_host_route(endpoint->addr, host->ifindex);
    int r = plug_ensure_sysctls(kernel, host->name);

    if (r == 0)
        r = kernel_ensure_mac(kernel, kernel->nl, host, plug_host_mac());
    if (r == 0)
        r = kernel_ensure_mtu(kernel, kernel->nl, host, mtu_bytes);
    if (r == 0)
        r = kernel_ensure_up(kernel, kernel->nl, host);
    if (r == 0)
        r = kernel_ensure_neigh(kernel, kernel->nl, &neigh);
    if (r == 0)
        r = kernel_ensure_route(kernel, kernel->nl, &route, KERNEL_ENDPOINT);
    if (r == 0 && fastpath_put(kernel, endpoint, host) < 0)
        log_warn("an endpoint goes without the fast path, will try again", LOG_ERR());
    return r;
}

int plug_build(struct kernel *kernel, const struct endpoint *endpoint, uint32_t mtu_bytes)
{
    AUTO_CLOSE int netns_fd = -1;
    AUTO_NL struct nl *inside = NULL;
    struct link_info host, inner;
    int r = open_own_netns(endpoint, &netns_fd);

    if (r == 0)
        r = nl_open_in(netns_fd, &inside);
    if (r == 0)
        r = ensure_pair(kernel, inside, netns_fd, endpoint, mtu_bytes, &host, &inner);
    if (r == 0)
        r = build_inside(kernel, inside, endpoint, &inner, mtu_bytes);
    if (r == 0)
        r = plug_build_host(kernel, endpoint, &host, mtu_bytes);
    return r < 0 ? err_wrap(r, "endpoint %s/%s", endpoint->id, endpoint->ifname) : r;
}

int plug_remove(struct kernel *kernel, uint32_t addr)
{
    char host_ifname[IFNAMSIZ];
    struct link_info host;
    int r;

    endpoint_host_ifname(addr, host_ifname);
    r = link_get(kernel->nl, host_ifname, &host);
    if (r == -ENODEV)
        return fastpath_drop(kernel, addr);
    if (r < 0)
        return r;
    if (!plug_is_ours(&host))
        return err_fail(EEXIST, "a device %s exists that is not ours; it is left alone",
                        host_ifname);
    r = fastpath_drop(kernel, addr);
    if (r < 0)
        return r;
    kernel->writes[KERNEL_ENDPOINT]++;
    return link_delete(kernel->nl, host.ifindex);
}

static int set_inner_mtu(struct kernel *kernel, const struct endpoint *endpoint,
                         const struct link_info *host, uint32_t mtu_bytes)
{
    AUTO_CLOSE int netns_fd = -1;
    AUTO_NL struct nl *inside = NULL;
    struct link_info inner;
    int r = open_own_netns(endpoint, &netns_fd);

    if (r > 0) /* not known where it is: the host's end alone, its packets still fit */
        return 0;
    if (r == 0)
        r = nl_open_in(netns_fd, &inside);
    if (r < 0)
        return r;
    r = find_inner(inside, endpoint, host, &inner);
    if (r != 0)
        return r < 0 ? r : 0;
    return kernel_ensure_mtu(kernel, inside, &inner, mtu_bytes);
}

int plug_set_mtu(struct kernel *kernel, const struct endpoint *endpoint, struct link_info *host,
                 uint32_t mtu_bytes)
{
    int r = set_inner_mtu(kernel, endpoint, host, mtu_bytes);

    if (r == 0)
        r = kernel_ensure_mtu(kernel, kernel->nl, host, mtu_bytes);
    return r < 0 ? err_wrap(r, "endpoint %s/%s", endpoint->id, endpoint->ifname) : 0;
}
