/* The hops, in the order in which a packet meets them. */
#include "cli/trace/look.h"

#include <string.h>

#include "cli/doctor/ruleset.h"
#include "cli/edge.h"
#include "cli/ping.h"
#include "lib/api/mesh.h"
#include "lib/base/error.h"
#include "lib/net/fdb.h"
#include "lib/net/link.h"
#include "lib/net/neigh.h"
#include "lib/net/nft.h"
#include "lib/net/route.h"

#define RUNTIME_PORT "50051"

struct way {
    struct cli *cli;
    struct nl *nl;
    const struct flow *flow;
    struct look *look;
    struct hops *hops;
    json_t *agent; /* NULL: it does not answer */
    uint32_t gateway;
    struct mac mac;
    bool has_mac;
};

void look_deinit(struct look *look)
{
    free(look->netns);
    free(look->attach);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static int list_endpoints(const struct cli *cli, ProtobufCMessage **ret)
{
    Quilt__ListEndpointsRequest request = QUILT__LIST_ENDPOINTS_REQUEST__INIT;

    return edge_runtime(cli, "ListEndpoints", &request.base,
                        &quilt__list_endpoints_reply__descriptor, "list endpoints", ret);
}

static const Quilt__Endpoint *find_endpoint(const ProtobufCMessage *answer, uint32_t addr)
{
    const Quilt__ListEndpointsReply *reply = (const void *)answer;
    char text[IP4_TEXT_SIZE];

    ip4_format(addr, text);
    for (size_t i = 0; i < reply->n_endpoints; i++)
        if (strcmp(reply->endpoints[i]->ip, text) == 0)
            return reply->endpoints[i];
    return NULL;
}

/* The one that is meant may be a host's, or somebody's out of the mesh: hops of ours say nothing of
 * such a way. Where the agent does not know the network, all may be inside. */
static int check_inside(const struct way *w, uint32_t addr)
{
    const char *cluster = text_of(w->agent, "cluster_cidr");
    struct ip4_prefix prefix;
    char text[IP4_TEXT_SIZE];

    if (ip4_prefix_parse(cluster, &prefix) < 0 || ip4_prefix_contains(prefix, addr))
        return 0;
    return err_fail(EINVAL,
                    "trace: %s is not in the cluster's network %s; a trace is from one container "
                    "to another, and 'quiltctl endpoint ls' shows a node's",
                    ip4_format(addr, text), cluster);
}

static bool is_in_our_subnet(const struct way *w, uint32_t addr)
{
    struct ip4_prefix subnet;

    return ip4_prefix_parse(text_of(w->agent, "subnet"), &subnet) == 0 &&
           ip4_prefix_contains(subnet, addr);
}

/* ---- this host's endpoints ----------------------------------------------------------------- */

static void add_endpoint(struct way *w, const char *name, const Quilt__Endpoint *e)
{
    bool is_broken = e->problem[0] != '\0';

    hops_add(w->hops, name, is_broken ? HOP_BROKEN : HOP_FINE,
             mem_printf("%s is endpoint %s, %s in %s, %s here%s%s", e->ip, e->id, e->ifname,
                        e->netns, e->host_ifname, is_broken ? ": " : "", e->problem));
}

static void add_no_endpoint(struct way *w, const char *name, uint32_t addr)
{
    char text[IP4_TEXT_SIZE];

    hops_add(
        w->hops, name, HOP_BROKEN,
        mem_printf("no endpoint of this node has %s, which is of its subnet; quiltctl endpoint "
                   "ls says what there is",
                   ip4_format(addr, text)));
}

static void look_at_source(struct way *w, const ProtobufCMessage *endpoints)
{
    const Quilt__Endpoint *e = find_endpoint(endpoints, w->flow->from);
    struct link_info veth;
    char text[IP4_TEXT_SIZE];

    if (e) {
        add_endpoint(w, "endpoint", e);
        if (link_get(w->nl, e->host_ifname, &veth) == 0)
            w->look->veth_ifindex = veth.ifindex;
        w->look->netns = mem_strdup(e->netns);
        w->look->attach =
            mem_printf("quiltctl endpoint attach %s %s --ifname %s", e->id, e->netns, e->ifname);
    } else if (is_in_our_subnet(w, w->flow->from)) {
        add_no_endpoint(w, "endpoint", w->flow->from);
    } else {
        hops_add(w->hops, "endpoint", HOP_UNKNOWN,
                 mem_printf("%s is not on this node: run the same command on its node",
                            ip4_format(w->flow->from, text)));
    }
}

static void look_at_target_here(struct way *w, const ProtobufCMessage *endpoints)
{
    const Quilt__Endpoint *e = find_endpoint(endpoints, w->flow->to);

    w->look->is_target_here = true;
    if (e)
        add_endpoint(w, "far endpoint", e);
    else
        add_no_endpoint(w, "far endpoint", w->flow->to);
}

/* ---- filter, path -------------------------------------------------------------------------- */

static void look_at_filter(struct way *w)
{
    struct ip4_prefix cluster = MESH_CLUSTER_DEFAULT;
    AUTO_NFT struct nft *nft = NULL;
    AUTO_JSON json_t *all = NULL, *ours = NULL;
    struct ruleset_place place;

    (void)ip4_prefix_parse(text_of(w->agent, "cluster_cidr"), &cluster);
    if (nft_new(&nft) < 0 || nft_list_all(nft, &all) < 0)
        hops_add(w->hops, "filter", HOP_UNKNOWN, mem_strdup(err_text()));
    else if (ruleset_find_forward_drop(all, cluster, &place))
        hops_add(
            w->hops, "filter", HOP_BROKEN,
            mem_printf(
                "chain %s of the table %s %s drops what is forwarded, unless a rule lets it pass",
                place.chain, place.family, place.table));
    else if (nft_table_get(nft, "inet", MESH_TABLE_NAME, &ours) < 0)
        hops_add(w->hops, "filter", HOP_BROKEN, mem_strdup("our table inet quilt is missing"));
    else
        hops_add(w->hops, "filter", HOP_FINE,
                 mem_strdup("table inet quilt is there, no policy drops what is forwarded"));
}

static void look_at_path(struct way *w)
{
    const char *name = text_of(w->agent, "dataplane"),
               *reason = text_of(w->agent, "dataplane_reason");

    if (name[0] == '\0')
        hops_add(w->hops, "path", HOP_UNKNOWN, mem_strdup("the agent does not answer"));
    else
        hops_add(w->hops, "path", HOP_FINE,
                 mem_printf("%s%s%s", name, reason[0] ? ": " : "", reason));
}

/* ---- route, neighbour, forwarding entry ---------------------------------------------------- */

static const char *device_name(struct way *w, int ifindex, struct link_info *link)
{
    return link_get_by_index(w->nl, ifindex, link) == 0 ? link->name : "?";
}

/* The kernel's own word for a blackhole is "Invalid argument". */
static void add_no_way(struct way *w, const char *hop, int r, uint32_t to)
{
    char addr[IP4_TEXT_SIZE];

    ip4_format(to, addr);
    hops_add(w->hops, hop, HOP_BROKEN,
             r == -ENETUNREACH
                 ? mem_printf("there is no way to %s: no route, or a blackhole, unreachable or "
                              "prohibit one, or such a rule; see ip route get %s, ip rule",
                              addr, addr)
                 : mem_strdup(err_text()));
}

static void look_at_route(struct way *w)
{
    struct route_path path;
    struct link_info link;
    char to[IP4_TEXT_SIZE], gateway[IP4_TEXT_SIZE];
    const char *device;
    bool is_right;
    int r = route_lookup(w->nl, w->flow->to, &path);

    if (r < 0) {
        add_no_way(w, "route", r, w->flow->to);
        return;
    }
    device = device_name(w, path.ifindex, &link);
    is_right = path.ifindex == w->look->overlay_ifindex && path.gateway != 0;
    w->gateway = is_right ? path.gateway : 0;
    hops_add(w->hops, "route", is_right ? HOP_FINE : HOP_BROKEN,
             mem_printf("%s via %s dev %s, mtu %u%s", ip4_format(w->flow->to, to),
                        ip4_format(path.gateway, gateway), device, path.mtu_bytes,
                        is_right ? "" : ": there is no route to it over " MESH_DEVICE_NAME));
}

static void look_at_neighbour(struct way *w)
{
    AUTO_FREE struct neigh_entry *entries = NULL;
    char addr[IP4_TEXT_SIZE], mac[MAC_TEXT_SIZE];
    size_t count;

    if (w->gateway == 0 || neigh_dump(w->nl, w->look->overlay_ifindex, &entries, &count) < 0)
        return;
    ip4_format(w->gateway, addr);
    for (size_t i = 0; i < count; i++) {
        if (entries[i].addr != w->gateway || !entries[i].is_permanent)
            continue;
        w->mac = entries[i].mac;
        w->has_mac = true;
        hops_add(w->hops, "neighbour", HOP_FINE,
                 mem_printf("%s is %s", addr, mac_format(w->mac, mac)));
        return;
    }
    hops_add(w->hops, "neighbour", HOP_BROKEN,
             mem_printf("%s has no permanent neighbour entry on " MESH_DEVICE_NAME, addr));
}

static void look_at_fdb(struct way *w)
{
    struct fdb_entry entry;
    char mac[MAC_TEXT_SIZE], host[IP4_TEXT_SIZE];

    if (!w->has_mac)
        return;
    mac_format(w->mac, mac);
    if (fdb_get(w->nl, w->look->overlay_ifindex, w->mac, &entry) < 0) {
        hops_add(w->hops, "fdb", HOP_BROKEN,
                 mem_printf("%s has no forwarding entry on " MESH_DEVICE_NAME, mac));
        return;
    }
    w->look->host_ip = entry.remote;
    hops_add(w->hops, "fdb", HOP_FINE,
             mem_printf("%s is at %s", mac, ip4_format(entry.remote, host)));
}

/* One that is not known, or silent, is asked for once more: it may just not have been needed. */
static bool find_next_hop(struct way *w, int ifindex, uint32_t addr, struct neigh_entry *ret)
{
    struct ping_target host = {.addr = w->look->host_ip};

    if (neigh_get(w->nl, ifindex, addr, ret) == 0 && !neigh_is_silent(ret))
        return true;
    return ping_run(NULL, &host, 1) == 0 && neigh_get(w->nl, ifindex, addr, ret) == 0;
}

static void look_at_underlay(struct way *w)
{
    struct route_path path;
    struct link_info link;
    struct neigh_entry next;
    char host[IP4_TEXT_SIZE], gateway[IP4_TEXT_SIZE];
    const char *device;
    bool is_known, is_silent;
    int r;

    if (w->look->host_ip == 0)
        return;
    r = route_lookup(w->nl, w->look->host_ip, &path);
    if (r < 0) {
        add_no_way(w, "underlay route", r, w->look->host_ip);
        return;
    }
    device = device_name(w, path.ifindex, &link);
    is_known =
        find_next_hop(w, path.ifindex, path.gateway ? path.gateway : w->look->host_ip, &next);
    is_silent = is_known && neigh_is_silent(&next);
    hops_add(w->hops, "underlay route", is_silent ? HOP_BROKEN : HOP_FINE,
             mem_printf("%s %s%s dev %s, mtu %u%s%s%s", ip4_format(w->look->host_ip, host),
                        path.gateway ? "via " : "on the link",
                        path.gateway ? ip4_format(path.gateway, gateway) : "", device,
                        path.mtu_bytes, is_known ? ", neighbour " : "",
                        is_known ? neigh_state_word(next.state) : "",
                        is_silent ? ": nobody there answers ARP; see to the cable, the switch and "
                                    "the other host"
                                  : ""));
}

/* ---- the far side -------------------------------------------------------------------------- */

static const json_t *find_peer(const struct way *w)
{
    const json_t *peers = json_object_get(w->agent, "peers"), *peer;
    struct ip4_prefix subnet;
    size_t i;

    json_array_foreach (peers, i, peer)
        if (ip4_prefix_parse(text_of(peer, "subnet"), &subnet) == 0 &&
            ip4_prefix_contains(subnet, w->flow->to))
            return peer;
    return NULL;
}

/* Runtimes are reached from afar over TLS only, and there where they were told to listen. */
static int ask_far(const struct way *w, const json_t *peer, ProtobufCMessage **ret)
{
    AUTO_FREE char *url = mem_printf("https://%s:" RUNTIME_PORT, text_of(peer, "host_ip"));
    struct cli far = *w->cli;
    const char *control = text_of(json_object_get(w->agent, "control_plane"), "url");
    int r;

    if (strncmp(control, "https:", strlen("https:")) != 0)
        return err_fail(EOPNOTSUPP, "its runtime is on loopback, where there is no TLS");
    far.runtime = url;
    r = list_endpoints(&far, ret);
    if (r == -ECONNREFUSED)
        return err_fail(ECONNREFUSED, "its runtime is on loopback only, or does not run");
    if (r == -ETIMEDOUT)
        return err_fail(ETIMEDOUT, "nothing answers on TCP port " RUNTIME_PORT " over there");
    return r;
}

static void look_at_far(struct way *w)
{
    const json_t *peer = find_peer(w);
    AUTO_REPLY ProtobufCMessage *answer = NULL;
    const Quilt__Endpoint *e;
    struct ip4_prefix subnet;
    char to[IP4_TEXT_SIZE];
    bool is_down;

    ip4_format(w->flow->to, to);
    if (!peer) {
        hops_add(w->hops, "far node", w->agent ? HOP_BROKEN : HOP_UNKNOWN,
                 w->agent ? mem_printf("no node that the agent knows has %s in its subnet; see "
                                       "quiltctl node ls",
                                       to)
                          : mem_strdup("the agent does not answer"));
        return;
    }
    if (ip4_prefix_parse(text_of(peer, "subnet"), &subnet) == 0)
        w->look->vtep = subnet.addr;
    is_down = strcmp(text_of(peer, "status"), "down") == 0;
    hops_add(w->hops, "far node", is_down ? HOP_BROKEN : HOP_FINE,
             mem_printf("%s (%s) is %s%s", text_of(peer, "hostname"), text_of(peer, "host_ip"),
                        text_of(peer, "status"),
                        is_down ? ": nothing is sent there until it is back; see quiltctl node ls, "
                                  "and quiltctl doctor over there"
                                : ""));
    if (ask_far(w, peer, &answer) < 0) {
        hops_add(w->hops, "far endpoint", HOP_UNKNOWN,
                 mem_printf("cannot be asked from here (%s): run the same command on %s",
                            err_text(), text_of(peer, "hostname")));
        return;
    }
    e = find_endpoint(answer, w->flow->to);
    hops_add(w->hops, "far endpoint", e && e->problem[0] == '\0' ? HOP_FINE : HOP_BROKEN,
             e ? mem_printf("endpoint %s%s%s", e->id, e->problem[0] ? ": " : "", e->problem)
               : mem_printf("%s has no endpoint with %s", text_of(peer, "hostname"), to));
}

/* -------------------------------------------------------------------------------------------- */

static int list_endpoints_here(const struct cli *cli, uint32_t from, ProtobufCMessage **ret)
{
    int r = list_endpoints(cli, ret);
    char text[IP4_TEXT_SIZE];

    if (r == -ECONNREFUSED || r == -ETIMEDOUT)
        return err_fail(-r, "%s; a trace is run on the node that has %s", err_text(),
                        ip4_format(from, text));
    return r;
}

/* Nothing on this host leads to an address that no node has, or whose node is down. */
static bool is_way_wanted(const struct way *w)
{
    const json_t *peer = find_peer(w);

    return !w->agent || (peer && strcmp(text_of(peer, "status"), "down") != 0);
}

static void look_abroad(struct way *w)
{
    look_at_path(w);
    if (is_way_wanted(w)) {
        look_at_route(w);
        look_at_neighbour(w);
        look_at_fdb(w);
        look_at_underlay(w);
    }
    look_at_far(w);
}

int look_at_way(struct cli *cli, const struct flow *flow, struct look *ret_look, struct hops *hops)
{
    AUTO_REPLY ProtobufCMessage *endpoints = NULL;
    AUTO_JSON json_t *agent = NULL;
    AUTO_NL struct nl *nl = NULL;
    struct link_info overlay;
    struct way w = {.cli = cli, .flow = flow, .look = ret_look, .hops = hops};
    int r = nl_open(&nl);

    *ret_look = (struct look){0};
    if (r == 0)
        r = list_endpoints_here(cli, flow->from, &endpoints);
    if (r < 0)
        return r;
    w.nl = nl;
    if (edge_agent(cli, "GET", "/status", NULL, "ask the agent", &agent) == 0)
        w.agent = agent;
    else
        hops_add(hops, "agent", HOP_UNKNOWN, mem_strdup(err_text()));
    r = check_inside(&w, flow->from);
    if (r == 0)
        r = check_inside(&w, flow->to);
    if (r < 0)
        return r;
    if (link_get(nl, MESH_DEVICE_NAME, &overlay) == 0)
        ret_look->overlay_ifindex = overlay.ifindex;
    look_at_source(&w, endpoints);
    if (ret_look->netns)
        look_at_filter(&w);
    if (is_in_our_subnet(&w, flow->to)) {
        look_at_target_here(&w, endpoints);
        return 0;
    }
    if (ret_look->netns)
        look_abroad(&w);
    return 0;
}
