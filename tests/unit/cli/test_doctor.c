/* The doctor's judgement: one row a cause, and a healthy node that has none. */
#include "cli/doctor/checks.h"

#include <string.h>

#include "cli/doctor/proc.h"
#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define AGENT                                                                       \
    "{\"node_id\":\"id\",\"cluster_cidr\":\"10.42.0.0/16\",\"dataplane\":\"ebpf\"," \
    "\"control_plane\":{\"mode\":\"stream\",\"clock_skew_s\":5},\"problems\":[]}"
#define RUNTIME \
    "{\"subnet\":\"10.42.1.0/24\",\"endpoints\":2,\"addresses_free\":252,\"problems\":[]}"

static const struct link_info links[] = {
    {.ifindex = 2, .name = "eth0", .kind = "veth", .is_up = true, .mtu_bytes = 1500},
    {.ifindex = 3,
     .name = "vxlan100",
     .kind = "vxlan",
     .alias = "quilt:overlay",
     .is_up = true,
     .mtu_bytes = 1450,
     .vxlan = {.vni = 100, .port = 4789}},
};
static const struct link_info set_down[] = {{.ifindex = 2, .name = "eth0", .has_carrier = true}};
static const struct link_info unplugged[] = {{.ifindex = 2, .name = "eth0", .is_up = true}};
static const struct link_info plugged[] = {
    {.ifindex = 2, .name = "eth0", .is_up = true, .has_carrier = true}};
static const struct link_info rivals[] = {
    {.ifindex = 2, .name = "eth0", .kind = "veth", .is_up = true},
    {.ifindex = 3,
     .name = "cilium_vxlan",
     .kind = "vxlan",
     .is_up = true,
     .vxlan = {.port = 4789, .is_external = true}},
};
static const struct link_info lying_rivals[] = {
    {.ifindex = 3, .name = "flannel.1", .kind = "vxlan", .vxlan = {.vni = 100, .port = 4789}},
};
static const struct link_info harmless[] = {
    {.ifindex = 2,
     .name = "cilium_vxlan",
     .kind = "vxlan",
     .vxlan = {.port = 4789, .is_external = true}},
    {.ifindex = 3,
     .name = "vxlan7",
     .kind = "vxlan",
     .is_up = true,
     .vxlan = {.vni = 100, .port = 8472}},
};
static const struct link_info of_another[] = {
    {.ifindex = 3, .name = "vxlan100", .kind = "vxlan", .is_up = true}};
static const struct link_info twice_taken[] = {
    {.ifindex = 2, .name = "vxlan100", .kind = "bridge"},
    {.ifindex = 3, .name = "flannel.1", .kind = "vxlan", .vxlan = {.vni = 100, .port = 4789}},
};
static const struct path well = {.hostname = "node2",
                                 .host_ip = 0xc0a8010b,
                                 .answers_ping = true,
                                 .is_examined = true,
                                 .overlay = {100, 100},
                                 .small = {5, 5},
                                 .large = {5, 5},
                                 .is_size_tried = true,
                                 .tcp = {1, 1},
                                 .mtu_bytes = 1450,
                                 .largest_bytes = 1450};

/* What differs from a healthy node. */
struct row {
    const char *causes; /* "a b" */
    const char *agent, *runtime, *firewall;
    const struct link_info *links;
    size_t link_count;
    uint32_t addr;            /* of ifindex 2; 0: none */
    struct route_entry route; /* dst.len 0: none */
    struct rule_entry rules[3];
    struct stray stray;      /* to 0: none */
    struct path path;        /* no name: the healthy one */
    struct report_cert cert; /* zeros: none */
    int64_t checksum_errors, reverse_path_drops;
    int64_t conntrack_count, neigh_count;
    int64_t free_bytes, open_files;
    const char *port_owner, *networkd;
    const char *blind; /* what was not looked at */
    bool has_no_links, has_no_filters, is_firewall_unknown, has_no_forwarding, is_strict,
        has_nm_cloud_setup, has_no_control, is_control_ill, is_control_untrusted, is_control_odd,
        is_control_unasked, passes_without_carrier, has_no_addrs, has_no_agent, is_runtime_away,
        is_runtime_unasked;
};

static json_t *parse(const char *text)
{
    json_t *value = NULL;

    if (text && json_parse(text, strlen(text), &value) < 0)
        fail_msg("%s: %s", text, err_text());
    return value;
}

