/* The ways to the peers: which packets get through, and what that says. */
#include <inttypes.h>
#include <string.h>

#include "cli/doctor/checks.h"
#include "cli/doctor/group.h"
#include "cli/doctor/ruleset.h"
#include "lib/api/mesh.h"

#define REVERSE_PATH_STRICT 1

static int64_t reverse_path_drops(const struct facts *f)
{
    return f->counts_after.reverse_path_drops - f->counts_before.reverse_path_drops;
}

static bool is_rp_filter_at_work(const struct facts *f)
{
    return f->rp_filter == REVERSE_PATH_STRICT && reverse_path_drops(f) > 0;
}

/* ---- tests: each peer is of one group at most, and of none for a lost packet or two ---------- */

static bool is_silent(const struct facts *f, const struct path *path)
{
    return !path->answers_ping;
}

static bool is_dropped_here(const struct facts *f, const struct path *path)
{
    return !path->answers_ping && path->is_heard;
}

static bool is_lost(const struct facts *f, const struct path *path)
{
    return !path->answers_ping && !path->is_heard && path->host.answered > 0;
}

static bool is_black_hole(const struct facts *f, const struct path *path)
{
    return path->answers_ping && path->is_size_tried && path->largest_bytes < path->mtu_bytes &&
           tries_all_pass(path->small) && tries_all_fail(path->large);
}

static bool is_wrong_sum(const struct facts *f, const struct path *path)
{
    return path->answers_ping && tries_all_fail(path->tcp) && tries_all_pass(path->summed);
}

static const char *underlay_of(const struct facts *f)
{
    return f->underlay_device ? f->underlay_device : "DEVICE";
}

/* ---- causes ---------------------------------------------------------------------------------- */

static void add_rp_filter(const struct facts *f, struct findings *findings)
{
    AUTO_GROUP struct group silent = group_gather(f, is_silent);
    const char *device = f->rp_filter_device ? f->rp_filter_device : "all";

    findings_add(
        findings,
        (struct finding){
            .cause = "rp-filter",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("strict reverse path filtering drops what %s send%s: it comes by "
                               "another device than the route back leads to",
                               silent.names.data, silent.count == 1 ? "s" : ""),
            .shows = mem_printf("rp_filter is 1 for %s, and %" PRId64
                                " packets were dropped for it meanwhile (IPReversePathFilter)",
                                device, reverse_path_drops(f)),
            .mend = mem_printf("sysctl -w net.ipv4.conf.all.rp_filter=2; sysctl -w "
                               "net.ipv4.conf.%s.rp_filter=2",
                               device)});
}

static char *mend_port(const struct ruleset_place *place)
{
    if (strcmp(place->table, "firewalld") == 0)
        return mem_strdup("firewall-cmd --permanent --add-port=4789/udp; firewall-cmd --reload");
    return mem_printf("nft insert rule %s %s %s udp dport %d accept", place->family, place->table,
                      place->chain, MESH_VXLAN_PORT);
}

static void add_rule(const struct ruleset_place *place, struct findings *findings,
                     const struct group *silent)
{
    static const char *const how[] = {
        [RULESET_BY_RULE] = "a rule drops UDP 4789",
        [RULESET_BY_POLICY] = "the policy is to drop, and no rule names UDP 4789,",
        [RULESET_BY_LAST_RULE] = "the last rule drops the rest, and no rule names UDP 4789,"};

    findings_add(
        findings,
        (struct finding){
            .cause = "vxlan-dropped-here",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("the firewall of this host drops VXLAN: the table %s %s",
                               place->family, place->table),
            .shows = mem_printf("%s in chain %s; %s: pings over the overlay lost, VXLAN %s this "
                                "host's device",
                                how[place->how], place->chain, silent->names.data,
                                silent->first->is_heard ? "reaches" : "does not come back to"),
            .mend = mend_port(place)});
}

/* Containers reach each other all the same; but whoever is asked after this node says that it is
 * silent. The peers that are silent have likely been given the same rules. */
