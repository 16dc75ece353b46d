/* What a request asks for, checked. */
#include "runtime/requests.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/parse.h"

#define CLUSTER_LEN_MIN 8

static int read_prefix(const char *field, const char *text, struct ip4_prefix *ret)
{
    int r;

    if (text[0] == '\0')
        return err_fail(EINVAL, "%s: is missing", field);
    r = ip4_prefix_parse(text, ret);
    return r < 0 ? err_wrap(r, "%s", field) : 0;
}

static int fail_prefix(const char *field, struct ip4_prefix value, const char *what,
                       struct ip4_prefix other)
{
    char text[IP4_PREFIX_TEXT_SIZE], other_text[IP4_PREFIX_TEXT_SIZE];

    return err_fail(EINVAL, "%s: '%s' %s %s", field, ip4_prefix_format(value, text), what,
                    ip4_prefix_format(other, other_text));
}

static int check_node_len(const char *field, struct ip4_prefix prefix, uint8_t node_len)
{
    char text[IP4_PREFIX_TEXT_SIZE];

    if (prefix.len == node_len)
        return 0;
    return err_fail(EINVAL, "%s: '%s' is not of a node's size, which is /%u here", field,
                    ip4_prefix_format(prefix, text), node_len);
}

/* Only what containers can have, without their gateway's own network. */
static int check_cluster(struct ip4_prefix cluster)
{
    const struct ip4_prefix gateway = {.addr = ENDPOINT_GATEWAY, .len = 32};
    char text[IP4_PREFIX_TEXT_SIZE];

    (void)ip4_prefix_format(cluster, text);
    if (cluster.len < CLUSTER_LEN_MIN)
        return err_fail(EINVAL, "cluster_cidr: '%s' is larger than a /%d", text, CLUSTER_LEN_MIN);
    if (!ip4_is_unicast_host(cluster.addr))
        return err_fail(EINVAL, "cluster_cidr: '%s' holds no addresses that hosts can have", text);
    if (ip4_prefix_covers(cluster, gateway))
        return err_fail(EINVAL, "cluster_cidr: '%s' holds the containers' gateway %s", text,
                        ENDPOINT_GATEWAY_TEXT);
    return 0;
}

int request_read_subnet(const char *subnet, const char *cluster_cidr,
                        struct subnet_request *ret_request)
{
    struct subnet_request request = {.cluster = MESH_CLUSTER_DEFAULT};
    char text[IP4_PREFIX_TEXT_SIZE];
    int r = read_prefix("subnet", subnet, &request.subnet);

    if (r == 0 && cluster_cidr[0] != '\0')
        r = read_prefix("cluster_cidr", cluster_cidr, &request.cluster);
    if (r == 0)
        r = check_cluster(request.cluster);
    if (r < 0)
        return r;
    if (!ip4_prefix_covers(request.cluster, request.subnet))
        return fail_prefix("subnet", request.subnet, "is not inside the cluster's network",
                           request.cluster);
    if (request.subnet.len == request.cluster.len)
        return fail_prefix("subnet", request.subnet, "is no part but the whole of the cluster's",
                           request.cluster);
    if (cluster_cidr[0] == '\0')
        r = check_node_len("subnet", request.subnet, MESH_NODE_LEN_DEFAULT);
    if (r < 0)
        return r;
    if (request.subnet.len < IPAM_LEN_MIN || request.subnet.len > IPAM_LEN_MAX)
        return err_fail(EINVAL, "subnet: '%s' must have a prefix length from %d to %d",
                        ip4_prefix_format(request.subnet, text), IPAM_LEN_MIN, IPAM_LEN_MAX);
    *ret_request = request;
    return 0;
}

int request_read_destination(const struct state *state, const char *destination,
                             struct ip4_prefix *ret_dst)
{
    struct ip4_prefix dst;
    int r = read_prefix("destination", destination, &dst);

    if (r < 0)
        return r;
    if (!ip4_prefix_covers(state->cluster, dst))
        return fail_prefix("destination", dst, "is not inside the cluster's network",
                           state->cluster);
    r = check_node_len("destination", dst, state_node_len(state));
    if (r < 0)
        return r;
    *ret_dst = dst;
    return 0;
}