static char *causes_of(const struct row *row)
{
    AUTO_JSON json_t *agent = row->has_no_agent ? NULL : parse(row->agent ? row->agent : AGENT);
    bool has_no_runtime = row->is_runtime_away || row->is_runtime_unasked;
    AUTO_JSON json_t *runtime =
        has_no_runtime ? NULL : parse(row->runtime ? row->runtime : RUNTIME);
    AUTO_JSON json_t *firewall = parse(row->firewall ? row->firewall : "[]");
    struct path path = row->path.hostname ? row->path : well;
    struct route_entry route = row->route;
    struct stray stray = row->stray;
    struct addr_entry addr = {.ifindex = 2, .addr = row->addr};
    bool is_control_wrong = row->has_no_control || row->is_control_ill ||
                            row->is_control_untrusted || row->is_control_odd;
    struct blind_spot blind = {.what = row->blind, .reason = (char *)"denied"};
    CLEANUP(findings_deinit) struct findings findings;
    struct strbuf out = {0};
    struct facts f = {
        .now_s = 1000,
        .agent = agent,
        .agent_error = "refused",
        .runtime = runtime,
        .runtime_error = row->is_runtime_away ? "refused" : NULL,
        .control_error = is_control_wrong ? "refused" : NULL,
        .is_control_ill = row->is_control_ill,
        .is_control_untrusted = row->is_control_untrusted,
        .is_control_away = row->has_no_control,
        .is_control_unasked = row->is_control_unasked,
        .passes_without_carrier = row->passes_without_carrier,
        .addrs = &addr,
        .addr_count = row->addr != 0,
        .has_addrs = !row->has_no_addrs,
        .cert = row->cert.not_after ? &row->cert : NULL,
        .links = (struct link_info *)(row->links ? row->links : links),
        .link_count = row->has_no_links ? 0
                      : row->links      ? row->link_count
                                        : ARRAY_LEN(links),
        .routes = &route,
        .route_count = route.dst.len > 0,
        .rules = (struct rule_entry *)row->rules,
        .rule_count = ARRAY_LEN(row->rules),
        .strays = &stray,
        .stray_count = stray.asked.to != 0,
        .firewall = row->is_firewall_unknown ? NULL : firewall,
        .has_filters = !row->has_no_filters,
        .port_owner = (char *)row->port_owner,
        .forwarding = !row->has_no_forwarding,
        .rp_filter = row->is_strict,
        .conntrack_count = row->conntrack_count,
        .conntrack_max = 1000,
        .neigh_count = row->neigh_count,
        .neigh_max = 1024,
        .has_bpffs = true,
        .counts_before = {5, 7},
        .counts_after = {5 + row->checksum_errors, 7 + row->reverse_path_drops},
        .networkd_devices = (char *)row->networkd,
        .has_nm_cloud_setup = row->has_nm_cloud_setup,
        .disks = {{"/a", row->free_bytes ? row->free_bytes : 1 << 30, (int64_t)2 << 30},
                  {"/b", FACTS_UNKNOWN, FACTS_UNKNOWN}},
        .daemons = {{"quilt-runtime", 7, row->open_files, 1024}},
        .paths = &path,
        .path_count = 1,
        .blind_spots = &blind,
        .blind_count = row->blind != NULL,
    };

    diagnose(&f, &findings);
    for (size_t i = 0; i < findings.count; i++)
        strbuf_addf(&out, "%s%s", i > 0 ? " " : "", findings.items[i].cause);
    return strbuf_take(&out);
}

#define CHAIN(hook, policy)                                                                  \
    "{\"chain\":{\"family\":\"ip\",\"table\":\"filter\",\"name\":\"C\",\"type\":\"filter\"," \
    "\"hook\":\"" hook "\",\"prio\":0,\"policy\":\"" policy "\"}}"
#define RULE(expr) \
    ",{\"rule\":{\"family\":\"ip\",\"table\":\"filter\",\"chain\":\"C\",\"expr\":[" expr "]}}"
#define ACCEPT "{\"counter\":null},{\"accept\":null}"
#define MATCH(left, right) "{\"match\":{\"op\":\"==\",\"left\":" left ",\"right\":" right "}},"
#define DPORT "{\"payload\":{\"protocol\":\"udp\",\"field\":\"dport\"}}"
#define SADDR "{\"payload\":{\"protocol\":\"ip\",\"field\":\"saddr\"}}"
#define ICMP_TYPE "{\"payload\":{\"protocol\":\"icmp\",\"field\":\"type\"}}"
#define LETS_VXLAN_IN CHAIN("input", "drop") RULE(MATCH(DPORT, "4789") ACCEPT)
#define IIFNAME "{\"meta\":{\"key\":\"iifname\"}}"
#define UNTRIED .hostname = "node2", .host_ip = 0xc0a8010b, .is_examined = true, .mtu_bytes = 1450
#define SILENT UNTRIED, .overlay = {100, 0}
#define NAMED SILENT, .host = {100, 0}
#define HOST_ANSWERS .host = {100, 100}
#define ANSWERS UNTRIED, .answers_ping = true, .overlay = {100, 100}, .is_size_tried = true
#define LARGE_TOO .small = {5, 5}, .large = {5, 5}, .largest_bytes = 1450
#define LOSES(of_overlay, of_host, overlay_window, host_window)          \
    UNTRIED, .answers_ping = true, .overlay = {100, 100 - (of_overlay)}, \
             .host = {100, 100 - (of_host)}, .is_size_tried = true,      \
             .overlay_window_percent = overlay_window, .host_window_percent = host_window

#define REVOKED                                                                              \
    "{\"node_id\":\"id\",\"control_plane\":{\"mode\":\"refused\",\"barred\":true,\"error\":" \
    "\"revoked\"},\"problems\":[\"revoked\"]}"

#define OF_CONTROL(members) \
    "{\"node_id\":\"id\",\"problems\":[\"c\"],\"control_plane\":{" members "}}"
#define AT_HOST(members) "{\"node_id\":\"id\",\"host_ip\":\"192.168.1.10\"" members "}"
#define AWAY ",\"control_plane\":{\"mode\":\"away\",\"error\":\"unreachable\"}"
#define HOST 0xc0a8010a

