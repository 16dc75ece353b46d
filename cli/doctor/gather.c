/* The kernel's facts, and the order of all. */
#include "cli/doctor/gather.h"

#include <linux/magic.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli/doctor/proc.h"
#include "cli/doctor/try_paths.h"
#include "lib/api/mesh.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/net/neigh.h"
#include "lib/net/nft.h"

#define PATH_SIZE 128

static void take_daemons(const struct cli *cli, const struct checkup *c, struct facts *f)
{
    f->now_s = clock_unix_s();
    f->agent = c->agent;
    f->agent_error = c->agent_error;
    f->runtime = c->runtime;
    f->runtime_error = c->is_runtime_unasked ? NULL : c->runtime_error;
    f->control_url = cli->control_plane;
    f->control_error = c->control_error;
    f->is_control_ill = c->is_control_ill;
    f->is_control_untrusted = c->is_control_untrusted;
    f->is_control_away = c->is_control_away;
    f->is_control_refusing = c->is_control_refusing;
    f->is_control_unasked = c->control_unasked != NULL;
    f->cert = c->has_cert ? &c->cert : NULL;
    if (c->is_runtime_unasked)
        facts_add_blind_for(f, "the runtime was not asked", c->runtime_error);
    if (c->control_unasked)
        facts_add_blind_for(f, "the control plane was not asked", c->control_unasked);
}

/* ---- netlink, nftables --------------------------------------------------------------------- */

static void gather_underlay(struct nl *nl, struct facts *f)
{
    const json_t *peer = json_array_get(json_object_get(f->agent, "peers"), 0);
    const struct link_info *link;
    struct route_path way;
    char path[PATH_SIZE], target[PATH_SIZE];
    uint32_t addr;
    ssize_t n;

    if (ip4_parse(facts_text(peer, "host_ip"), &addr) < 0 || route_lookup(nl, addr, &way) < 0)
        return;
    link = facts_link(f, way.ifindex);
    if (!link)
        return;
    f->underlay_device = mem_strdup(link->name);
    (void)snprintf(path, sizeof path, "/sys/class/net/%s/device/driver", link->name);
    n = readlink(path, target, sizeof target - 1);
    if (n <= 0)
        return;
    target[n] = '\0';
    f->underlay_driver = mem_strdup(strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
}

/* Those that the kernel may throw away: permanent ones are not counted against its limit. */
static void gather_neighbours(struct nl *nl, struct facts *f)
{
    AUTO_FREE struct neigh_entry *entries = NULL;
    size_t count;

    f->neigh_max = proc_number("/proc/sys/net/ipv4/neigh/default/gc_thresh3");
    if (neigh_dump(nl, 0, &entries, &count) < 0) {
        facts_add_blind(f, "the table of neighbours was not looked at");
        return;
    }
    f->neigh_count = 0;
    for (size_t i = 0; i < count; i++)
        f->neigh_count += !entries[i].is_permanent && !entries[i].is_external;
}

static bool has_control_answered(const struct checkup *c)
{
    if (c->is_control_unknown || c->control_unasked)
        return false;
    return !c->control_error || c->is_control_ill || c->is_control_untrusted;
}

static bool is_of_this_host(const struct facts *f, uint32_t addr)
{
    for (size_t i = 0; i < f->addr_count; i++)
        if (f->addrs[i].addr == addr)
            return true;
    return addr >> 24 == IN_LOOPBACKNET;
}

/* Whether the control plane, which has answered, is on this host: that answers by any cable. */
static bool is_control_here(const struct cli *cli, const struct facts *f)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    const char *host = strstr(cli->control_plane, "://");
    AUTO_FREE char *name = NULL;
    struct addrinfo *found = NULL;
    bool is_here = true;

    host = host ? host + strlen("://") : cli->control_plane;
    name = mem_printf("%.*s", (int)strcspn(host, ":/"), host);
    if (cli->control_addr || getaddrinfo(name, NULL, &hints, &found) != 0)
        return true; /* or nobody knows, and then it shows nothing */
    for (const struct addrinfo *i = found; i; i = i->ai_next) {
        const struct sockaddr_in *to = (const void *)i->ai_addr;

        is_here = is_here && is_of_this_host(f, ntohl(to->sin_addr.s_addr));
    }
    freeaddrinfo(found);
    return is_here;
}

/* A host IP whose device has no carrier is still this host's, and another device may lead to it. */
static void try_without_carrier(const struct cli *cli, const struct checkup *c, struct facts *f)
{
    AUTO_FREE struct ping_target *targets = NULL;
    const struct link_info *link = NULL;
    size_t count;

    if (facts_underlay(f, &link) != UNDERLAY_DOWN || !link->is_up)
        return;
    f->passes_without_carrier = has_control_answered(c) && !is_control_here(cli, f);
    if (f->passes_without_carrier || !facts_overlay_is_up(f))
        return;
    targets = report_ping_targets(f->agent, &count);
    if (count > PING_TARGETS_MAX)
        count = PING_TARGETS_MAX;
    if (count > 0 && ping_run(MESH_DEVICE_NAME, targets, count) < 0)
        facts_add_blind(f, "it was not tried whether peers answer by another device");
    for (size_t i = 0; i < count; i++)
        f->passes_without_carrier = f->passes_without_carrier || targets[i].has_answered;
}

