/* Who is in the way of our devices and addresses. */
#include <string.h>

#include "cli/doctor/checks.h"
#include "lib/api/mesh.h"

#define NAME MESH_DEVICE_NAME

/* Two of one VNI and port cannot be, also while one of them is down. One that takes every VNI is in
 * the way only while it has the port. */
static bool is_same_vxlan(const struct link_info *link)
{
    return strcmp(link->kind, "vxlan") == 0 && link->vxlan.port == MESH_VXLAN_PORT &&
           (link->vxlan.is_external ? link->is_up : link->vxlan.vni == MESH_VNI);
}

static const struct link_info *find_rival(const struct facts *f)
{
    for (size_t i = 0; i < f->link_count; i++)
        if (strcmp(f->links[i].name, NAME) != 0 && is_same_vxlan(&f->links[i]))
            return &f->links[i];
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
            .shows = mem_printf("%s is %s: port %u, VNI %u%s; " NAME " is not up", rival->name,
                                rival->is_up ? "up" : "down, and in the way all the same",
                                rival->vxlan.port, rival->vxlan.vni,
                                rival->vxlan.is_external ? ", external" : ""),
            .mend = mem_printf("it is not the mesh's: have its owner use another port or VNI, or, "
                               "where nothing needs it: ip link del %s",
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

/* Whoever has our VNI and port would be in the way under any name; what is no device of software
 * cannot be deleted. */
static char *mend_foreign(const struct link_info *overlay)
{
    static const char rename[] = "ip link set " NAME " down; ip link set " NAME " name other0";

    if (is_same_vxlan(overlay))
        return mem_strdup("it is not the mesh's, and another name does not help, for its VNI and "
                          "port are the mesh's, too: have its owner make it anew with others, or, "
                          "where nothing needs it: ip link del " NAME);
    if (overlay->kind[0] == '\0')
        return mem_printf("it is not the mesh's; its owner must call it something else: %s",
                          rename);
    return mem_printf("it is not the mesh's; where something needs it, its owner must call it "
                      "something else (%s), else: ip link del " NAME,
                      rename);
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
                                  .mend = mend_foreign(overlay)});
}

static void check_overlay(const struct facts *f, struct findings *findings)
{
    const struct link_info *overlay = facts_overlay(f), *rival = find_rival(f);
    bool is_foreign =
        overlay && strncmp(overlay->alias, MESH_ALIAS_PREFIX, strlen(MESH_ALIAS_PREFIX)) != 0;

    if (!facts_has_links(f) || facts_overlay_is_up(f) || facts_is_dry(f))
        return;
    if (is_foreign)
        add_foreign(overlay, findings);
    if (rival)
        add_rival(rival, findings);
    else if (!is_foreign && f->port_owner)
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
                .shows = mem_printf("%s%s%s proto %u", facts_route_kind(route), dst, how,
                                    route->protocol),
                .mend = mem_printf("if nothing needs it: ip route del %s%s%s; otherwise found the "
                                   "cluster anew with another --cluster-cidr",
                                   facts_route_kind(route), dst, how)});
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