#define ALL(of_table)                              \
    {                                              \
        .action = FR_ACT_TO_TBL, .table = of_table \
    }
#define TO_MESH(does)                                           \
    {                                                           \
        .priority = 100, .to = {0x0a2a0000, 16}, .action = does \
    }
#define TO_VTEP(why, of_table)                                                                  \
    {                                                                                           \
        .asked = {.to = 0x0a2a0200}, .answer = {.error = why, .ifindex = 2, .table = of_table } \
    }
#define TO_HOST                                                                                  \
    {                                                                                            \
        .asked = {.to = 0xc0a8010b, .protocol = 17, .port = 4789}, .answer = {.error = -EINVAL}, \
        .is_underlay = true                                                                      \
    }

static const struct row rows[] = {
    {.causes = ""},
    {.causes = "agent-away", .has_no_agent = true, .has_no_control = true},
    {.causes = "runtime-away", .is_runtime_away = true},
    {.causes = "not-tried", .is_runtime_unasked = true, .blind = "the runtime was not asked"},
    {.causes = "control-plane-away", .has_no_control = true},
    {.causes = "control-plane-ill", .is_control_ill = true},
    {.causes = "control-plane-untrusted", .is_control_untrusted = true},
    {.causes = "control-plane-untrusted",
     .agent = OF_CONTROL("\"mode\":\"away\",\"untrusted\":true,\"error\":\"another CA\"")},
    {.causes = "control-plane-away",
     .has_no_control = true,
     .agent = OF_CONTROL("\"mode\":\"away\",\"untrusted\":true,\"error\":\"another CA\"")},
    {.causes = "control-plane-error",
     .agent = OF_CONTROL("\"mode\":\"away\",\"error\":\"it answered 500\"")},
    {.causes = "control-plane-error", .is_control_odd = true},
    {.causes = "control-plane-error",
     .is_control_unasked = true,
     .agent = OF_CONTROL("\"mode\":\"away\",\"error\":\"connection refused\"")},
    {.causes = "", .is_control_unasked = true},
    /* Below all: what follows from it is not told. */
    {.causes = "", .agent = AT_HOST(""), .addr = HOST, .links = plugged, .link_count = 1},
    {.causes = "host-ip-gone",
     .agent = AT_HOST(",\"problems\":[\"a\"]"),
     .addr = HOST + 1,
     .has_no_control = true},
    {.causes = "host-ip-gone", .agent = AT_HOST("")},
    {.causes = "underlay-down",
     .agent = AT_HOST(",\"problems\":[\"a\"]"),
     .addr = HOST,
     .links = set_down,
     .link_count = 1,
     .has_no_control = true},
    {.causes = "underlay-down",
     .agent = AT_HOST(AWAY),
     .addr = HOST,
     .links = set_down,
     .link_count = 1},
    /* Unless it did answer, by loopback say. */
    {.causes = "underlay-down control-plane-ill",
     .agent = AT_HOST(""),
     .addr = HOST,
     .links = set_down,
     .link_count = 1,
     .is_control_ill = true},
    {.causes = "host-ip-gone control-plane-untrusted",
     .agent = AT_HOST(AWAY),
     .is_control_untrusted = true},
    {.causes = "host-ip-gone control-plane-untrusted",
     .agent = AT_HOST(",\"control_plane\":{\"untrusted\":true,\"error\":\"another CA\"}")},
    {.causes = "host-ip-gone control-plane-error", .agent = AT_HOST(""), .is_control_odd = true},
    /* Another device leads out. */
    {.causes = "",
     .agent = AT_HOST(""),
     .addr = HOST,
     .links = unplugged,
     .link_count = 1,
     .passes_without_carrier = true},
    {.causes = "control-plane-away peer-unreachable",
     .agent = AT_HOST(""),
     .addr = HOST,
     .links = unplugged,
     .link_count = 1,
     .passes_without_carrier = true,
     .path = {NAMED},
     .has_no_control = true},
    {.causes = "underlay-down",
     .agent = AT_HOST(""),
     .addr = HOST,
     .links = unplugged,
     .link_count = 1},
    {.causes = "", .agent = AT_HOST(""), .has_no_addrs = true},
    {.causes = "not-tried", .agent = AT_HOST(""), .has_no_links = true, .blind = "the devices"},
    {.causes = "", .agent = AT_HOST(",\"dataplane\":\"none\"")},
    {.causes = "control-plane-refused",
     .agent = "{\"node_id\":\"id\",\"control_plane\":{\"mode\":\"refused\",\"error\":\"another\"},"
              "\"problems\":[\"another\"]}"},
    /* Who was revoked is silent to its peers, which is no fault of the ways. */
    {.causes = "not-let-in", .agent = REVOKED},
    {.causes = "not-let-in", .agent = REVOKED, .path = {SILENT, HOST_ANSWERS}},
    {.causes = "not-let-in", .agent = REVOKED, .path = {NAMED}},
    {.causes = "not-joined", .agent = "{\"node_id\":null}"},
    {.causes = "told told",
     .agent = "{\"node_id\":\"id\",\"problems\":[\"a\"]}",
     .runtime = "{\"problems\":[\"b\"]}"},
    {.causes = "clock-skew",
     .agent = "{\"node_id\":\"id\",\"control_plane\":{\"clock_skew_s\":-6}}"},
    {.causes = "", .cert = {.not_before = 200, .not_after = 1200}},
    {.causes = "certificate", .cert = {.not_before = 100, .not_after = 1200}},
    {.causes = "certificate", .cert = {.not_before = 100, .not_after = 1000}},
    {.causes = "certificate", .cert = {.not_before = 1001, .not_after = 9000}},
    {.causes = "subnets-low",
     .agent = "{\"node_id\":\"id\",\"subnet\":\"10.42.1.0/24\",\"cluster_cidr\":\"10.42.0.0/22\","
              "\"control_plane\":{\"mode\":\"stream\"},\"peers\":[{}],\"problems\":[]}"},
    {.causes = "",
     .agent = "{\"node_id\":\"id\",\"subnet\":\"10.42.1.0/24\",\"cluster_cidr\":\"10.42.0.0/22\","
              "\"control_plane\":{\"mode\":\"stream\"},\"peers\":[],\"problems\":[]}"},
    {.causes = "files-low", .open_files = 922},
    {.causes = "", .open_files = 921},
    {.causes = "addresses-low",
     .runtime = "{\"subnet\":\"10.42.1.0/28\",\"endpoints\":13,\"addresses_free\":1}"},
    {.causes = "",
     .runtime = "{\"subnet\":\"10.42.1.0/28\",\"endpoints\":12,\"addresses_free\":2}"},
    {.causes = "vxlan-taken", .links = rivals, .link_count = ARRAY_LEN(rivals)},
    {.causes = "vxlan-taken", .links = lying_rivals, .link_count = ARRAY_LEN(lying_rivals)},
    {.causes = "", .links = harmless, .link_count = ARRAY_LEN(harmless)},
    {.causes = "port-taken", .links = rivals, .link_count = 1, .port_owner = "x (pid 1)"},
    {.causes = "device-name-taken", .links = of_another, .link_count = 1},
    {.causes = "device-name-taken vxlan-taken",
     .links = twice_taken,
     .link_count = ARRAY_LEN(twice_taken)},
    /* Inside the cluster, whoever it leads to; around it, when its hosts are on the link. */
    {.causes = "cidr-overlap",
     .route = {.dst = {0x0a2a8000, 17}, .gateway = 1, .ifindex = 2, .type = RTN_UNICAST}},
    {.causes = "cidr-overlap",
     .route = {.dst = {0x0a000000, 8}, .ifindex = 2, .type = RTN_UNICAST}},
    {.causes = "",
     .route = {.dst = {0x0a000000, 8}, .gateway = 1, .ifindex = 2, .type = RTN_UNICAST}},
    {.causes = "", .route = {.dst = {0x0a2a0200, 24}, .ifindex = 3, .protocol = 81}},
    /* A rule that fits, and whose doing it is. */
    {.causes = "foreign-rule",
     .rules = {TO_MESH(FR_ACT_BLACKHOLE), ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "foreign-rule",
     .rules = {ALL(254), TO_MESH(FR_ACT_PROHIBIT)},
     .stray = TO_VTEP(-EACCES, 0)},
    {.causes = "",
     .rules = {TO_MESH(FR_ACT_BLACKHOLE), ALL(254)},
     .stray = TO_VTEP(-ENETUNREACH, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .to = {0x0a2b0000, 16}}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .is_inverted = true}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .is_special = true}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .mark = 1, .mark_mask = 1}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "foreign-rule",
     .rules = {{.action = FR_ACT_BLACKHOLE, .in_device = "lo"}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .in_device = "eth0"}, ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_BLACKHOLE, .protocol = 17, .port_first = 4000, .port_last = 5000},
               ALL(254)},
     .stray = TO_VTEP(-EINVAL, 0)},
    {.causes = "",
     .rules = {{.action = FR_ACT_GOTO, .goes_to = 9},
               {.priority = 8, .action = FR_ACT_BLACKHOLE},
               {.priority = 9, .action = FR_ACT_TO_TBL, .table = 254}},
     .stray = TO_VTEP(-EINVAL, 0)},
    /* Another table: where its route leads elsewhere, or says no; not that the main one has none.
     */
    {.causes = "foreign-rule", .rules = {ALL(254), ALL(77)}, .stray = TO_VTEP(0, 77)},
    {.causes = "", .rules = {ALL(77), ALL(254)}, .stray = TO_VTEP(0, 254)},
    {.causes = "foreign-rule", .rules = {ALL(77), ALL(254)}, .stray = TO_VTEP(-EHOSTUNREACH, 0)},
    {.causes = "", .rules = {ALL(77), ALL(254)}, .stray = TO_VTEP(-ENETUNREACH, 0)},
    {.causes = "",
     .rules = {ALL(77), ALL(254)},
     .stray = {.asked = {.to = 0x0a2a0200, .in_ifindex = 2}, .answer = {.error = -EINVAL}}},
    /* A peer that it makes silent is explained by it. */
    {.causes = "foreign-rule",
     .path = {NAMED},
     .rules = {ALL(254),
               {.action = FR_ACT_BLACKHOLE, .protocol = 17, .port_first = 4789, .port_last = 4789}},
     .stray = TO_HOST},
    {.causes = "peer-unreachable", .path = {NAMED}, .rules = {ALL(254)}, .stray = TO_HOST},
    {.causes = "networkd-manages", .networkd = "vxlan100"},
    {.causes = "nm-cloud-setup", .has_nm_cloud_setup = true},
    {.causes = "ip-forward-off", .has_no_forwarding = true},
    {.causes = "conntrack-full", .conntrack_count = 900},
    {.causes = "", .conntrack_count = 899},
    {.causes = "neighbours-full", .neigh_count = 1000},
    {.causes = "disk-full", .free_bytes = (16 << 20) - 1},
    {.causes = "fast-path-off",
     .agent = "{\"node_id\":\"id\",\"dataplane\":\"kernel\",\"dataplane_reason\":\"no TCX\"}"},
    {.causes = "filters-gone", .has_no_filters = true},
    {.causes = "", .has_no_filters = true, .is_firewall_unknown = true},
    {.causes = "", .agent = "{\"node_id\":\"id\",\"dataplane\":\"none\"}", .has_no_filters = true},
    /* Forwarding: a policy that drops, and what would let us pass. */
    {.causes = "forward-policy-drop", .firewall = "[" CHAIN("forward", "drop") "]"},
    {.causes = "", .firewall = "[" CHAIN("forward", "accept") "]"},
    {.causes = "", .firewall = "[" CHAIN("forward", "drop") RULE(ACCEPT) "]"},
    {.causes = "",
     .firewall = "[" CHAIN("forward", "drop") RULE(MATCH(IIFNAME, "\"vxlan100\"") ACCEPT) "]"},
    {.causes = "",
     .firewall = "[" CHAIN("forward", "drop")
         RULE(MATCH(SADDR, "{\"prefix\":{\"addr\":\"10.0.0.0\",\"len\":8}}") ACCEPT) "]"},
    {.causes = "forward-policy-drop",
     .firewall = "[" CHAIN("forward", "drop")
         RULE(MATCH(SADDR, "{\"prefix\":{\"addr\":\"10.42.1.0\",\"len\":24}}") ACCEPT) "]"},
    {.causes = "forward-policy-drop",
     .firewall = "[" CHAIN("forward", "drop") RULE(MATCH(IIFNAME, "\"docker0\"") ACCEPT) "]"},
    /* The ways. */
    {.causes = "peer-unreachable", .path = {NAMED}},
    {.causes = "vxlan-lost", .path = {SILENT, HOST_ANSWERS}},
    {.causes = "vxlan-dropped-here", .path = {SILENT, HOST_ANSWERS, .is_heard = true}},
    /* A rule for what comes in explains only what was heard. */
    {.causes = "vxlan-lost",
     .path = {SILENT, HOST_ANSWERS},
     .firewall = "[" CHAIN("input", "accept") RULE(MATCH(DPORT, "4789") "{\"drop\":null}") "]"},
    {.causes = "vxlan-dropped-here",
     .path = {SILENT, HOST_ANSWERS},
     .firewall = "[" CHAIN("output", "accept")
         RULE(MATCH(DPORT, "{\"range\":[4000,5000]}") "{\"reject\":null}") "]"},
    {.causes = "", .firewall = "[" CHAIN("input", "drop") "]"}, /* and yet everything passes */
    /* A firewall that lets VXLAN in; a ping out of it, only if a rule could be for it. */
    {.causes = "pings-dropped-here", .firewall = "[" LETS_VXLAN_IN "]"},
    {.causes = "pings-dropped-here",
     .path = {SILENT, HOST_ANSWERS},
     .firewall = "[" LETS_VXLAN_IN "]"},
    {.causes = "vxlan-dropped-here",
     .path = {SILENT, HOST_ANSWERS, .is_heard = true},
     .firewall = "[" LETS_VXLAN_IN RULE(ACCEPT) "]"},
    {.causes = "pings-dropped-here",
     .firewall = "[" LETS_VXLAN_IN RULE(MATCH(IIFNAME, "\"lo\"") ACCEPT)
         RULE(MATCH("{\"ct\":{\"key\":\"state\"}}", "[\"established\",\"related\"]") ACCEPT)
             RULE(MATCH(SADDR, "{\"prefix\":{\"addr\":\"192.168.1.0\",\"len\":24}}")
                      MATCH(ICMP_TYPE, "\"echo-request\"") ACCEPT)
                 RULE("{\"vmap\":{\"key\":" IIFNAME
                      ",\"data\":{\"set\":[[\"lo\",{\"accept\":null}]]}}}") "]"},
    {.causes = "",
     .firewall = "[" LETS_VXLAN_IN RULE(MATCH(IIFNAME, "\"vxlan*\"")
                                            MATCH(ICMP_TYPE, "\"echo-request\"") ACCEPT) "]"},
    {.causes = "",
     .firewall = "[" LETS_VXLAN_IN RULE(MATCH("{\"meta\":{\"key\":\"l4proto\"}}", "1") ACCEPT) "]"},
    {.causes = "pings-dropped-here",
     .firewall = "[" LETS_VXLAN_IN RULE(MATCH("{\"meta\":{\"key\":\"l4proto\"}}", "6") ACCEPT) "]"},
    {.causes = "",
     .firewall = "[" LETS_VXLAN_IN RULE(MATCH(SADDR, "{\"set\":[\"10.42.2.0\"]}") ACCEPT) "]"},
    {.causes = "", .firewall = "[" LETS_VXLAN_IN RULE(MATCH(SADDR, "\"@peers\"") ACCEPT) "]"},
    {.causes = "rp-filter",
     .path = {NAMED, .is_heard = true},
     .is_strict = true,
     .reverse_path_drops = 3},
    {.causes = "", .is_strict = true, .reverse_path_drops = 3},
    {.causes = "mtu-black-hole",
     .path = {ANSWERS, .small = {5, 5}, .large = {5, 0}, .largest_bytes = 1400, .tcp = {1, 1}}},
    {.causes = "checksum-offload", .path = {ANSWERS, LARGE_TOO, .tcp = {5, 0}, .summed = {5, 5}}},
    /* A firewall over there that refuses TCP says nothing of checksums. */
    {.causes = "", .path = {ANSWERS, LARGE_TOO, .tcp = {5, 0}, .summed = {5, 0}}},
    /* Nor does what is lost now and then, of either kind; and nothing of sizes. */
    {.causes = "", .path = {ANSWERS, LARGE_TOO, .tcp = {5, 0}, .summed = {5, 4}}},
    {.causes = "", .path = {ANSWERS, LARGE_TOO, .tcp = {5, 1}, .summed = {5, 5}}},
    {.causes = "", .path = {ANSWERS, LARGE_TOO, .tcp = {1, 0}, .summed = {1, 1}}},
    {.causes = "",
     .path = {ANSWERS, .small = {5, 5}, .large = {5, 1}, .largest_bytes = 1400, .tcp = {1, 1}}},
    {.causes = "",
     .path = {ANSWERS, .small = {5, 4}, .large = {5, 0}, .largest_bytes = 1400, .tcp = {1, 1}}},
    /* Lost now and then: to the doctor and to the agent. */
    {.causes = "packet-loss", .path = {LOSES(3, 3, 1, 1), LARGE_TOO, .tcp = {1, 1}}},
    {.causes = "packet-loss", .path = {LOSES(99, 0, 98, 0), LARGE_TOO, .tcp = {1, 1}}},
    {.causes = "packet-loss",
     .path = {LOSES(40, 40, FACTS_UNKNOWN, FACTS_UNKNOWN), LARGE_TOO, .tcp = {1, 1}}},
    {.causes = "", .path = {LOSES(2, 2, 9, 9), LARGE_TOO, .tcp = {1, 1}}},
    {.causes = "", .path = {LOSES(0, 0, 40, 40), LARGE_TOO, .tcp = {1, 1}}},
    {.causes = "", .path = {LOSES(40, 40, 0, 0), LARGE_TOO, .tcp = {1, 1}}},
    /* A host that is silent to all pings says nothing of what is lost below. */
    {.causes = "packet-loss", .path = {LOSES(40, 100, 40, 40), LARGE_TOO, .tcp = {1, 1}}},
    /* None of a hundred is no loss now and then. */
    {.causes = "vxlan-lost", .path = {SILENT, HOST_ANSWERS, .overlay_window_percent = 100}},
    {.causes = "vxlan-lost packet-loss",
     .path = {SILENT, .host = {100, 60}, .overlay_window_percent = 100, .host_window_percent = 40}},
    {.causes = "checksum-errors", .checksum_errors = 1},
    /* What was not looked at is told, and nothing is concluded from it. */
    {.causes = "not-tried", .blind = "the firewall was not looked at"},
    {.causes = "told not-tried",
     .agent = "{\"node_id\":\"id\",\"problems\":[\"a\"]}",
     .blind = "the firewall was not looked at"},
    {.causes = "not-tried", .path = {UNTRIED}, .blind = "the hosts of silent peers"},
    {.causes = "not-tried",
     .path = {UNTRIED, .answers_ping = true, .overlay = {100, 100}, .tcp = {1, 1}},
     .blind = "large packets"},
    {.causes = "not-tried", .path = {ANSWERS, LARGE_TOO}, .blind = "TCP"},
    {.causes = "not-tried",
     .has_no_links = true,
     .port_owner = "x (pid 1)",
     .route = {.dst = {0x0a2a0100, 24}, .ifindex = 3, .type = RTN_UNICAST},
     .blind = "the devices"},
};