static void gather_netlink(const struct cli *cli, const struct checkup *c, struct facts *f)
{
    AUTO_NL struct nl *nl = NULL;

    f->neigh_count = f->neigh_max = FACTS_UNKNOWN;
    if (nl_open(&nl) < 0) {
        facts_add_blind(
            f, "devices, addresses, routes, rules, neighbours and the ways to the peers were not "
               "looked at");
        return;
    }
    if (link_dump(nl, NULL, &f->links, &f->link_count) < 0) {
        f->link_count = 0;
        facts_add_blind(f, "the devices, and so the ways to the peers, were not looked at");
    }
    f->has_addrs = addr_dump(nl, 0, &f->addrs, &f->addr_count) == 0;
    if (!f->has_addrs)
        facts_add_blind(f, "this host's addresses were not looked at");
    if (route_dump(nl, 0, 0, &f->routes, &f->route_count) < 0) {
        f->route_count = 0;
        facts_add_blind(f, "the routes were not looked at");
    }
    try_without_carrier(cli, c, f);
    gather_strays(nl, f);
    gather_underlay(nl, f);
    gather_neighbours(nl, f);
}

static bool is_of_our_table(const json_t *object)
{
    static const char *const kinds[] = {"table", "chain", "rule", "set"};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const json_t *body = json_object_get(object, kinds[i]);

        if (body && strcmp(facts_text(body, "family"), "inet") == 0 &&
            strcmp(facts_text(body, i == 0 ? "name" : "table"), MESH_TABLE_NAME) == 0)
            return true;
    }
    return false;
}

static void gather_firewall(struct facts *f)
{
    AUTO_NFT struct nft *nft = NULL;
    AUTO_JSON json_t *objects = NULL;
    json_t *object;
    size_t i;

    if (nft_new(&nft) < 0 || nft_list_all(nft, &objects) < 0) {
        facts_add_blind(f, "the firewall was not looked at");
        return;
    }
    f->firewall = json_array();
    json_array_foreach (objects, i, object) {
        if (!is_of_our_table(object))
            (void)json_array_append(f->firewall, object);
        else if (json_object_get(object, "rule"))
            f->has_filters = true;
    }
}

/* ---- settings and counters ----------------------------------------------------------------- */

static int64_t setting_of(const char *device, const char *name)
{
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/%s", device, name);
    return proc_number(path);
}

/* The larger of all and the device's own holds: 2 (loose) is milder than 1 (strict). */
static void gather_rp_filter(struct facts *f)
{
    int64_t all = setting_of("all", "rp_filter");

    for (size_t i = 0; i < f->link_count; i++) {
        const char *name = f->links[i].name;
        int64_t own = setting_of(name, "rp_filter");

        if (strcmp(name, "lo") == 0 || (own > all ? own : all) != 1)
            continue;
        f->rp_filter = 1;
        f->rp_filter_device = mem_strdup(name);
        return;
    }
}

static bool is_deaf(const char *device)
{
    return device && setting_of(device, "forwarding") == 0;
}

static struct counts read_counts(void)
{
    AUTO_FREE char *snmp = proc_text("/proc/net/snmp");
    AUTO_FREE char *more = proc_text("/proc/net/netstat");

    return (struct counts){.checksum_errors = proc_counter(snmp, "Udp", "InCsumErrors") +
                                              proc_counter(snmp, "Tcp", "InCsumErrors"),
                           .reverse_path_drops =
                               proc_counter(more, "TcpExt", "IPReversePathFilter")};
}

static void gather_settings(struct facts *f)
{
    struct statfs bpf;

    f->forwarding = proc_number("/proc/sys/net/ipv4/ip_forward");
    f->is_overlay_deaf = is_deaf(MESH_DEVICE_NAME);
    f->is_underlay_deaf = is_deaf(f->underlay_device);
    f->conntrack_count = proc_number("/proc/sys/net/netfilter/nf_conntrack_count");
    f->conntrack_max = proc_number("/proc/sys/net/netfilter/nf_conntrack_max");
    f->has_bpffs = statfs("/sys/fs/bpf", &bpf) == 0 && bpf.f_type == BPF_FS_MAGIC;
    gather_rp_filter(f);
}

void gather_facts(const struct cli *cli, const struct checkup *checkup, struct facts *f)
{
    *f = (struct facts){0};
    take_daemons(cli, checkup, f);
    f->counts_before = read_counts();
    gather_netlink(cli, checkup, f);
    if (!facts_is_dry(f))
        gather_firewall(f);
    gather_settings(f);
    gather_files(cli, f);
    gather_daemon_files(f);
    if (facts_has_links(f) && !facts_overlay_is_up(f) && !facts_is_dry(f))
        f->port_owner = gather_port_owner(MESH_VXLAN_PORT);
    if (facts_overlay_is_up(f) && !facts_is_cut_off(f) && try_paths(f) < 0)
        facts_add_blind(f, "the ways to the peers were not tried");
    gather_ways(f);
    f->counts_after = read_counts();
}