static int read_via(const char *via, char ret_via[static IFNAMSIZ])
{
    int r;

    if (via[0] == '\0')
        return err_fail(EINVAL, "via_interface: is missing");
    r = parse_ifname(via);
    if (r < 0)
        return err_wrap(r, "via_interface");
    if (strcmp(via, "lo") == 0)
        return err_fail(EINVAL, "via_interface: 'lo' leads to no other node");
    if (strncmp(via, MESH_ENDPOINT_PREFIX, strlen(MESH_ENDPOINT_PREFIX)) == 0)
        return err_fail(EINVAL, "via_interface: '%s' is a container's, not a way to another node",
                        via);
    memcpy(ret_via, via, strlen(via) + 1);
    return 0;
}

static int read_gateway(const char *gateway, uint32_t *ret_addr)
{
    int r;

    *ret_addr = 0;
    if (gateway[0] == '\0')
        return 0;
    r = ip4_parse(gateway, ret_addr);
    if (r < 0)
        return err_wrap(r, "gateway");
    if (!ip4_is_unicast_host(*ret_addr))
        return err_fail(EINVAL, "gateway: '%s' is no address that a host can have", gateway);
    return 0;
}

int request_read_route(const struct state *state, const char *destination,
                       const char *via_interface, const char *gateway, struct route *ret_route)
{
    struct route route = {0};
    int r = request_read_destination(state, destination, &route.dst);

    if (r == 0 && ip4_prefix_equal(route.dst, state->subnet))
        r = err_fail(EINVAL, "destination: '%s' is this node's own subnet", destination);
    if (r == 0)
        r = read_via(via_interface, route.via);
    if (r == 0)
        r = read_gateway(gateway, &route.gateway);
    if (r < 0)
        return r;
    *ret_route = route;
    return 0;
}

int request_read_mtu(uint32_t mtu, uint32_t *ret_mtu_bytes)
{
    if (mtu != 0 && (mtu < ROUTE_MTU_MIN_BYTES || mtu > ROUTE_MTU_MAX_BYTES))
        return err_fail(EINVAL, "mtu: %u is out of %d to %d", mtu, ROUTE_MTU_MIN_BYTES,
                        ROUTE_MTU_MAX_BYTES);
    *ret_mtu_bytes = mtu;
    return 0;
}

int request_read_key(const char *id, const char *ifname, const char **ret_ifname)
{
    int r;

    if (id[0] == '\0')
        return err_fail(EINVAL, "id: is missing");
    r = parse_id(id);
    if (r < 0)
        return err_wrap(r, "id");
    if (ifname[0] == '\0')
        ifname = ENDPOINT_IFNAME_DEFAULT;
    r = parse_ifname(ifname);
    if (r < 0)
        return err_wrap(r, "ifname");
    if (strcmp(ifname, "lo") == 0)
        return err_fail(EINVAL, "ifname: 'lo' is the loopback device of every namespace");
    *ret_ifname = ifname;
    return 0;
}

int request_read_netns(const char *netns)
{
    if (netns[0] == '\0')
        return err_fail(EINVAL, "netns: is missing");
    if (!parse_is_utf8(netns, strlen(netns)))
        return err_fail(EINVAL, "netns: is not valid UTF-8");
    if (netns[0] != '/')
        return err_fail(EINVAL, "netns: '%.64s' is not an absolute path", netns);
    if (strlen(netns) >= PATH_MAX)
        return err_fail(EINVAL, "netns: is longer than %d bytes", PATH_MAX - 1);
    return 0;
}

int request_read_ip(const char *ip, uint32_t *ret_addr)
{
    int r;

    *ret_addr = 0;
    if (ip[0] == '\0')
        return 0;
    r = ip4_parse(ip, ret_addr);
    if (r == 0 && *ret_addr == 0)
        r = err_fail(EINVAL, "'0.0.0.0' is no address that a host can have");
    return r < 0 ? err_wrap(r, "ip") : 0;
}