static void each_cause_is_named_and_nothing_else(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_FREE char *causes = causes_of(&rows[i]);

        if (strcmp(causes, rows[i].causes) != 0)
            fail_msg("row %zu: '%s', not '%s'", i, causes, rows[i].causes);
    }
}

/* A new name does not mend what its VNI and port are in the way of; a card cannot be deleted. */
static void a_device_of_our_name_is_mended_by_what_it_is(void **state)
{
    static const struct {
        struct link_info link;
        bool is_renamed, is_deleted;
    } cases[] = {
        {{.kind = "vxlan", .vxlan = {.vni = 100, .port = 4789}}, false, true},
        {{.kind = "vxlan", .is_up = true, .vxlan = {.port = 4789, .is_external = true}},
         false,
         true},
        {{.kind = "vxlan", .vxlan = {.vni = 100, .port = 8472}}, true, true},
        {{.kind = "bridge"}, true, true},
        {{.kind = ""}, true, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(findings_deinit) struct findings findings = {0};
        struct link_info link = cases[i].link;
        const struct facts f = {.links = &link, .link_count = 1};

        memcpy(link.name, "vxlan100", sizeof "vxlan100");
        check_devices(&f, &findings);
        assert_int_equal(findings.count, 1);
        assert_string_equal(findings.items[0].cause, "device-name-taken");
        assert_int_equal(!!strstr(findings.items[0].mend, "vxlan100 name "), cases[i].is_renamed);
        assert_int_equal(!!strstr(findings.items[0].mend, "ip link del vxlan100"),
                         cases[i].is_deleted);
        assert_non_null(strstr(findings.items[0].mend, "it is not the mesh's"));
    }
}

static void loss_is_told_with_its_leg_its_peers_and_how_much(void **state)
{
    struct path paths[] = {
        {LOSES(10, 12, 9, 14)},
        {.hostname = "node3",
         .host_ip = 0xc0a8010c,
         .answers_ping = true,
         .is_examined = true,
         .overlay = {100, 58},
         .host = {100, 61},
         .overlay_window_percent = 39,
         .host_window_percent = FACTS_UNKNOWN},
        {.hostname = "node4",
         .host_ip = 0xc0a8010d,
         .answers_ping = true,
         .is_examined = true,
         .overlay = {100, 90},
         .host = {100, 100},
         .overlay_window_percent = 11},
    };
    AUTO_JSON json_t *agent = parse("{\"host_ip\":\"192.168.1.10\"}");
    struct facts f = {.agent = agent,
                      .underlay_device = (char *)"eth0",
                      .paths = paths,
                      .path_count = ARRAY_LEN(paths)};
    CLEANUP(findings_deinit) struct findings found = {0};

    check_loss(&f, &found);
    assert_int_equal(found.count, 2);
    assert_string_equal(found.items[0].what,
                        "the underlay, and so the overlay, loses packets (there or back): 12 % to "
                        "node2 (192.168.1.11), 39 % to node3 (192.168.1.12)");
    assert_string_equal(found.items[0].shows,
                        "node3: of 100 pings over the overlay 58 were answered, of 100 of the host "
                        "61; lost of the agent's latest probes: over the overlay 39 %, of the host "
                        "not known");
    assert_non_null(
        strstr(found.items[0].mend, "ping -c 200 -i 0.05 -I 192.168.1.10 192.168.1.12"));
    assert_non_null(strstr(found.items[0].mend, "ethtool -S eth0"));
    assert_string_equal(found.items[1].what,
                        "the overlay (UDP 4789), and not the underlay, loses packets (there or "
                        "back): 10 % to node4 (192.168.1.13)");
    assert_non_null(strstr(found.items[1].mend, "what limits UDP 4789"));
}

static char *said_of_away(const struct path *path)
{
    AUTO_JSON json_t *agent = parse(AGENT);
    CLEANUP(findings_deinit) struct findings findings = {0};
    struct path paths[2] = {{.hostname = "node2"}, *path};
    const struct facts f = {.agent = agent,
                            .control_url = "http://c",
                            .control_error = "refused",
                            .is_control_away = true,
                            .paths = paths,
                            .path_count = 2};

    check_control(&f, &findings);
    assert_int_equal(findings.count, 1);
    return mem_strdup(findings.items[0].what);
}

static void that_packets_pass_is_said_only_when_one_has(void **state)
{
    AUTO_FREE char *with = said_of_away(&well), *without = said_of_away(&(struct path){0});

    assert_string_equal(with, "the control plane http://c does not answer: packets pass on, but "
                              "nobody can join or leave");
    assert_string_equal(without,
                        "the control plane http://c does not answer: nobody can join or leave");
}

/* It may be well in the eyes of all others. */
static void who_believes_no_control_plane_speaks_for_itself_only(void **state)
{
    AUTO_JSON json_t *agent = parse(AGENT);
    CLEANUP(findings_deinit) struct findings findings = {0};
    const struct facts f = {.agent = agent,
                            .control_url = "https://c",
                            .control_error = "another CA",
                            .is_control_untrusted = true};

    check_control(&f, &findings);
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].what,
                        "what answers at https://c is not believed to be the control plane, and is "
                        "told nothing: this node hears of no changes, and cannot join or leave");
    assert_non_null(strstr(findings.items[0].mend, "if you gave the control plane its certificate "
                                                   "(--tls-cert), renew it;"));
}