static void add_pings_dropped(const struct ruleset_place *place, const struct group *silent,
                              struct findings *findings)
{
    AUTO_FREE char *silent_too =
        silent->count > 0
            ? mem_printf("; pings of %s over the overlay are lost, too", silent->names.data)
            : mem_strdup("");

    findings_add(
        findings,
        (struct finding){
            .cause = "pings-dropped-here",
            .severity = silent->count > 0 ? SEVERITY_ERROR : SEVERITY_WARNING,
            .what = mem_printf("the firewall of this host lets VXLAN in, and not the peers' pings "
                               "that come out of it: the table %s %s",
                               place->family, place->table),
            .shows =
                mem_printf("chain %s drops what no rule lets in, and none lets ICMP echo requests "
                           "from " MESH_DEVICE_NAME " in%s",
                           place->chain, silent_too),
            .mend =
                mem_printf("nft insert rule %s %s %s iifname " MESH_DEVICE_NAME
                           " icmp type echo-request accept%s",
                           place->family, place->table, place->chain,
                           silent->count > 0 ? "; the same on the hosts that are silent" : "")});
}

static void add_dropped_here(const struct facts *f, const struct group *group,
                             struct findings *findings)
{
    findings_add(
        findings,
        (struct finding){
            .cause = "vxlan-dropped-here",
            .severity = SEVERITY_ERROR,
            .what = mem_printf("VXLAN of %s reaches this host's device and is dropped on the host",
                               group->names.data),
            .shows = mem_printf("its answers are seen on the device and do not come out of the "
                                "overlay; %s",
                                f->firewall ? "no nftables rule that names the port explains it"
                                            : "nftables' rules could not be looked at"),
            .mend = mem_printf("look for rules at the device and of the old iptables: tc filter "
                               "show dev %s ingress; iptables-legacy -L -v; then nft monitor trace",
                               underlay_of(f))});
}

static void add_lost(const struct facts *f, const struct group *group, struct findings *findings)
{
    const char *driver = f->underlay_driver ? f->underlay_driver : "";
    bool is_vmware = strcmp(driver, "vmxnet3") == 0;

    findings_add(
        findings,
        (struct finding){
            .cause = "vxlan-lost",
            .severity = SEVERITY_ERROR,
            .what =
                mem_printf("%s: the host is reached, but VXLAN (UDP 4789), or what is pinged "
                           "inside, is lost: a firewall %s, or the network between, drops it",
                           group->names.data, f->firewall ? "over there" : "here or over there"),
            .shows =
                mem_strdup("pings of the host are answered, pings through the overlay are not, "
                           "and no VXLAN of it reaches this host"),
            .mend =
                mem_printf("run quiltctl doctor over there; let UDP (not TCP) 4789 pass in both "
                           "directions, and pings in from " MESH_DEVICE_NAME " over there%s",
                           is_vmware ? "; VMware NSX keeps 4789 for itself" : "")});
}

static char *mend_black_hole(const struct facts *f, const struct path *path)
{
    unsigned int wanted = path->mtu_bytes + MESH_OVERHEAD_BYTES;
    unsigned int carried = path->largest_bytes + MESH_OVERHEAD_BYTES;
    char to[IP4_TEXT_SIZE];

    if (path->largest_bytes == 0) /* less than any size that is worth an MTU */
        return mem_printf("let the network carry %u bytes; to see what it carries: ping -M do -s "
                          "SIZE %s",
                          wanted, ip4_format(path->host_ip, to));
    return mem_printf("let the network carry %u bytes, or set the MTU of the device below to %u: "
                      "ip link set dev %s mtu %u",
                      wanted, carried, underlay_of(f), carried);
}

static void add_black_hole(const struct facts *f, const struct group *group,
                           struct findings *findings)
{
    const struct path *path = group->first;

