/* Who is in the way of our devices and addresses. */
#include <string.h>

#include "cli/doctor/checks.h"
#include "lib/api/mesh.h"

#define NAME MESH_DEVICE_NAME

static const struct link_info *find_rival(const struct facts *f)
{
    for (size_t i = 0; i < f->link_count; i++) {
        const struct link_info *link = &f->links[i];

        if (strcmp(link->kind, "vxlan") == 0 && strcmp(link->name, NAME) != 0 && link->is_up &&
            link->vxlan.port == MESH_VXLAN_PORT &&
            (link->vxlan.is_external || link->vxlan.vni == MESH_VNI))
            return link;
    }
    return NULL;
}

static void add_rival(const struct link_info *rival, struct findings *findings)
{
    findings_add(
        findings,
        (struct finding){
            .cause = "vxlan-taken",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("another VXLAN device, %s, has what the mesh needs: UDP port "
                               "%d and VNI %d",
                               rival->name, MESH_VXLAN_PORT, MESH_VNI),
            .shows = mem_printf("%s: port %u, VNI %u%s; " NAME " is not up", rival->name,
                                rival->vxlan.port, rival->vxlan.vni,
                                rival->vxlan.is_external ? ", external" : ""),
            .mend = mem_printf("have its owner use another port or VNI, or remove it: ip "
                               "link del %s",
                               rival->name)});
}

static void add_port_owner(const struct facts *f, struct findings *findings)
{
    findings_add(
        findings,
        (struct finding){
            .cause = "port-taken",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("a program has UDP port %d, which VXLAN needs", MESH_VXLAN_PORT),
            .shows = mem_printf("%s; " NAME " is not up", f->port_owner),
            .mend = mem_printf("end it: ss -ulpn 'sport = :%d'", MESH_VXLAN_PORT)});
}

static void add_foreign(const struct link_info *overlay, struct findings *findings)
{
    findings_add(findings,
                 (struct finding){.cause = "device-name-taken",
                                  .severity = SEVERITY_ERROR,
                                  .what = mem_strdup("a device of another program is called " NAME),
                                  .shows = mem_printf(
                                      NAME " is of the kind %s and its alias is \"%s\"",
                                      overlay->kind[0] ? overlay->kind : "(none)", overlay->alias),
                                  .mend = mem_strdup("rename or remove it: ip link set " NAME
                                                     " down; ip link set " NAME " name vxother")});
}

static void check_overlay(const struct facts *f, struct findings *findings)
{
    const struct link_info *overlay = facts_overlay(f), *rival = find_rival(f);

    if (!facts_has_links(f) || facts_overlay_is_up(f) || facts_is_dry(f))
        return;
    if (overlay && strncmp(overlay->alias, MESH_ALIAS_PREFIX, strlen(MESH_ALIAS_PREFIX)) != 0)
        add_foreign(overlay, findings);
    else if (rival)
        add_rival(rival, findings);
    else if (f->port_owner)
        add_port_owner(f, findings);
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* Which routes are ours shows in their devices, too: without them, none is judged.
 * A wider network is in the way only where its hosts are on this very link; behind a gateway, the
 * cluster is a hole in it that somebody may well have planned. */
static bool is_clash(const struct facts *f, const struct route_entry *route,
                     struct ip4_prefix cluster)
{
    const struct link_info *link = facts_link(f, route->ifindex);

    if (route->protocol == QUILT_ROUTE_PROTOCOL || route->dst.len == 0 ||
        (link && facts_is_our_name(link->name)))
        return false;
    if (ip4_prefix_covers(cluster, route->dst))
        return true;
    return ip4_prefix_covers(route->dst, cluster) && route->gateway == 0 &&
           route->type == RTN_UNICAST;
}

/* As ip(8) writes it before the destination; routes of these kinds have no device. */
static const char *route_kind(const struct route_entry *route)
{
    switch (route->type) {
    case RTN_BLACKHOLE:
        return "blackhole ";
    case RTN_UNREACHABLE:
        return "unreachable ";
    case RTN_PROHIBIT:
        return "prohibit ";
    case RTN_THROW:
        return "throw ";
    default:
        return "";
    }
}

static void check_routes(const struct facts *f, struct findings *findings)
{
    struct ip4_prefix cluster = facts_cluster(f);

    for (size_t i = 0; facts_has_links(f) && i < f->route_count; i++) {
        const struct route_entry *route = &f->routes[i];
        const struct link_info *link = facts_link(f, route->ifindex);
        AUTO_FREE char *how = link ? mem_printf(" dev %s", link->name) : mem_strdup("");
        char dst[IP4_PREFIX_TEXT_SIZE], cidr[IP4_PREFIX_TEXT_SIZE];

        if (!is_clash(f, route, cluster))
            continue;
        ip4_prefix_format(route->dst, dst);
        ip4_prefix_format(cluster, cidr);
        findings_add(
            findings,
            (struct finding){
                .cause = "cidr-overlap",
                .severity = route->dst.len >= cluster.len ? SEVERITY_ERROR : SEVERITY_WARNING,
                .what = mem_printf("the host has a route of its own into the cluster's "
                                   "network %s",
                                   cidr),
                .shows =
                    mem_printf("%s%s%s proto %u", route_kind(route), dst, how, route->protocol),
                .mend = mem_printf("if nothing needs it: ip route del %s%s%s; otherwise found the "
                                   "cluster anew with another --cluster-cidr",
                                   route_kind(route), dst, how)});
        return;
    }
}

/* ---- programs that configure networks -------------------------------------------------------- */

static void check_managers(const struct facts *f, struct findings *findings)
{
    if (f->networkd_devices)
        findings_add(findings,
                     (struct finding){
                         .cause = "networkd-manages",
                         .severity = SEVERITY_WARNING,
                         .remedy = REMEDY_NETWORKD,
                         .what = mem_strdup("systemd-networkd manages devices of ours: it takes "
                                            "their addresses and routes away when it restarts"),
                         .shows = mem_printf("networkd's state of %s is not \"unmanaged\"",
                                             f->networkd_devices),
                         .mend = mem_strdup("quiltctl doctor --fix; networkctl reload")});
    if (f->network_manager_devices)
        findings_add(
            findings,
            (struct finding){
                .cause = "network-manager-manages",
                .severity = SEVERITY_WARNING,
                .remedy = REMEDY_NETWORK_MANAGER,
                .what = mem_strdup("NetworkManager manages devices of ours: it takes their "
                                   "addresses and routes away when it sees fit"),
                .shows = mem_printf("managed=true for %s", f->network_manager_devices),
                .mend = mem_strdup("quiltctl doctor --fix; nmcli general reload")});
    if (f->has_nm_cloud_setup)
        findings_add(
            findings,
            (struct finding){.cause = "nm-cloud-setup",
                             .severity = SEVERITY_WARNING,
                             .what = mem_strdup("nm-cloud-setup is enabled: its routing rules send "
                                                "containers' packets to the wrong device"),
                             .shows = mem_strdup("nm-cloud-setup.timer is wanted by timers.target"),
                             .mend = mem_strdup("systemctl disable --now nm-cloud-setup.timer "
                                                "nm-cloud-setup.service; reboot")});
}

void check_devices(const struct facts *facts, struct findings *findings)
{
    check_overlay(facts, findings);
    check_routes(facts, findings);
    check_managers(facts, findings);
}
