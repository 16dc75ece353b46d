/* A node with one thing wrong, as a row, and what the doctor makes of it. */
#pragma once

#include "cli/doctor/checks.h"
#include "lib/base/error.h"
#include "tests/unit/cmocka.h"

#define AGENT                                                                       \
    "{\"node_id\":\"id\",\"cluster_cidr\":\"10.42.0.0/16\",\"dataplane\":\"ebpf\"," \
    "\"control_plane\":{\"mode\":\"stream\",\"clock_skew_s\":5},\"problems\":[]}"

#define UNTRIED .hostname = "node2", .host_ip = 0xc0a8010b, .is_examined = true, .mtu_bytes = 1450
#define SILENT UNTRIED, .overlay = {100, 0}
#define NAMED SILENT, .host = {100, 0}
#define HOST_ANSWERS .host = {100, 100}

/* A peer that all reaches. */
extern const struct path well_path;

/* What differs from a healthy node. */
struct doctor_row {
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
    bool has_no_links, has_no_filters, is_firewall_unknown, has_no_forwarding, is_overlay_deaf,
        is_strict, has_nm_cloud_setup, has_no_control, is_control_ill, is_control_untrusted,
        is_control_odd, is_control_unasked, passes_without_carrier, has_no_addrs, has_no_agent,
        is_runtime_away, is_runtime_unasked;
};

/* The caller's to release; a text that is none fails the test. */
json_t *doctor_parse(const char *text);

/* Each row has its causes, and no others. */
void assert_causes(const struct doctor_row *rows, size_t count);
