/* Rows are laid over a node that is well in all. */
#include "tests/unit/cli/doctor_rows.h"

#include <string.h>

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

const struct path well_path = {.hostname = "node2",
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

json_t *doctor_parse(const char *text)
{
    json_t *value = NULL;

    if (text && json_parse(text, strlen(text), &value) < 0)
        fail_msg("%s: %s", text, err_text());
    return value;
}

static char *diagnosed(const struct facts *f)
{
    CLEANUP(findings_deinit) struct findings findings;
    struct strbuf out = {0};

    diagnose(f, &findings);
    for (size_t i = 0; i < findings.count; i++)
        strbuf_addf(&out, "%s%s", i > 0 ? " " : "", findings.items[i].cause);
    return strbuf_take(&out);
}

static char *causes_of(const struct doctor_row *row)
{
    AUTO_JSON json_t *agent =
        row->has_no_agent ? NULL : doctor_parse(row->agent ? row->agent : AGENT);
    bool has_no_runtime = row->is_runtime_away || row->is_runtime_unasked;
    AUTO_JSON json_t *runtime =
        has_no_runtime ? NULL : doctor_parse(row->runtime ? row->runtime : RUNTIME);
    AUTO_JSON json_t *firewall = doctor_parse(row->firewall ? row->firewall : "[]");
    struct path path = row->path.hostname ? row->path : well_path;
    struct route_entry route = row->route;
    struct stray stray = row->stray;
    struct addr_entry addr = {.ifindex = 2, .addr = row->addr};
    bool is_control_wrong = row->has_no_control || row->is_control_ill ||
                            row->is_control_untrusted || row->is_control_odd;
    struct blind_spot blind = {.what = row->blind, .reason = (char *)"denied"};
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
        .is_overlay_deaf = row->is_overlay_deaf,
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

    return diagnosed(&f);
}

void assert_causes(const struct doctor_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *causes = causes_of(&rows[i]);

        if (strcmp(causes, rows[i].causes) != 0)
            fail_msg("row %zu: '%s', not '%s'", i, causes, rows[i].causes);
    }
}