static void who_was_never_let_in_is_not_said_to_have_lost_its_peers(void **state)
{
    static const struct {
        const char *agent, *said;
    } cases[] = {
        {REVOKED, "Its peers do not talk to it any more"},
        {"{\"node_id\":null,\"control_plane\":{\"barred\":true,\"error\":\"no such token\"}}",
         "this node is not let in: its access token is no good"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_JSON json_t *agent = parse(cases[i].agent);
        CLEANUP(findings_deinit) struct findings findings = {0};
        const struct facts f = {.agent = agent};

        check_control(&f, &findings);
        assert_int_equal(findings.count, 1);
        assert_string_equal(findings.items[0].cause, "not-let-in");
        assert_non_null(strstr(findings.items[0].what, cases[i].said));
        assert_int_equal(strstr(findings.items[0].what, "peers") != NULL, i == 0);
    }
}

static void what_is_down_below_is_mended_by_how_it_is_down(void **state)
{
    static const struct {
        const struct link_info *links;
        uint32_t addr;
        const char *shows, *mend;
    } cases[] = {
        {set_down, HOST, "eth0 has been set down", "ip link set eth0 up;"},
        {unplugged, HOST, "eth0 is up and has no carrier", "see to its cable"},
        {plugged, HOST + 1, "it has only 192.168.1.11 on eth0",
         "ip addr add 192.168.1.10/PREFIX dev eth0 "},
        {plugged, 0, "it has no address but loopback's",
         "ip addr add 192.168.1.10/PREFIX dev eth0 "},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_JSON json_t *agent = parse(AT_HOST(""));
        CLEANUP(findings_deinit) struct findings findings = {0};
        struct addr_entry addr = {.ifindex = 2, .addr = cases[i].addr};
        const struct facts f = {.agent = agent,
                                .links = (struct link_info *)cases[i].links,
                                .link_count = 1,
                                .addrs = &addr,
                                .addr_count = addr.addr != 0,
                                .has_addrs = true};

        check_underlay(&f, &findings);
        assert_int_equal(findings.count, 1);
        assert_string_equal(findings.items[0].shows, cases[i].shows);
        assert_ptr_equal(strstr(findings.items[0].mend, cases[i].mend), findings.items[0].mend);
    }
}

static void a_note_is_no_reason_to_be_ill(void **state)
{
    CLEANUP(findings_deinit) struct findings findings = {0};
    AUTO_STRBUF struct strbuf out = {0};

    findings_add(&findings, (struct finding){.cause = "x",
                                             .severity = SEVERITY_NOTE,
                                             .what = mem_strdup("w"),
                                             .shows = mem_strdup("s\x1b"),
                                             .mend = mem_strdup("m")});
    assert_true(findings_are_healthy(&findings));
    findings_print(&findings, &out);
    assert_string_equal(out.data, "note: x: w\n  shows  s\\u001b\n  mend   m\n");
    findings_add(&findings, (struct finding){.cause = "y", .severity = SEVERITY_WARNING});
    assert_false(findings_are_healthy(&findings));
    assert_false(findings_have_error(&findings));
}

static void counters_are_found_by_their_names(void **state)
{
    static const char text[] = "Tcp: RtoAlgorithm InCsumErrors\nTcp: 1 3\n"
                               "Udp: InDatagrams InCsumErrors\nUdp: 7 44\nUdpLite: A\nUdpLite: 9\n";

    assert_int_equal(proc_counter(text, "Udp", "InCsumErrors"), 44);
    assert_int_equal(proc_counter(text, "Tcp", "InCsumErrors"), 3);
    assert_int_equal(proc_counter(text, "Udp", "InCsum"), 0);
    assert_int_equal(proc_counter("Udp: A B\nUdp: 1\n", "Udp", "B"), 0);
    assert_int_equal(proc_counter("Udp: A\n", "Udp", "A"), 0);
    assert_int_equal(proc_counter(NULL, "Udp", "A"), 0);
}

static void lines_of_files_are_read_as_their_owners_read_them(void **state)
{
    static const char key[] = "net.ipv4.ip_forward";

    assert_true(proc_has_line("A=1\nmanaged=true\n", "managed=true"));
    assert_false(proc_has_line("A=1\nmanaged=trueish\n", "managed=true"));
    assert_int_equal(proc_sysctl_line("net.ipv4.ip_forward = 0\n", key), 0);
    assert_int_equal(proc_sysctl_line("-net/ipv4/ip_forward=0\nnet.ipv4.ip_forward=1", key), 1);
    assert_int_equal(proc_sysctl_line("# net.ipv4.ip_forward=0\n", key), FACTS_UNKNOWN);
    assert_int_equal(proc_sysctl_line("net.ipv4.ip_forward_x=0\n", key), FACTS_UNKNOWN);
}

static void a_processs_limits_are_read(void **state)
{
    static const char text[] =
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max core file size        0                    unlimited            bytes     \n"
        "Max open files            1024                 524288               files     \n"
        "Max locked memory         unlimited            unlimited            bytes     \n";

    assert_int_equal(proc_limit(text, "Max open files"), 1024);
    assert_int_equal(proc_limit(text, "Max locked memory"), FACTS_UNKNOWN);
    assert_int_equal(proc_limit(text, "Max nothing"), FACTS_UNKNOWN);
    assert_int_equal(proc_limit("Max open files", "Max open files"), FACTS_UNKNOWN);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_processs_limits_are_read),
        cmocka_unit_test(each_cause_is_named_and_nothing_else),
        cmocka_unit_test(a_device_of_our_name_is_mended_by_what_it_is),
        cmocka_unit_test(loss_is_told_with_its_leg_its_peers_and_how_much),
        cmocka_unit_test(that_packets_pass_is_said_only_when_one_has),
        cmocka_unit_test(who_believes_no_control_plane_speaks_for_itself_only),
        cmocka_unit_test(who_was_never_let_in_is_not_said_to_have_lost_its_peers),
        cmocka_unit_test(what_is_down_below_is_mended_by_how_it_is_down),
        cmocka_unit_test(a_note_is_no_reason_to_be_ill),
        cmocka_unit_test(counters_are_found_by_their_names),
        cmocka_unit_test(lines_of_files_are_read_as_their_owners_read_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
