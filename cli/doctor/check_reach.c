/* Peers whose hosts are not reached at all: what this host's own side of the way says of it. */
#include <string.h>

#include "cli/doctor/checks.h"
#include "cli/doctor/group.h"

static bool is_unreachable(const struct path *path)
{
    return !path->answers_ping && !path->is_heard && tries_all_fail(path->host);
}

/* ---- tests: each peer is of one group ------------------------------------------------------- */

static bool has_no_way(const struct facts *f, const struct path *path)
{
    return is_unreachable(path) && path->way.is_known && path->way.error < 0;
}

static bool has_silent_hop(const struct facts *f, const struct path *path)
{
    return is_unreachable(path) && path->way.has_hop && path->way.is_hop_silent;
}

static bool has_fixed_hop(const struct facts *f, const struct path *path)
{
    return is_unreachable(path) && path->way.has_hop && path->way.hop.is_permanent;
}

static bool is_far(const struct facts *f, const struct path *path)
{
    return is_unreachable(path) && !has_no_way(f, path) && !has_silent_hop(f, path) &&
           !has_fixed_hop(f, path);
}

/* ---- in words ------------------------------------------------------------------------------- */

static const char no_answer[] =
    "neither pings of the host itself nor of its end of the overlay are answered";
static const char see_to_it[] = "see to the host, its cable and the network between";

/* Takes the texts over. */
static void add(struct findings *findings, char *what, char *shows, char *mend)
{
    findings_add(findings, (struct finding){.cause = "peer-unreachable",
                                            .severity = SEVERITY_ERROR,
                                            .what = what,
                                            .shows = shows,
                                            .mend = mend});
}

/* The longest that fits, where it leads nowhere. */
static const struct route_entry *find_swallower(const struct facts *f, uint32_t addr)
{
    const struct route_entry *best = NULL;

    for (size_t i = 0; i < f->route_count; i++)
        if (ip4_prefix_contains(f->routes[i].dst, addr) &&
            (!best || f->routes[i].dst.len > best->dst.len))
            best = &f->routes[i];
    return best && facts_route_kind(best)[0] ? best : NULL;
}

static void add_no_way(const struct facts *f, const struct group *group, struct findings *findings)
{
    const struct route_entry *route = find_swallower(f, group->first->host_ip);
    char *what =
        mem_printf("%s cannot be reached at all: this host has no way there", group->names.data);
    char addr[IP4_TEXT_SIZE], dst[IP4_PREFIX_TEXT_SIZE];

    ip4_format(group->first->host_ip, addr);
    if (!route) {
        add(findings, what, mem_printf("ip route get %s finds none", addr),
            mem_strdup("a route is missing, or a rule is in the way (ip route; ip rule): let what "
                       "configures this host's network set it again"));
        return;
    }
    ip4_prefix_format(route->dst, dst);
    add(findings, what,
        mem_printf("ip route get %s finds none: %s%s swallows it", addr, facts_route_kind(route),
                   dst),
        mem_printf("if nothing needs it: ip route del %s%s", facts_route_kind(route), dst));
}

static const char *device_of(const struct facts *f, const struct path *path)
{
    const struct link_info *link = facts_link(f, path->way.ifindex);

    return link ? link->name : "DEVICE";
}

static void add_silent_hop(const struct facts *f, const struct group *group,
                           struct findings *findings)
{
    const struct path *path = group->first;
    char addr[IP4_TEXT_SIZE], gateway[IP4_TEXT_SIZE];

    ip4_format(path->host_ip, addr);
    ip4_format(path->way.gateway, gateway);
    add(findings, mem_printf("%s cannot be reached at all", group->names.data),
        mem_printf("nobody answers ARP for %s on %s%s", path->way.gateway ? gateway : addr,
                   device_of(f, path), path->way.gateway ? ", by which this host sends to it" : ""),
        path->way.gateway
            ? mem_printf("is %s the right way to it? ip route get %s shows which route says so; if "
                         "it is, see to that router and its cable",
                         gateway, addr)
            : mem_strdup(see_to_it));
}

static void add_fixed_hop(const struct facts *f, const struct group *group,
                          struct findings *findings)
{
    const struct path *path = group->first;
    char addr[IP4_TEXT_SIZE], mac[MAC_TEXT_SIZE];

    ip4_format(path->way.hop.addr, addr);
    mac_format(path->way.hop.mac, mac);
    add(findings, mem_printf("%s cannot be reached at all", group->names.data),
        mem_printf("%s; this host was told by hand that %s is %s on %s, and asks nobody", no_answer,
                   addr, mac, device_of(f, path)),
        mem_printf("if that is wrong (ip link over there tells it): ip neigh del %s dev %s; else "
                   "%s",
                   addr, device_of(f, path), see_to_it));
}

void check_reach(const struct facts *f, struct findings *findings)
{
    AUTO_GROUP struct group no_way = group_gather(f, has_no_way);
    AUTO_GROUP struct group silent_hop = group_gather(f, has_silent_hop);
    AUTO_GROUP struct group fixed_hop = group_gather(f, has_fixed_hop);
    AUTO_GROUP struct group far = group_gather(f, is_far);

    if (no_way.count > 0)
        add_no_way(f, &no_way, findings);
    if (silent_hop.count > 0)
        add_silent_hop(f, &silent_hop, findings);
    if (fixed_hop.count > 0)
        add_fixed_hop(f, &fixed_hop, findings);
    if (far.count > 0)
        add(findings, mem_printf("%s cannot be reached at all", far.names.data),
            mem_strdup(no_answer),
            mem_printf(
                "%s; or run quiltctl doctor over there, where a firewall that drops both would "
                "be seen",
                see_to_it));
}