    findings_add(
        findings,
        (struct finding){.cause = "mtu-black-hole",
                         .severity = SEVERITY_ERROR,
                         .what = mem_printf(
                             "large packets to %s vanish: the network between carries smaller ones "
                             "than this host thinks",
                             group->names.data),
                         .shows = mem_printf("%u bytes pass, %u do not, which the overlay promises",
                                             path->largest_bytes, path->mtu_bytes),
                         .mend = mend_black_hole(f, path)});
}

static void add_wrong_sum(const struct facts *f, const struct group *group,
                          struct findings *findings)
{
    const char *driver = f->underlay_driver ? f->underlay_driver : "unknown";

    findings_add(
        findings,
        (struct finding){
            .cause = "checksum-offload",
            .severity = SEVERITY_ERROR,
            .remedy = REMEDY_CHECKSUM,
            .what =
                mem_printf("the checksums of TCP and UDP inside VXLAN are left to a device that "
                           "does not compute them, on the way to %s",
                           group->names.data),
            .shows = mem_printf("ICMP passes, TCP does not, and TCP does when its checksum is "
                                "computed before it is sent (driver of the device below: %s)",
                                driver),
            .mend = mem_strdup("ethtool -K " MESH_DEVICE_NAME " tx-checksum-ip-generic off (doctor "
                               "--fix does it); with the eBPF path, on the device below, too")});
}

/* Whether it has something to say, which then explains what is lost, too. */
static bool check_pings(const struct facts *f, const struct group *lost, struct findings *findings)
{
    struct ruleset_place place;

    if (ruleset_find_port_drop(f->firewall, MESH_VXLAN_PORT, true, &place) ||
        !ruleset_find_echo_drop(f->firewall, facts_cluster(f), &place))
        return false;
    add_pings_dropped(&place, lost, findings);
    return true;
}

/* What is in the way of everything with these peers, the surest explanation first. */
static void check_silence(const struct facts *f, struct findings *findings)
{
    AUTO_GROUP struct group silent = group_gather(f, is_silent);
    AUTO_GROUP struct group dropped = group_gather(f, is_dropped_here);
    AUTO_GROUP struct group lost = group_gather(f, is_lost);
    struct ruleset_place place;

    if (facts_is_barred(f)) /* its peers do not talk to it */
        return;
    if (silent.count > 0 && is_rp_filter_at_work(f)) {
        add_rp_filter(f, findings);
        return;
    }
    if (dropped.count > 0 && ruleset_find_port_drop(f->firewall, MESH_VXLAN_PORT, true, &place))
        add_rule(&place, findings, &dropped);
    else if (dropped.count > 0)
        add_dropped_here(f, &dropped, findings);
    if (lost.count > 0 && ruleset_find_port_drop(f->firewall, MESH_VXLAN_PORT, false, &place))
        add_rule(&place, findings, &lost);
    else if (!check_pings(f, &lost, findings) && lost.count > 0)
        add_lost(f, &lost, findings);
    check_reach(f, findings);
}

/* It was silent while the doctor tried: whoever sends them is not this host. */
static void check_incoming_sums(const struct facts *f, struct findings *findings)
{
    int64_t errors = f->counts_after.checksum_errors - f->counts_before.checksum_errors;

    if (errors <= 0)
        return;
    findings_add(
        findings,
        (struct finding){
            .cause = "checksum-errors",
            .severity = SEVERITY_WARNING,
            .what = mem_strdup("this host gets TCP or UDP with wrong checksums: a peer "
                               "leaves them to a device that does not compute them"),
            .shows = mem_printf("%" PRId64 " more while the doctor looked (InCsumErrors)", errors),
            .mend = mem_strdup("run quiltctl doctor on the peers")});
}

void check_paths(const struct facts *facts, struct findings *findings)
{
    AUTO_GROUP struct group holes = group_gather(facts, is_black_hole);
    AUTO_GROUP struct group sums = group_gather(facts, is_wrong_sum);

    check_silence(facts, findings);
    if (holes.count > 0)
        add_black_hole(facts, &holes, findings);
    if (sums.count > 0)
        add_wrong_sum(facts, &sums, findings);
    check_incoming_sums(facts, findings);
}
